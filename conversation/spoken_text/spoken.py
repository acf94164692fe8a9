"""A spoken text, aligned with the shown text that it stands for."""

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
        spoken: Its start and end in the spoken text, in characters; the end is exclusive.
        shown: Its start and end in the shown text.
    """

    spoken: tuple[int, int]
    shown: tuple[int, int]


@dataclass(frozen=True)
class SpokenText:
    """A text as it is spoken and as it is shown.

    Parameters:
        text: The spoken text.
        shown: The shown text.
        spans: Where the two differ, in order; elsewhere they are identical.
    """

    text: str
    shown: str
    spans: tuple[Span, ...] = ()

    @cached_property
    def words(self) -> tuple[Span, ...]:
        """The spoken words, each with the shown words that it stands for or is a part of.

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
        """Return where each word spoken for a span ends, and the shown text it stands for."""
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
        """Return the shown text for one character of the spoken text."""
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
