"""Removes the voice's echo from transcripts of the caller's microphone.

Unless the client cancels echo, the microphone picks up the loudspeaker. Browsers cancel it;
speakerphones and other clients may not. Words transcribed while the voice speaks the same words are
an echo, not a question.
"""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from rapidfuzz import fuzz

# Chosen by hand on made-up transcripts (tests/conversation/test_echo.py), not on recorded echoes.
_ALIKE = 85.0
"""Minimum similarity to the played text, in percent, of ``rapidfuzz.fuzz.partial_ratio``."""

_MIN_LETTERS = 10
"""A shorter transcript is an echo only if its words match: letters alone match by chance."""

_RUN_WORDS = 3
"""Minimum number of echoed words at the start that are removed from the caller's words."""

_WORD = re.compile(r"\w+(?:'\w+)?")


def without_echo(heard: str, played: str) -> str:
    """Remove the voice's echo from a transcript.

    Args:
        heard: The transcript of speech over the voice.
        played: The text that the voice spoke during that time, and shortly before.

    Returns:
        An empty text if all of it is echo; the rest, if it starts with three echoed words or more;
        otherwise the transcript as it is.
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
