"""Checks that a sentence is about what the record is about, and keeps its conditions."""

import re
from collections.abc import Callable, Sequence

from knowledge.abbreviations import acronyms
from knowledge.check.meaning import implied
from knowledge.check.reading import AUXILIARIES, Reading, Word
from knowledge.check.records import Record
from knowledge.words import PRONOUNS, spaced

_FIRST = frozenset(
    spaced("i we you he she they it this that these those there who which what whoever anyone "
           "anybody everyone everybody somebody someone nobody")
)  # fmt: skip
_LABEL_WORDS = 4  # "Guests: each member may bring a friend"
_EVERYTHING = frozenset(("q:all:thing", "q:all:one"))
_STANDING_IN = PRONOUNS - frozenset(("his", "their", "there"))
_GRANTING = re.compile(
    r"\b(?:may|can|could|allowed|permitted|welcome|free|accepted|possible|fine)\b", re.IGNORECASE
)
_NO_OTHER = re.compile(r"\b(?:no other|nothing else|nobody else|only|just)\b", re.IGNORECASE)
_THERE_IS = re.compile(r"\bthere(?:'s| is| are| was| were)\b", re.IGNORECASE)
_LIMIT = re.compile(
    r"(?:\b(?:if|unless|only|with|without|outside|except|provided|when|on request|until|up to|"
    r"at most)\b|^after\b)(?:\W+\w+){1,4}",
    re.IGNORECASE,
)


def other_subject(
    record: Record,
    reading: Reading,
    words: Sequence[Word],
    *,
    free: frozenset[str],
    own: Callable[[Word], bool],
    known: Callable[[Word], bool],
) -> str:
    """What a record is about, if the sentence is about something else.

    Args:
        record: The record.
        reading: The sentence.
        words: The words of it that the record is to support.
        free: Names that need no support: of the document and the persona.
        own: Whether the record itself contains a word.
        known: Whether it does, or the headings above it.

    Returns:
        The subject of the record as written; empty if the sentence names it, or a pronoun may.
    """
    if record.line.cells and all(own(word) for word in words if word.kind != "quantity"):
        return ""  # all of it stands in one row
    if _THERE_IS.search(reading.text) and all(own(word) for word in words):
        return ""  # "there's dancing in the barn"
    subject = _subject(record.reading)
    mine = [word for word in _subject(reading) if word in words and not word.found & free]
    lent = bool(mine) and not any(map(own, mine))
    if not subject and lent and record.reading.words:
        subject = _head(record)
    if not subject or any(word.found & free for word in subject):
        return ""
    if lent and not any(map(known, mine)):
        return " ".join(word.text for word in subject)
    if reading.passive and not record.reading.passive and _subject(record.reading):
        return ""  # A moth was found.
    said = frozenset(form for word in reading.words for form in _forms(word))
    if any(word.key in acronyms(record.reading.text) for word in mine):
        return ""
    subjects = [*subject, *_later_subjects(record.reading)]
    if said & _EVERYTHING or any(_forms(w) & said or implied(w.key) & said for w in subjects):
        return ""
    first = {token.key for token in reading.tokens[:4]}
    if first & _STANDING_IN and not any(w.kind == "word" and w.at < 3 for w in words):
        return ""
    return " ".join(word.text for word in subject)


def _head(record: Record) -> list[Word]:
    """What a clause without a verb begins with, if a number follows: "lockers for five euros"."""
    found: list[Word] = []
    for word in record.reading.words:
        if word.kind == "measure" or word.preposition:
            return found
        found.append(word)
    return []


def _later_subjects(reading: Reading) -> list[Word]:
    """The words before the verb of each clause but the first."""
    found = []
    for clause in reading.clauses[1:]:
        measures = [word.at for word in clause.words if word.kind == "measure"]
        end = min([word.at for word in clause.verbs] or measures, default=0)
        before = [word for word in clause.words if word.at < end]
        found += [word for word in before if word.kind == "word" and not word.preposition]
    return found


def _subject(reading: Reading) -> list[Word]:
    """The words before the first verb, without those after a preposition."""
    verbs = [word.at for word in reading.words if word.verb]
    verbs += [at for at, token in enumerate(reading.tokens) if token.text.lower() in AUXILIARIES]
    free = [at - 1 for at, token in enumerate(reading.tokens) if token.key == "free"]
    end = min(verbs or free, default=0)
    label = reading.text.find(": ")
    start = sum(token.start < label for token in reading.tokens[:_LABEL_WORDS])
    start = start if start < _LABEL_WORDS else 0
    if {token.key for token in reading.tokens[start:end]} & _FIRST:
        return []
    return [
        word
        for word in reading.words
        if start <= word.at < end
        and word.kind == "word"
        and not word.preposition
        and (not word.bland or not word.verb)
    ]


def has_subject(reading: Reading) -> bool:
    """Whether a clause names who or what it is about."""
    return bool(_subject(reading))


def dropped_limit(record: Record, reading: Reading) -> str:
    """The limit of a permission that the sentence grants without it; empty if there is none."""
    if record.negative or not _GRANTING.search(reading.text):
        return ""
    said = frozenset(form for word in reading.words for form in _forms(word))
    for limit in _LIMIT.finditer(record.reading.text):
        if limit[0].lower().startswith("only") and _NO_OTHER.search(reading.text):
            continue
        inside = [
            word
            for word in record.reading.words
            if limit.start() <= record.reading.tokens[word.at].start < limit.end()
        ]
        if inside and not any(_forms(word) & said or implied(word.key) & said for word in inside):
            return limit[0].strip()
    return ""


def _forms(word: Word) -> frozenset[str]:
    return word.found.union(*word.needs)
