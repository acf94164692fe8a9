"""Checks whether the cited sections support an answer, and finds the lines that do.

English is checked word by word, other languages by numbers, dates, names and long words. In doubt,
the check refuses.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from knowledge.abbreviations import DEMONYM_ENDINGS, SAME_NAME, acronyms
from knowledge.check.entailment import Verdict, entailed
from knowledge.check.records import records_of
from knowledge.check.wording import read_ahead
from knowledge.claims import Claim, extract_claims, months, numbers, word_forms
from knowledge.loading.document import Document
from knowledge.loading.section import Section
from knowledge.words import content_stems, spaced, stem, tokens


def unsupported_claims(sentence: str, cited: Sequence[Section], question: str) -> tuple[str, ...]:
    """Find claims of a sentence that neither the cited sections nor the question contain.

    Parameters:
        sentence: A sentence of an answer.
        cited: The sections that it cites; none for small talk.
        question: The question. Other texts that the answer may repeat (the document's title,
            the persona's name) may be appended to it.

    Returns:
        The unsupported numbers, dates and names as written, without repeats; ``()`` if supported.
    """
    said = [*(_said(section.text) for section in cited), _said(question)]
    return tuple(
        dict.fromkeys(
            claim.text
            for claim in extract_claims(sentence)
            if not any(source.supports(claim) for source in said)
        )
    )


def entails(sentence: str, cited: Sequence[Section], document: Document, question: str) -> Verdict:
    """Check whether the cited sections entail one sentence of an answer.

    English is checked word by word (:mod:`knowledge.check.entailment`). In other languages the
    cited sections must contain the numbers and names, and one of their lines most of the long words
    and a negation if and only if the sentence has one.

    Parameters:
        sentence: One sentence.
        cited: The sections that it cites.
        document: Their document.
        question: What was asked.
    """
    if document.language.startswith("en"):
        about = f"{document.title} {document.subtitle}"
        return entailed(sentence, cited, title=about, question=question, free=_parties(document))
    if claimed := unsupported_claims(sentence, cited, _parties(document)):
        return Verdict(refused=f"{', '.join(map(repr, claimed))} in {sentence!r}")
    return _in_one_line(sentence, cited)


def _parties(document: Document) -> str:
    return f"{document.title} {document.persona.name}"


def _in_one_line(sentence: str, cited: Sequence[Section]) -> Verdict:
    wanted = _long_words(sentence)
    denies = bool(_DENIALS & {token.key for token in tokens(sentence)})
    for section in cited:
        for line in section.lines:
            said = _long_words(line.text)
            if sentence.strip() in line.text:
                return Verdict((line.number,))
            alike = denies == bool(_DENIALS & {token.key for token in tokens(line.text)})
            if alike and wanted & said and len(wanted & said) >= _MOST * len(wanted):
                return Verdict((line.number,))
    return Verdict(refused=f"no line says {sentence!r}")


def _long_words(text: str) -> set[str]:
    return {token.key[:_PREFIX] for token in tokens(text) if len(token.key) >= _LONG}


_MOST = 0.75  # share of a sentence's long words that one line must contain
_LONG, _PREFIX = 4, 6  # letters
_DENIALS = frozenset(
    spaced("nicht kein keine keinen keiner nie niemals ohne ne pas jamais sans aucun no nunca "
           "jamas sin ningun non mai senza nessun niet geen nooit zonder nao nunca sem nenhum")
)  # fmt: skip


def precompute(document: Document) -> None:
    """Analyse a document's sections ahead of time, so that no call waits for it.

    Analysing a section takes milliseconds; the most recently used sections are cached.
    """
    for section in document.sections:
        if document.language.startswith("en"):
            records_of(section, f"{document.title} {document.subtitle}")
        _said(section.text)
        for line in section.lines:
            _stems(line.text)
    read_ahead(document)


def supporting_lines(sentence: str, cited: Sequence[Section]) -> tuple[int, ...]:
    """Line numbers of the source that support a sentence, in order.

    A line counts if it shares at least half as much of the sentence's weight (content words;
    numbers and names count twice) as the best line does. A heading counts only if nothing else
    does.
    """
    wanted = _weights(sentence)
    scored = [
        (sum(weight for word, weight in wanted.items() if word in _stems(line.text)), line)
        for section in cited
        for line in section.lines
    ]
    body = [(score, line) for score, line in scored if line.kind != "heading" and score > 0]
    chosen = body or [(score, line) for score, line in scored if score > 0]
    if not chosen:
        return ()
    best = max(score for score, _ in chosen)
    kept = [line for score, line in chosen if score >= 0.5 * best]
    exact = [line for line in kept if sentence.strip() in line.text]
    return tuple(sorted({line.number for line in exact or kept}))


def _weights(sentence: str) -> dict[str, float]:
    named = {stem(claim.value) for claim in extract_claims(sentence)}
    return {word: 2.0 if word in named else 1.0 for word in content_stems(sentence)}


@lru_cache(maxsize=4096)
def _stems(text: str) -> frozenset[str]:
    return frozenset(content_stems(text))


class _Said:
    """The numbers, months, words and acronyms of a text."""

    def __init__(self, text: str) -> None:
        self.numbers = numbers(text)
        self.months = months(text)
        self.words = set(word_forms(text))
        lowered = " ".join(token.key for token in tokens(text))
        for group in SAME_NAME:
            if any(re.search(rf"\b{form}\b", lowered) for form in group):
                self.words.update(word for form in group for word in form.split())
        self.acronyms = acronyms(text)

    def supports(self, claim: Claim) -> bool:
        match claim.kind:
            case "number":
                return claim.value in self.numbers
            case "decade":
                return self._decade(claim.value)
            case "century":
                return claim.value in self.numbers or any(
                    len(n) == 4 and n[:2] == str(int(claim.value) - 1) for n in self.numbers
                )
            case "month":
                return claim.value in self.months
            case "name":
                return self._name(claim)

    def _decade(self, decade: str) -> bool:
        if decade in self.numbers:
            return True
        tens = decade.rstrip("s")[:-1]
        return any(
            len(number) == 4 and number.isdigit() and number[:3].endswith(tens)
            for number in (value.rstrip("s") for value in self.numbers)
        )

    def _name(self, claim: Claim) -> bool:
        halves = [half for half in re.split(r"-", claim.text.lower()) if half]
        if self._word(claim.value) or claim.value in self.acronyms:
            return True
        return len(halves) > 1 and all(
            self._word(half) or (half.isdigit() and half in self.numbers) for half in halves
        )

    def _word(self, word: str) -> bool:
        if word in self.words or stem(word) in self.words:
            return True
        return any(
            word == other + ending or other == word + ending
            for other in self.words
            if len(other) >= 5
            for ending in DEMONYM_ENDINGS
        )


@lru_cache(maxsize=1024)
def _said(text: str) -> _Said:
    return _Said(text)
