"""Follow-up questions, which depend on the previous turn: "and when was that?"."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from knowledge.check.support import supporting_lines
from knowledge.claims import word_forms
from knowledge.search.passage import Passage
from knowledge.search.query import Query
from knowledge.search.retrieval import Hit, Index, Scores

# Added to a passage's score (see :mod:`knowledge.search.retrieval`) if it was part of the previous
# answer. Tuned by hand on the follow-up questions of tests/questions.toml.
_SAID = 0.2  # and contains what the question wants
_SAID_ALONE = 0.3  # the same, if the question adds nothing else
_HEARD = -0.3  # and does not contain it
_NEAR = 0.1  # in the same section as such a passage
_PLACE = re.compile(r"\b(?:in|at|from|aboard|near|to) (?:the )?[A-Z]")
_NEXT = 1.0  # score of the next event, which is found by order instead of similarity


@dataclass(frozen=True, slots=True)
class Before:
    """The previous turn, as context of a follow-up question.

    Parameters:
        question: Its question.
        answer: The part of its answer that was heard.
        sections: Ids of the sections that the answer cited.
    """

    question: str
    answer: str
    sections: tuple[str, ...]


_HOLDS: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = tuple(
    (re.compile(rf"\b(?:{asked})\b", re.IGNORECASE), re.compile(held))
    for asked, held in (
        (r"since when", r"\b[Ss]ince\b.*\d"),
        (r"until when", r"\b(?:[Uu]ntil|[Tt]ill|[Tt]o)\b.*\d"),
        (r"what time", r"\d[:.]\d\d\b"),
        (r"year", r"\b(?:1\d|20)\d\d\b"),
        (r"when", r"\b(?:1\d|20)\d\d\b|\d[:.]\d\d\b"),
        (r"how long", r"\b(?:minutes?|hours?|days?|weeks?|months?|years?)\b"),
        (r"how much", r"[€£$]\s?\d|\d\s?(?:€|£|euros?|pounds?|francs?)"),
        (r"where|city", r"\b(?:in|at|from|near) (?:the )?[A-Z]"),
        (r"whom", r"\bwith [A-Z]"),
    )
)


def holds_what(asked: str, text: str) -> bool:
    """Whether a text holds what a bare question word asks for, such as a year for "When?"."""
    for word, held in _HOLDS:
        if word.search(asked):
            return held.search(text) is not None
    return False


def rank_follow_up(
    index: Index, query: Query, before: Before, told: Sequence[str]
) -> tuple[Hit, ...]:
    """Rank all passages for a question that depends on the previous turn, best first.

    Parameters:
        index: The document.
        query: The elliptic question.
        before: The previous turn.
        told: The answers of the call so far, for "what else" questions.
    """
    said = _said(index, before)
    near = np.array(
        [passage.section.id in before.sections for passage in index.passages], dtype=np.float32
    )
    if query.wants & {"next", "previous"} and not index.content(query.text):
        return _in_time(index, said, forward="next" in query.wants)
    asked = index.parse_query(before.question)
    if "more" in query.wants:
        new = index.content(query.text)
        scores = index.scores(
            index.parse_query(f"{before.question} {query.text}") if new else asked
        )
        return index.ranked(scores + _NEAR * near - _told(index, told, said))
    together = _together(query, asked, index.parse_query(f"{before.question} {query.text}"))
    holds = np.array([_holds(passage, query) for passage in index.passages], dtype=bool)
    if not index.content(query.text):
        lean = np.where(holds, _SAID_ALONE, _HEARD) * said
        return index.ranked(index.scores(together) + lean + _NEAR * near)
    own = index.scores(query if query.wants or query.polar else replace(query, wants=asked.wants))
    both = (own + index.scores(together)) / 2
    return index.ranked(np.maximum(own, both) + np.where(holds, _SAID, 0.0) * said + _NEAR * near)


def _holds(passage: Passage, query: Query) -> bool:
    """Whether a sentence that was heard contains what the question wants."""
    return (
        bool(query.wants & {"date", "duration"} and passage.years)
        or bool("number" in query.wants and passage.numbers)
        or bool("person" in query.wants and passage.names)
        or bool("place" in query.wants and _PLACE.search(passage.text))
    )


def _together(query: Query, asked: Query, together: Query) -> Query:
    """Both questions combined, with the wants of the later one."""
    return replace(
        together,
        wants=query.wants or asked.wants,
        interval=query.interval or asked.interval,
        years=query.years or asked.years,
    )


def rank_adjacent(index: Index, query: Query) -> tuple[Hit, ...]:
    """Find what came before or after something that the question names.

    Returns:
        The passages, nearest in time first; none for other kinds of questions.
    """
    named = index.named_stems(query.text)
    if not query.beside or not named or index.content(query.text) - named:
        return ()
    titled = [passage for passage in index.passages if named <= word_forms(passage.section.title)]
    anchors = titled or [passage for passage in index.passages if named <= passage.says]
    said = np.zeros(len(index.passages), dtype=np.float32)
    said[[passage.at for passage in anchors]] = 1
    return _in_time(index, said, forward=query.beside == "after")


def heard_passages(index: Index, before: Before) -> tuple[Passage, ...]:
    """The passages that the previous answer was made of."""
    sections = [index.document.section(id) for id in before.sections if id in index.ids]
    lines = supporting_lines(before.answer, sections)
    return tuple(
        passage
        for passage in index.passages
        if passage.line.number in lines and passage.section.id in before.sections
    )


def _said(index: Index, before: Before) -> Scores:
    said = {passage.at for passage in heard_passages(index, before)}
    return np.array([passage.at in said for passage in index.passages], dtype=np.float32)


def _told(index: Index, told: Sequence[str], said: Scores) -> Scores:
    """A penalty that rules out passages that the caller has heard."""
    heard = " ".join(told)
    again = [passage.text.rstrip(".") in heard for passage in index.passages]
    cost: Scores = 10 * np.maximum(said, np.array(again, dtype=np.float32))
    return cost


def _in_time(index: Index, said: Scores, *, forward: bool) -> tuple[Hit, ...]:
    """What came next, or before: by year, then by distance in the document."""
    anchors = [passage for passage, is_said in zip(index.passages, said, strict=True) if is_said]
    dated = [passage for passage in anchors if passage.years]
    if not dated:
        return ()
    anchor = max(dated, key=_last) if forward else min(dated, key=_first)
    edge = _last(anchor) if forward else _first(anchor)

    def distance(passage: Passage) -> tuple[int, int, int]:
        elsewhere = passage.section.id.split("/")[0] != anchor.section.id.split("/")[0]
        years = _first(passage) - edge if forward else edge - _first(passage)
        return elsewhere, years, abs(passage.at - anchor.at)

    later = [
        passage
        for passage in index.passages
        if passage.years
        and passage not in anchors
        and (_first(passage) >= edge if forward else _first(passage) < edge)
    ]
    later.sort(key=distance)
    return tuple(Hit(passage, _NEXT - 0.2 * rank) for rank, passage in enumerate(later))


def _first(passage: Passage) -> int:
    return min(passage.years)


def _last(passage: Passage) -> int:
    return max(passage.years)
