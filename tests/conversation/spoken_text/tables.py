# ruff: noqa: RUF001 - quotation marks that look like others are meant.
"""Tables of what is shown and what is to be heard for it.

A line has a kind, a language, what is shown, and what is spoken. "[a|b]" stands for either, "[a |]"
for what may be left out, " | " divides whole alternatives.
"""

import re
from itertools import product
from pathlib import Path
from typing import NamedTuple

from conversation.spoken_text.normaliser import Normaliser

HERE = Path(__file__).parent


class Story(NamedTuple):
    """One line of a table; ``heard`` is whatever counts as right, as :func:`words` has it."""

    kind: str
    language: str
    shown: str
    heard: frozenset[str]


def words(text: str) -> str:
    """A text by its words alone: without case, punctuation and hyphens."""
    text = re.sub(r"[\u2010-\u2015/-]", " ", text.lower().replace("per cent", "percent"))
    return " ".join(re.sub(r"[.,;:!?()\"“”‘’‚«»\[\]]", " ", text).split())


def _alternatives(spoken: str) -> frozenset[str]:
    found: set[str] = set()
    for whole in re.split(r" \| (?![^\[]*\])", spoken):
        parts = [
            part[1:-1].split("|") if part.startswith("[") else [part]
            for part in re.split(r"(\[[^\]]*\])", whole)
        ]
        found |= {words("".join(chosen)) for chosen in product(*parts)}
    return frozenset(found)


def table(name: str) -> list[Story]:
    """The stories of a file of this folder."""
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    return [Story(kind, lang, shown, _alternatives(heard)) for kind, lang, shown, heard in rows]


def spoken(story: Story) -> str:
    """What is spoken for a story."""
    return Normaliser(story.language)(story.shown).text


def is_right(story: Story) -> bool:
    """Whether what is spoken for it is what is to be heard."""
    return words(spoken(story)) in story.heard
