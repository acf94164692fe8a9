"""Tells the voice's own words, heard through the caller's microphone, from the caller's.

A loudspeaker beside a microphone is heard by the recogniser unless the client cancels it: browsers
do, speakerphones and other clients may not. What is heard while the voice speaks, and is what it
speaks at that moment, is nobody's question.
"""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from rapidfuzz import fuzz

_ALIKE = 85.0
"""How much of the letters, in percent, must be found in what was played."""

_MIN_LETTERS = 10
"""Fewer letters are an echo only as whole words, for they are like too much."""

_RUN_WORDS = 3
"""Words in a row at the beginning that are the voice's, before somebody else's words."""

_WORD = re.compile(r"\w+(?:'\w+)?")


def without_echo(heard: str, played: str) -> str:
    """Remove the voice's own words from a transcript.

    Args:
        heard: What was heard over the voice.
        played: What the voice spoke during that time, and shortly before.

    Returns:
        Nothing if all of it is what was played; the rest, if that follows three words or more of
        it; otherwise the transcript as it is.
    """
    spoken = _words(played)
    found = list(_WORD.finditer(heard))
    words = [match.group().casefold() for match in found]
    if not words or not spoken:
        return heard
    if _is_run(words, spoken):
        return ""
    letters = " ".join(words)
    text = " ".join(spoken)
    alike = len(letters) <= len(text) and fuzz.partial_ratio(letters, text) >= _ALIKE
    if alike and len(letters) >= _MIN_LETTERS:
        return ""
    block = SequenceMatcher(None, words, spoken, False).find_longest_match()
    if block.a > 1 or block.size < _RUN_WORDS:
        return heard
    return heard[found[block.a + block.size].start() :] if block.a + block.size < len(found) else ""


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]


def _is_run(words: Sequence[str], spoken: Sequence[str]) -> bool:
    size = len(words)
    places = range(len(spoken) - size + 1)
    return any(list(spoken[at : at + size]) == list(words) for at in places)
