"""A text as it is spoken, and which part of what is shown each part of it stands for."""

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

from conversation.alignment import WordAlignment

_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the spoken text and the stretch of the shown text that it stands for.

    Parameters:
        spoken: First and last + 1 character in what is spoken.
        shown: First and last + 1 character in what is shown.
    """

    spoken: tuple[int, int]
    shown: tuple[int, int]


@dataclass(frozen=True)
class SpokenText:
    """What is spoken for a text.

    Parameters:
        text: What is spoken.
        shown: What it stands for.
        spans: Where the two differ, in order. Between them they are the same, letter for letter.
    """

    text: str
    shown: str
    spans: tuple[Span, ...] = ()

    @cached_property
    def words(self) -> tuple[Span, ...]:
        """The spoken words, each with the shown words that it stands for, or is a part of.

        Within a stretch of several shown words ("12 March 1999") they are aligned as by
        :class:`~conversation.alignment.WordAlignment`. A shown word that fewer spoken words stand
        for than are shown ("1 000 000 €") shares one with its neighbour.
        """
        starts = [span.spoken[0] for span in self.spans]
        inner = [self._inner(span) for span in self.spans]
        found = []
        for word in _WORD.finditer(self.text):
            first = self._place(word.start(), starts, inner)
            last = self._place(word.end() - 1, starts, inner)
            found.append(Span(word.span(), (first[0], last[1])))
        return tuple(found)

    def _inner(self, span: Span) -> list[tuple[int, int, int]]:
        """The words spoken for a stretch: where each ends, and what is shown for it."""
        spoken, shown = self.text[slice(*span.spoken)], self.shown[slice(*span.shown)]
        aligned = WordAlignment(spoken, shown)
        parts = [part.span() for part in _WORD.finditer(shown)] or [(0, len(shown))]
        words = []
        for number, word in enumerate(_WORD.finditer(spoken)):
            first = min(aligned.words_after(number), len(parts) - 1)
            last = max(first, aligned.words_after(number + 1) - 1)
            start, end = parts[first][0] + span.shown[0], parts[last][1] + span.shown[0]
            words.append((word.end() + span.spoken[0], start, end))
        return words

    def _place(
        self, spoken: int, starts: list[int], inner: list[list[tuple[int, int, int]]]
    ) -> tuple[int, int]:
        """What is shown for one character of what is spoken."""
        number = bisect_right(starts, spoken) - 1
        if number < 0:
            return spoken, spoken + 1
        span = self.spans[number]
        if spoken >= span.spoken[1]:
            shown = span.shown[1] + spoken - span.spoken[1]
            return shown, shown + 1
        words = inner[number]
        _, start, end = words[min(bisect_right([w[0] for w in words], spoken), len(words) - 1)]
        return start, end
