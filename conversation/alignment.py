"""Aligns a shown text with its spoken text, to tell which shown words have been heard.

"12 March 1999" may be spoken "the twelfth of March nineteen ninety-nine": a voice is given one
text, a caption shows the other, and a vendor's word times refer to the first.
"""

import re
from difflib import SequenceMatcher

_WORD = re.compile(r"\S+")


class WordAlignment:
    """The words of a shown text by those of its spoken text.

    Words that both have in common stand for each other. Between them, a stretch of spoken words
    stands for a stretch of shown ones, and a shown word counts as heard with the last spoken word
    that it takes: of "nineteen ninety-nine", nothing of "1999" before "ninety-nine" begins. What is
    shown and not spoken is heard with the next word that is.

    Args:
        spoken: The text that a voice is given.
        shown: The text that stands for it.
    """

    def __init__(self, spoken: str, shown: str) -> None:
        self._same = spoken == shown
        self._starts = [word.start() for word in _WORD.finditer(spoken)]
        self._ends = [word.end() for word in _WORD.finditer(shown)]
        self._shown_after = [0]  # by number of spoken words that have begun: shown words heard
        if not self._same:
            self._align(spoken.split(), shown.split())

    def _align(self, spoken: list[str], shown: list[str]) -> None:
        matcher = SequenceMatcher(
            None, [_key(word) for word in spoken], [_key(word) for word in shown], autojunk=False
        )
        for kind, first, last, shown_first, shown_last in matcher.get_opcodes():
            count, shown_count = last - first, shown_last - shown_first
            for number in range(1, count + 1):
                done = number if kind == "equal" else number * shown_count // count
                self._shown_after.append(shown_first + done)
        if spoken:
            self._shown_after[-1] = len(shown)

    def words_after(self, spoken_words: int) -> int:
        """Number of shown words heard once this many spoken words have begun."""
        return spoken_words if self._same else self._shown_after[spoken_words]

    def end_after(self, spoken_end: int) -> int:
        """Where the heard part of the shown text ends, given the position of the speech.

        Args:
            spoken_end: The end, in characters of the spoken text, of the last word that has begun.
        """
        if self._same:
            return spoken_end
        words = self.words_after(sum(start < spoken_end for start in self._starts))
        return self._ends[words - 1] if words else 0


def _key(word: str) -> str:
    """A word without case and punctuation; punctuation alone stays what it is."""
    return "".join(filter(str.isalnum, word)).casefold() or word
