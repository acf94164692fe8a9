"""Compares a question with texts word by word, each word in its context.

The cosine of two texts says that both are about croissants; that one of them says nothing of vegan
ones only shows word by word. For each word of the question, its likeness to the likest word of the
text is taken, as in late interaction (ColBERT), but with the vectors of MiniLM, which is loaded
anyway.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from knowledge.search.embedding import MiniLM
from knowledge.words import STOPWORDS

_WORD = re.compile(r"[\w'\u2019-]+")


@dataclass(frozen=True, slots=True)
class Match:
    """How well the words of a question match those of a text, as cosines.

    Parameters:
        all: The mean over all tokens of the question.
        content: The mean over its content words.
        least: That of the content word which the text matches least.
    """

    all: float = 0.0
    content: float = 0.0
    least: float = 0.0


def matches(model: MiniLM, question: str, texts: Sequence[str]) -> list[Match]:
    """Compare a question with each of some texts; about 3 ms of processor time a text."""
    vectors, places = model.embed_tokens(question)
    inner = [at for at, (start, end) in enumerate(places) if end > start]
    words = [
        spots
        for word in _WORD.finditer(question)
        if word[0].lower() not in STOPWORDS
        and (spots := [at for at in inner if _in(places[at], word.span())])
    ]
    found: list[Match] = []
    for text in texts:
        others, _ = model.embed_tokens(text)
        likest = (vectors @ others.T).max(axis=1)
        each = [float(likest[spots].mean()) for spots in words]
        whole = float(likest[inner].mean()) if inner else 0.0
        mean = sum(each) / len(each) if each else whole
        found.append(Match(whole, mean, min(each, default=whole)))
    return found


def _in(place: tuple[int, int], span: tuple[int, int]) -> bool:
    return span[0] <= place[0] and place[1] <= span[1]
