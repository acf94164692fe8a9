"""Questions to suggest to callers who do not know what to ask."""

from knowledge.check.sensitive import topic_of
from knowledge.loading.document import Document
from knowledge.loading.section import Section

MOST = 6
"""How many questions are suggested, unless the author names more."""

MAX_CHARS = 90
"""Longest question that is taken from the document."""


def suggestions(document: Document) -> tuple[str, ...]:
    """The author's suggestions; otherwise questions that the document answers.

    One a section, evenly over the document: the first that its author gave to one of its lines, or
    else its heading. A sensitive question is never suggested.
    """
    if document.persona.suggestions:
        return document.persona.suggestions
    told = [section for section in document.sections if len(section.lines) > 1]
    found = [questions[0] for section in told if (questions := _asked(section))]
    if not found:
        title = document.title.lower()
        found = [f"{section.title}?" for section in told if section.title.lower() != title]
    fit = [
        question
        for question in dict.fromkeys(found)
        if len(question) <= MAX_CHARS and topic_of(question, document) is None
    ]
    return tuple(_evenly(fit))


def _asked(section: Section) -> tuple[str, ...]:
    """The questions of a section's lines, then its own."""
    of_lines = [question for line in section.lines for question in line.questions]
    return (*of_lines, *section.questions)


def _evenly(questions: list[str]) -> list[str]:
    if len(questions) <= MOST:
        return questions
    step = len(questions) / MOST
    return [questions[int(number * step)] for number in range(MOST)]
