"""Checks that a sentence keeps the order of a record.

What comes before must stay before, and a time must stay at its end of a span.
"""

import re
from collections.abc import Iterator, Sequence

from knowledge.check.reading import Reading, Word
from knowledge.check.records import Record
from knowledge.words import STOPWORDS, spaced, stem, tokens

_STARTS = frozenset(("from", "since", "after", "between"))
_ENDS = frozenset(("to", "until", "till", "before", "by"))
_STRICTLY_LATER = frozenset(("after",))
_STRICTLY_EARLIER = frozenset(("before", "until", "till"))
_POINTS = frozenset(("at", "on", "in", "", "around", "about"))
# What ends at a time lasts until then; what begins at one goes on after it.
_ENDING = frozenset(
    stem(word)
    for word in spaced(
        "close end finish stop leave quit retire move die last arrive expire due shut deadline "
        "resign depart valid"
    )
)
_BEGINNING = frozenset(
    stem(word)
    for word in spaced("open begin start found join buy acquire launch become move marry born")
)
_AFTER_WORDS = re.compile(
    r"\b(?:after|afterwards?|thereafter|then|later|once|next|following|when|since|followed|if|"
    r"otherwise|until|first)\b",
    re.IGNORECASE,
)
_BEFORE_WORDS = re.compile(
    r"\b(?:before|beforehand|prior|ahead|advance|until|till|first|earlier|previously|unless|"
    r"then)\b",
    re.IGNORECASE,
)
_LATER_CLAUSES = frozenset(("after", "once", "then", "since"))
_EARLIER_CLAUSES = frozenset(("before", "until"))
_CONNECTOR = re.compile(r"\b(before|after)\b(?! (?:that|this|it|all)\b)", re.IGNORECASE)


def wrong_end(record: Record, words: Sequence[Word]) -> str:
    """The measure of a sentence that stands at another end of a span in the record.

    A time "before" or "until" which something is the case may not be one at which the record says
    that it is, or from which.

    Args:
        record: The record.
        words: Words of the sentence.

    Returns:
        The measure with its preposition; empty if there is none.
    """
    theirs: dict[str, list[tuple[str, Word]]] = {}
    for side, other in _sides(record.reading.words):
        for form in other.found:
            theirs.setdefault(form, []).append((side, other))
    found = {form for word in record.reading.words for form in word.found}
    for word in words:
        if word.kind != "measure" or not word.preposition:
            continue
        same = [side for form in word.found for side, _ in theirs.get(form, ())]
        if not same:
            continue
        earlier, later = word.preposition in _STRICTLY_EARLIER, word.preposition in _STRICTLY_LATER
        at_point = all(side == "point" for side in same)
        if (
            (earlier and at_point and not found & _ENDING)
            or (later and at_point and not found & _BEGINNING)
            or (earlier and all(side == "start" for side in same))
            or (word.preposition in ("after", "since") and all(side == "end" for side in same))
        ):
            return f"{word.preposition} {word.text}"
    return ""


def _sides(words: Sequence[Word]) -> Iterator[tuple[str, Word]]:
    """Each measure with its side of a span: "start", "end", "point" or "other"."""
    between: Word | None = None
    for word in words:
        if word.kind != "measure":
            if word.kind == "word":
                between = None
            continue
        if word.preposition == "between":
            between = word
            yield "start", word
        elif between is not None and word.clause == between.clause + 1:
            yield "end", word
        elif word.preposition in _STARTS:
            yield "start", word
        elif word.preposition in _ENDS:
            yield "end", word
        else:
            yield ("point" if word.preposition in _POINTS else "other"), word


def unordered(opens: str, *found: Record) -> bool:
    """Whether a clause orders what none of its records orders.

    Args:
        opens: The word that the clause begins with.
        found: The records of the clause, and of what comes before it.
    """
    text = " . ".join(record.reading.text for record in found)
    if opens in _LATER_CLAUSES:
        return not _AFTER_WORDS.search(text)
    return opens in _EARLIER_CLAUSES and not _BEFORE_WORDS.search(text)


def reversed_order(record: Record, reading: Reading) -> bool:
    """Whether the sentence says "before" of what the record says "after" of, or the reverse."""
    mine, theirs = _earlier_and_later(reading.text), _earlier_and_later(record.reading.text)
    if mine is None or theirs is None:
        return False
    (earlier, later), (was_earlier, was_later) = mine, theirs
    return bool(
        (earlier & was_later and not earlier & was_earlier)
        or (later & was_earlier and not later & was_later)
    )


def same_order(record: Record, reading: Reading) -> bool:
    """Whether the sentence says in other words what comes first: "after" in place of "before"."""
    mine, theirs = _earlier_and_later(reading.text), _earlier_and_later(record.reading.text)
    if mine is None or theirs is None:
        return False
    return bool(mine[0] & theirs[0]) and bool(mine[1] & theirs[1])


def _earlier_and_later(text: str) -> tuple[frozenset[str], frozenset[str]] | None:
    """The stems of what comes first and of what comes second by a text's one connector."""
    connectors = list(_CONNECTOR.finditer(text))
    if len(connectors) != 1:
        return None
    found = connectors[0]
    left, right = text[: found.start()], text[found.end() :]
    if not any(map(str.isalnum, left)):  # After the fire, it was rebuilt.
        right, comma, left = right.partition(", ")
        if not comma:
            return None
    before, after = _content(left), _content(right)
    both = before & after
    before, after = before - both, after - both
    return (before, after) if found[1].lower() == "before" else (after, before)


def _content(text: str) -> frozenset[str]:
    return frozenset(
        stem(token.key)
        for token in tokens(text)
        if token.key not in STOPWORDS and not token.key[:1].isdigit()
    )
