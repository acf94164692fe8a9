"""Finds the document's own words for an answer whose wording could not be confirmed.

The check refuses a true paraphrase like a false statement if no record confirms it. If the cited
sections hold the answer all the same, their own statements are spoken instead, so that the spoken
answer is grounded whatever the brain meant.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from knowledge.check.meaning import implied
from knowledge.check.spelling import spelled, times_called
from knowledge.claims import extract_claims, numbers
from knowledge.loading.document import Document
from knowledge.loading.section import Section
from knowledge.per_document import per_document
from knowledge.records import Record, Statement, records
from knowledge.words import PRONOUNS, STOPWORDS, spaced, stem, tokens

MOST_WORDS = 40
"""Longest answer, in words: about fifteen seconds of speech."""
# Tuned on the tuning half of evals/adversarial and the questions of evals/documents/develop.
_LEAST_SAID = 0.2  # share of the sentence's weight that a statement must have
_LEAST_ASKED = 0.34  # share of the question's weight that a record must have
_PLAINLY = 0.35  # share of the sentence's weight above which the question does not matter
_OF_QUESTION = 0.25  # weight of the question's words beside the sentence's
_REST = 0.35  # share of the sentence's weight left that makes a second statement necessary
_LEAST_REST = 0.5  # share of that weight, and number of words, that the second must have
_LEAST_WORDS = 2
_ABOVE = 0.5  # factor for words that only the titles above contain
_ALIKE = 0.7  # factor for words that only mean the same
_GENERIC = frozenset(
    stem(word)
    for word in spaced("""
    do does did have has had be is are was were can could will would may might must should shall
    get go come take make tell say know want need please much many long often what which who when
    where why how there here anything something thing things way kind sort about document cv text
    yes no not only also just very rule rules question answer find look mention say says said
    """)
)


@dataclass(frozen=True, slots=True)
class Wording:
    """A statement in the document's own words.

    Parameters:
        text: One statement of a record, as it is spoken.
        section: Id of its section.
        line: Number of the line that supports it.
    """

    text: str
    section: str
    line: int


def wording(
    sentence: str, cited: Sequence[Section], document: Document, question: str
) -> tuple[Wording, ...]:
    """Find statements of the cited sections that say what a sentence says and answer the question.

    Parameters:
        sentence: A sentence that was refused for lack of support.
        cited: The sections that it cites.
        document: Their document.
        question: What was asked.

    Returns:
        One or two statements, in the document's order; none if the cited sections do not answer.
    """
    known = _known(document)
    ids = {section.id for section in cited}
    every = [statement for statement in known.statements if statement.record.section.id in ids]
    said = known.weighed(sentence)
    asked = known.weighed(question)
    if not every or not said or not known.names(question) <= _all(every):
        return ()
    best = max(
        every,
        key=lambda statement: statement.share(said) + _OF_QUESTION * statement.share(asked),
    )
    plainly = best.own_share(said) >= _PLAINLY
    numbered = frozenset(f"#{number}" for number in numbers(question)) <= _all(every)
    if best.own_share(said) < _LEAST_SAID or not (numbered or plainly):
        return ()
    if asked and best.share(asked) < _LEAST_ASKED and not plainly:
        return ()
    chosen = [best]
    left = {word: weight for word, weight in said.items() if not best.tells(word)}
    rest = [statement for statement in every if statement is not best]
    if rest and sum(left.values()) > _REST * sum(said.values()):
        other = max(rest, key=lambda statement: statement.own_share(left))
        fits = best.length + other.length <= MOST_WORDS
        enough = sum(map(other.tells, left)) >= _LEAST_WORDS
        if fits and enough and other.own_share(left) >= _LEAST_REST:
            chosen.append(other)
    chosen.sort(key=lambda statement: statement.at)
    return tuple(
        Wording(told.statement.text, told.record.section.id, told.statement.line.number)
        for told in chosen
    )


@dataclass(frozen=True)
class _Said:
    """One statement of a document, with the words that find it."""

    at: int
    record: Record
    statement: Statement

    @cached_property
    def words(self) -> frozenset[str]:
        """Its own words and what they may become."""
        return _meant(self.statement.text)

    @cached_property
    def above(self) -> frozenset[str]:
        """The same for the titles above it and the rest of its record."""
        return _meant(" ".join([*self.record.path, self.record.section.title, self.record.text]))

    @property
    def length(self) -> int:
        return len(self.statement.text.split())

    def tells(self, word: str) -> float:
        """How surely it contains a word: 1, less if it contains one of the same meaning, or 0."""
        if word in self.words:
            return 1.0
        return _ALIKE if not self.words.isdisjoint(_implied_by(word)) else 0.0

    def own_share(self, wanted: dict[str, float]) -> float:
        whole = sum(wanted.values())
        found = sum(weight * self.tells(word) for word, weight in wanted.items())
        return found / whole if whole else 0.0

    def share(self, wanted: dict[str, float]) -> float:
        whole = sum(wanted.values())
        if not whole:
            return 0.0
        above = sum(
            weight for word, weight in wanted.items() if word in self.above and not self.tells(word)
        )
        return self.own_share(wanted) + _ABOVE * above / whole


class _Words:
    """A document's statements, and how much each word distinguishes them."""

    def __init__(self, document: Document) -> None:
        found = records(document)
        self.statements = [
            _Said(at, record, statement)
            for at, (record, statement) in enumerate(
                (record, statement) for record in found for statement in record.statements
            )
        ]
        self._of = Counter(word for record in found for word in _content(record.written))
        self._count = len(found)
        self._about = _content(f"{document.title} {document.persona.name}")

    def weighed(self, text: str) -> dict[str, float]:
        """The distinctive words of a text, each with its weight."""
        return {
            word: math.log((self._count + 1) / (self._of[word] + 0.5))
            for word in _content(text) - self._about
        }

    def names(self, question: str) -> frozenset[str]:
        """The names of a question, which an answer must contain."""
        named = {stem(claim.value) for claim in extract_claims(question) if claim.kind == "name"}
        return frozenset(named - self._about - _GENERIC)


@per_document
def _known(document: Document) -> _Words:
    return _Words(document)


def read_ahead(document: Document) -> None:
    """Parse a document's statements ahead of time, so that no call waits for it."""
    for statement in _known(document).statements:
        _ = statement.words, statement.above


def _content(text: str) -> frozenset[str]:
    text = spelled(text)
    found = {
        stem(token.key)
        for token in tokens(text)
        if not token.key[:1].isdigit() and token.key not in STOPWORDS and token.key not in PRONOUNS
    }
    return frozenset(found - _GENERIC) | frozenset(f"#{number}" for number in numbers(text))


@lru_cache(maxsize=16384)
def _implied_by(word: str) -> frozenset[str]:
    return implied(word) - _GENERIC


def _meant(text: str) -> frozenset[str]:
    text = spelled(text)
    found = {f"#{number}" for number in numbers(text)} | times_called(text)
    for token in tokens(text):
        found.add(stem(token.key))
        found |= implied(token.key)
    return frozenset(found)


def _all(every: Sequence[_Said]) -> frozenset[str]:
    return frozenset(word for statement in every for word in statement.words | statement.above)
