"""Finds the sentences of a document that answer a question.

A passage's score is the sum of three signals: how close the question is in meaning to the sentence,
or to a question that its author says it answers (MiniLM, cosine); how much of the question's weight
in rare words it shares (BM25 on stems, as a share of the maximum); and how well it fits what the
question asks for (a date, a number, a period). Names and words that the document does not contain
lower the scores of all passages alike.

The weights below were tuned by hand on the 113 questions of tests/questions.toml, about the bundled
document, on which ``python -m benchmarks.questions`` finds 98 % of the decisions right; on 50 fresh
questions, which were never tuned on, it was 94 %. All are relative to a cosine of weight 1.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from knowledge.claims import extract_claims, months, numbers, word_forms
from knowledge.loading.document import Document, Section
from knowledge.search.embedding import MiniLM, Vectors, minilm
from knowledge.search.name_correction import NameCorrection
from knowledge.search.passage import Passage, passages
from knowledge.search.query import GENERIC, Query, as_titled, mentioned, overlaps, parse_query
from knowledge.search.token_match import Match, matches
from knowledge.search.vector_cache import VectorCache
from knowledge.words import (
    STOPWORDS,
    Token,
    content_stems,
    normalize,
    spaced,
    stem,
    token_keys,
    tokens,
)

Scores = npt.NDArray[np.float32]

_K1, _B = 1.2, 0.5  # BM25: the usual saturation; less length normalization, as lengths vary little
_MOST_EMBEDDED = 500  # passages: with more, only those shortlisted for a question are embedded
_SHORTLIST = 24  # passages of a long document that are embedded for a question
_BY_TITLE = 0.3  # weight of a title's similarity in the shortlist, relative to BM25
_KEPT = 256  # question vectors cached: an interim transcript is searched again as it grows
_KEPT_WORDS = 8192  # word vectors cached, 1.5 kB each
_RARE_WORDS = 0.3  # weight of BM25
_ALIEN_NAME = 0.45  # penalty per name, and for any number, that the document does not contain
_ALIEN_WORD = 0.13  # penalty per content word that is unlike any of the document's
_ALIEN_WORDS_AT_MOST = 0.3  # and the most for all of them
_ALIEN_OPINION = (
    0.25  # penalty: the question asks for an opinion that the document does not mention
)
_RARE_LETTERS = 6  # of a word that no dictionary has, and that is corrected like a name
_AKIN = 0.62  # cosine at which a word counts as similar to one of the document's
_NOT_THEN = 0.4  # penalty: the sentence is about other years than the question
_THEN = 0.3  # bonus: it is about the question's years
_NO_DATE, _DATE = 0.12, 0.08  # penalty and bonus, if the question asks when or how long
_NO_NUMBER, _NUMBER = 0.3, 0.05  # penalty and bonus, if it asks how many, where or who
_NOT_NAMED, _NAMED = 0.15, 0.1  # penalty and bonus, for names of the document that it contains
_PLACE = re.compile(r"\b(?:in|at|from|aboard|near|to|on|by|under|inside) (?!\d)\w")
_FUTURE = re.compile(r"\b(?:will|plans?|planned|going to|future|next|roadmap)\b", re.IGNORECASE)

# Words that ask for an opinion; a document without such words does not answer that.
_OPINIONS = frozenset(
    map(stem, spaced("favourite favorite prefer preferred hate dislike love opinion enjoy beloved"))
)

# Capitalized words that do not name anything the document would have to contain.
_COMMON_CAPITALS = frozenset(
    spaced("cv tv pc it phd ba bs bsc ma ms msc mba dr prof ai uk us usa eu ceo cto bye hi hello")
)


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage and its score.

    Parameters:
        passage: The passage.
        score: From about 0 (nothing in common) to 1.5.
    """

    passage: Passage
    score: float


class Index:
    """Searches a document. Thread-safe, since it does not change after construction.

    Parameters:
        document: The document.
        found_in: The passages to search; by default every sentence.
        vectors: Cache of the vectors of its texts.
    """

    def __init__(
        self,
        document: Document,
        found_in: Sequence[Passage] | None = None,
        vectors: VectorCache | None = None,
    ) -> None:
        self.document = document
        self.ids = frozenset(document.section_ids)
        self._model: MiniLM = minilm()
        self._vectors = vectors = vectors or VectorCache()
        self._vector = lru_cache(maxsize=_KEPT)(lambda text: self._model.embed([text])[0])
        self.passages = tuple(passages(document) if found_in is None else found_in)
        title = tokens(document.title)
        small = len(title) == 1  # a tool's name: "larder"
        self._subject = frozenset(token.key for token in title if token.capital or small)
        self._pronoun = _pronoun(document)
        self._writes_i = document.about_person and _writes_i(document)
        says = [self._about(self.in_third_person(passage.text)) for passage in self.passages]
        titles = [passage.section.title for passage in self.passages]
        self._placed = [f"{title}: {text}" for title, text in zip(titles, says, strict=True)]
        self._long = len(says) > _MOST_EMBEDDED
        if self._long:
            self._one_vector = lru_cache(maxsize=len(says))(self._embedded)
            places = {title: at for at, title in enumerate(dict.fromkeys(titles))}
            self._titles = vectors.embed(list(places))
            self._title_at = np.array([places[title] for title in titles], dtype=np.intp)
        else:
            self._in_place = vectors.embed(self._placed)
            self._says = vectors.embed(says)
        asked = [
            (passage.at, question)
            for passage in self.passages
            for question in passage.line.questions
        ]
        section_asked = [
            (within, question)
            for section in document.sections
            if (within := [p.at for p in self.passages if _within(p.section, section)])
            for question in section.questions
        ]
        self._section_asked_at = [within for within, _ in section_asked]
        self._section_asked = vectors.embed([self._about(text) for _, text in section_asked])
        self._asked_at = np.array([at for at, _ in asked], dtype=np.intp)
        self._asked = vectors.embed([self._about(question) for _, question in asked])
        self._terms = [Counter(self._stems(_searched(passage))) for passage in self.passages]
        self._lengths = np.array([sum(terms.values()) for terms in self._terms], dtype=np.float32)
        self._frequency = Counter(word for terms in self._terms for word in terms)
        text = "\n".join(_everything(document))
        self._known = word_forms(text) | numbers(text)
        words = [token for token in tokens(text) if not _is_plain(token)]
        known = [] if self._long else sorted({token.text.lower() for token in words})
        self._words = vectors.embed(known)
        self._word_vectors: dict[str, Vectors] = dict(zip(known, self._words, strict=True))
        names = {word for name in document.proper_nouns() for word in name.split()}
        rare = {
            token.text
            for token in {token.key: token for token in words}.values()
            if len(token.key) >= _RARE_LETTERS
            and token.key.isalpha()
            and not self._model.is_common(token.key)
        }
        self._name_correction = NameCorrection(
            names | rare, self._known, words, self._model.is_common
        )
        lower = {token.key for token in tokens(text) if not token.capital}
        self._only_names = frozenset(normalize(name) for name in names) - lower - self._subject

    def scores(self, query: Query) -> Scores:
        """Score each passage: from about 0 (nothing in common) to 1.5."""
        scores = self.similarity(query.text) + _RARE_WORDS * self._shared(query.text)
        scores += np.array([_fit(passage, query) for passage in self.passages], dtype=np.float32)
        named = self.named_stems(query.text)
        if named:
            share = [len(named & passage.says) / len(named) for passage in self.passages]
            scores += _NAMED - (_NAMED + _NOT_NAMED) * (1 - np.array(share, dtype=np.float32))
        return scores - np.float32(self._alien(query.text))

    def alien(self, text: str) -> float:
        """Penalty for names and words of the question that the document does not contain."""
        return self._alien(text)

    def unknown_names(self, text: str) -> frozenset[str]:
        """Keys of the names in a question that the document does not contain."""
        return frozenset(
            claim.value
            for claim in extract_claims(text)
            if claim.kind == "name"
            and claim.value not in _COMMON_CAPITALS
            and claim.value not in self._known
            and not all(self.knows(half) for half in _halves(claim.text))
        )

    def knows(self, word: str) -> bool:
        """Whether the document contains a word, by its key, in any form."""
        return word in self._known or stem(word) in self._known

    def is_alien(self, word: str) -> bool:
        """Whether the document has neither a word nor one that is like it."""
        others = self._unheard(word, frozenset())
        return bool(others) and bool((self._likeness(others) < _AKIN).all())

    def alike(self, word: str, others: frozenset[str]) -> float:
        """The cosine of a lower-case word and the likest of some others."""
        kept = self._word_vectors
        if missing := [text for text in (word, *others) if text not in kept]:
            if len(kept) > _KEPT_WORDS:
                kept = self._word_vectors = {}
                missing = [word, *others]
            kept.update(zip(missing, self._model.embed(missing), strict=True))
        return max((float(kept[other] @ kept[word]) for other in others), default=0.0)

    def matches(self, text: str, others: Sequence[str]) -> list[Match]:
        """Compare a question with each of some texts word by word."""
        return matches(self._model, text, others)

    def _unheard(self, text: str, names: Set[str]) -> list[str]:
        """The words of a question that the document lacks, but for names and generic words."""
        return [
            token.text.lower()
            for token in tokens(text)
            if not (_is_plain(token) or self._knows(token) or token.key in names)
            and stem(token.key) not in GENERIC
            and not token.key.isdigit()
        ]

    def _likeness(self, words: Sequence[str]) -> Scores:
        """For each word, its cosine similarity to the likest of the document's words."""
        if not words or not len(self._words):
            return np.ones(len(words), dtype=np.float32)
        best: Scores = (self._model.embed(words) @ self._words.T).max(axis=1)
        return best

    def shared(self, text: str) -> Scores:
        """For each passage, its share of the question's weight in rare words."""
        return self._shared(text)

    def fit(self, query: Query) -> Scores:
        """For each passage, how well it fits the kind of answer asked for."""
        return np.array([_fit(passage, query) for passage in self.passages], dtype=np.float32)

    def search(self, query: Query) -> tuple[Hit, ...]:
        """Rank all passages, best first."""
        return self.ranked(self.scores(query))

    @property
    def asked_share(self) -> float:
        """Share of passages for which the author has listed questions."""
        asked = sum(bool(passage.line.questions) for passage in self.passages)
        return asked / len(self.passages)

    def is_subject(self, text: str) -> bool:
        """Whether the text only asks who or what the document is about."""
        words = " ".join(token.text.lower() for token in tokens(self._about(text)))
        return bool(re.fullmatch(_SUBJECT, words))

    def content(self, text: str) -> frozenset[str]:
        """Stems of the words worth searching for: no numbers, generic words or subject names."""
        numbered = {stem(token.key) for token in tokens(text) if numbers(token.text)}
        return frozenset(word for word in self._stems(text) if word[0] != "#") - GENERIC - numbered

    def ranked(self, scores: Scores) -> tuple[Hit, ...]:
        """Rank passages by given scores, best first; ties in the document's order."""
        order = np.argsort(-scores, kind="stable")
        return tuple(Hit(self.passages[at], float(scores[at])) for at in order)

    def parse_query(self, text: str) -> Query:
        """Analyse a question, after correcting misheard names."""
        text = self._name_correction.corrected(text)
        return parse_query(as_titled(text, self.knows) if self.about_person else text)

    def _knows(self, token: Token) -> bool:
        return all(part in self._known or stem(part) in self._known for part in token_keys(token))

    def named_stems(self, text: str) -> frozenset[str]:
        """Stems of the document's names in the question, except the subject's."""
        return frozenset(stem(token.key) for token in tokens(text) if token.key in self._only_names)

    def _about(self, text: str) -> str:
        """Replace every name of the subject by a pronoun."""
        if not self._subject:
            return text
        names = "|".join(sorted(map(re.escape, self._subject), key=len, reverse=True))
        run = rf"\b(?:{names})(?:\s+(?:{names}))*"
        others, owned, other_owned = _PRONOUNS[self._pronoun]
        text = re.sub(rf"{run}(?:'s|(?<=s)')", owned, text, flags=re.IGNORECASE)
        text = re.sub(rf"{run}\b", self._pronoun, text, flags=re.IGNORECASE)
        text = re.sub(rf"\b(?:{other_owned})\b", owned, text, flags=re.IGNORECASE)
        return re.sub(rf"\b(?:{others})\b", self._pronoun, text, flags=re.IGNORECASE)

    def in_third_person(self, text: str) -> str:
        """A text of the document with its subject as questions name it: "I lead", "she lead".

        Questions keep their "I", who is the caller.
        """
        if self._writes_i:
            for own, other in _FIRST_PERSON:
                text = own.sub(other, text)
        return text

    def _stems(self, text: str) -> list[str]:
        found = [word for word in content_stems(text) if word not in self._subject]
        return [*found, *(f"#{number}" for number in numbers(text))]

    @property
    def about_person(self) -> bool:
        """Whether the document is about a person rather than a thing."""
        return self._pronoun == "she"

    def with_pronouns(self, texts: Sequence[str]) -> list[str]:
        """Rename the subject in questions as in the index."""
        return [self._about(text) for text in texts]

    def vector(self, text: str) -> Vectors:
        """Unit vector of a question; recent ones are cached."""
        found: Vectors = self._vector(self._about(text))
        return found

    def similarity(self, text: str) -> Scores:
        """Cosine similarity of each passage to the question."""
        vector = self.vector(text)
        best: Scores
        if self._long:
            best = self._likeness_of_shortlist(text, vector)
        else:
            best = np.maximum(self._says @ vector, self._in_place @ vector)
        own = best.copy()
        if len(self._asked_at):
            np.maximum.at(best, self._asked_at, self._asked @ vector)
        for within, likeness in zip(
            self._section_asked_at, self._section_asked @ vector, strict=True
        ):
            # A question listed for a section finds those of its sentences that are similar to it.
            best[within] = np.maximum(best[within], 0.3 * own[within] + 0.7 * likeness)
        return best

    def _likeness_of_shortlist(self, text: str, vector: Vectors) -> Scores:
        """Cosine similarity of the passages that share words or titles with the question; else 0.

        Embedding all passages of a long document would delay the start too much.
        """
        likely = self._shared(text) + _BY_TITLE * (self._titles @ vector)[self._title_at]
        best = np.zeros(len(self.passages), dtype=np.float32)
        for at in np.argsort(-likely, kind="stable")[:_SHORTLIST]:
            best[at] = self._one_vector(int(at)) @ vector
        return best

    def _embedded(self, at: int) -> Vectors:
        found: Vectors = self._vectors.embed([self._placed[at]])[0]
        return found

    def embed_rest(self, stopped: Callable[[], bool]) -> None:
        """Embed what no question has needed yet of a long document; blocks for seconds.

        A question then waits for no passage; without it, those shortlisted for the first time take
        a third of its time.

        Args:
            stopped: Whether to stop; asked before each passage.
        """
        for at in range(len(self.passages) if self._long else 0):
            if stopped():
                return
            self._one_vector(at)
        self._vectors.save()

    def _weight(self, word: str) -> float:
        count = self._frequency[word]
        return math.log(1 + (len(self.passages) - count + 0.5) / (count + 0.5))

    def _shared(self, text: str) -> Scores:
        """BM25 relative to the maximum for a sentence of average length."""
        scores = np.zeros(len(self.passages), dtype=np.float32)
        words = {word for word in self._stems(text) if word not in GENERIC or self._frequency[word]}
        norm = _K1 * (1 - _B + _B * self._lengths / max(float(self._lengths.mean()), 1.0))
        for word in words:
            if not self._frequency[word]:
                continue
            counts = np.array([terms[word] for terms in self._terms], dtype=np.float32)
            scores += self._weight(word) * counts * (_K1 + 1) / (counts + norm)
        possible = sum(self._weight(word) for word in words)
        return scores / possible if possible else scores

    def _alien(self, text: str) -> float:
        """Penalty for names and words of the question that the document does not contain."""
        alien = self.unknown_names(text)
        cost = _ALIEN_NAME * len(alien)
        others = self._unheard(text, alien)
        likeness = self._likeness(others)
        cost += min(_ALIEN_WORDS_AT_MOST, _ALIEN_WORD * float((likeness < _AKIN).sum()))
        cost += _ALIEN_OPINION * any(stem(word) in _OPINIONS for word in others)
        if mentioned(text) - self._known - {"1"}:
            cost += _ALIEN_NAME
        return cost


def asked_share(document: Document) -> float:
    """Share of the lines of a document for which the author has listed questions."""
    lines = [
        line for section in document.sections for line in section.lines if line.kind != "heading"
    ]
    return sum(bool(line.questions) for line in lines) / max(1, len(lines))


def _within(section: Section, other: Section) -> bool:
    return section.id == other.id or section.id.startswith(f"{other.id}/")


def _searched(passage: Passage) -> str:
    return "\n".join([passage.text, passage.path, *passage.line.questions])


def _everything(document: Document) -> Iterable[str]:
    yield document.title
    yield document.subtitle
    for section in document.sections:
        yield from section.questions
        for line in section.lines:
            yield line.text
            yield from line.questions


def _fit(passage: Passage, query: Query) -> float:
    """Bonus or penalty for how well a passage fits the kind of answer asked for."""
    fit = 0.0
    if query.interval is not None:
        fit += _THEN if overlaps(passage.years, query.interval) else -_NOT_THEN
        wanted = months(query.text)
        if wanted:
            fit += _THEN if wanted & passage.months else 0.0
    if "date" in query.wants:
        fit += _DATE if passage.years else -_NO_DATE
    if "duration" in query.wants:
        fit += _DATE if len(passage.years) > 1 or "until" in passage.text else 0.0
    if "number" in query.wants:
        fit += _NUMBER if passage.numbers else -_NO_NUMBER
    if "place" in query.wants:
        fit += _NUMBER if _PLACE.search(passage.text) else -_NO_DATE
    if "future" in query.wants:
        fit -= 0.0 if _FUTURE.search(passage.text) else _NO_NUMBER
    if "person" in query.wants:
        fit += _NUMBER if passage.names else -_NUMBER
    return fit


def _pronoun(document: Document) -> str:
    """The pronoun for the document's subject: a person's, or a thing's.

    Most CVs have no pronoun at all.
    """
    if document.about_person:
        return "she"
    text = "\n".join(_everything(document)).lower()
    people = len(re.findall(r"\b(?:she|he|her|his)\b", text))
    things = len(re.findall(r"\b(?:it|its)\b", text))
    return "she" if people > things or document.name.lower().endswith(".json") else "it"


def _writes_i(document: Document) -> bool:
    """Whether a document is written in the first person throughout."""
    text = "\n".join(_everything(document))
    return len(re.findall(r"\b(?:I|[Mm]y)\b", text)) > len(text.split()) / _FIRST_PERSON_SHARE


def _is_plain(token: Token) -> bool:
    return token.text.lower() in STOPWORDS or token.key in STOPWORDS


def _halves(text: str) -> Sequence[str]:
    return [normalize(half) for half in text.split("-") if half]


_SUBJECT = (
    r"(?:so |and |okay )*(?:(?:who|what)(?: is|'s| was) (?:she|it)(?: about| exactly| all about)?"
    r"|(?:tell me|what can you tell me|talk)(?: something| more| a bit| a little)? about "
    r"(?:she|it|her)"
    r"|(?:give me )?(?:a |an )?(?:short |quick |brief )?(?:summary|overview|introduction)"
    r"(?: of (?:she|it|her|its|the document))?(?: please)?"
    r"|(?:please )?summari[sz]e (?:she|it|her|the document)|introduce (?:she|it|her))"
)
_FIRST_PERSON_SHARE = 60  # words in which "I" or "my" stands once
_FIRST_PERSON = (
    (re.compile(r"\bI(?:['\u2019]m| am)\b"), "she is"),
    (re.compile(r"\bI['\u2019]ve\b"), "she has"),
    (re.compile(r"\bI(?:['\u2019](?:d|ll))?\b(?![.:/&-]\w)"), "she"),
    (re.compile(r"\b[Mm]y\b"), "her"),
    (re.compile(r"\b(?:me|myself)\b"), "her"),
    (re.compile(r"\bmine\b"), "hers"),
)
# Each pronoun's other forms, its possessive, and the other forms of that.
_PRONOUNS = {
    "she": ("he|they|him|them", "her", "his|their"),
    "it": ("itself", "its", "itself's"),
}
