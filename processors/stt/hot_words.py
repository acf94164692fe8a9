"""Correct the names in a transcript from a second decoding that had the names as a hint.

Given a list of names as its prompt, Whisper spells them well, but it loops and finds them where
they were not said. So an utterance is decoded twice: the decoding without the hint is the
transcript, and the one with the hint may only correct names in it.
"""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from functools import lru_cache

MAX_WORDS = 3
"""Maximum words of the plain transcript that one name may replace."""
SIMILAR = 0.75
"""Minimum ``SequenceMatcher.ratio`` of a hinted stretch and a name's spelling, 0 to 1."""
_RESEMBLES = 0.6
"""The same between a stretch of a transcript and a name that may have been said there."""
_MIN_LETTERS = 4  # shorter stretches resemble too much else
_WORD = re.compile(r"\S+")
_DISTINCTIVE = re.compile(r"\w\S*[-A-Z0-9]\S*")
_END = re.compile(r"('s)?[.,!?;:]*$")


def correct_names(plain: str, hinted: str, names: Sequence[str]) -> str:
    """Correct the names in one transcript of an utterance from another.

    Args:
        plain: The transcript decoded without a hint.
        hinted: The transcript of the same audio decoded with the names as a hint.
        names: The names, as they should be spelt.

    Returns:
        ``plain``, with each stretch of up to three words replaced by the name that ``hinted`` has
        in its place, if there is one.
    """
    exact, distinctive = _spellings(tuple(names))
    left, right = _WORD.findall(plain), _WORD.findall(hinted)
    match = SequenceMatcher(None, [_run([w]) for w in left], [_run([w]) for w in right], False)
    words: list[str] = []
    for tag, i, j, k, m in match.get_opcodes():
        if tag == "replace" and j - i <= MAX_WORDS:
            words += _corrected(left[i:j], right[k:m], exact, distinctive)
        else:
            words += left[i:j]
    return " ".join(words)


def may_mean_names(text: str, names: Sequence[str]) -> bool:
    """Whether some words of a transcript are like a name of the document, and no such name."""
    exact, _ = _spellings(tuple(names))
    words = _WORD.findall(text)
    runs = (
        _run(words[at : at + size])
        for at in range(len(words))
        for size in range(1, min(MAX_WORDS, len(words) - at) + 1)
    )
    return any(run not in exact and _nearest(run, exact, _RESEMBLES) for run in runs)


def spell_names(text: str, names: Sequence[str]) -> str:
    """Spell distinctive names as the document does: FLOW-MATIC for "flow matic" and "flowmatic".

    Distinctive names contain a hyphen, a digit, or a capital within a word; ordinary words stay.
    """
    _, distinctive = _spellings(tuple(names))
    words = _WORD.findall(text)
    written: list[str] = []
    at = 0
    while at < len(words):
        for size in range(min(MAX_WORDS, len(words) - at), 0, -1):
            stretch = words[at : at + size]
            if name := distinctive.get(_run(stretch)):
                written.append(_punctuated(name, stretch))
                break
        else:
            size = 1
            written.append(words[at])
        at += size
    return " ".join(written)


def _corrected(
    plain: list[str], hinted: list[str], exact: dict[str, str], distinctive: dict[str, str]
) -> list[str]:
    """Replace a stretch by a name, if that is what the hinted decoding has in its place."""
    if _run(plain) in exact:
        return plain
    run = _run(hinted)
    if name := exact.get(run) or _nearest(run, distinctive):
        return [_punctuated(name, plain)]
    if len(plain) == len(hinted) > 1:
        corrected: list[str] = []
        for left, right in zip(plain, hinted, strict=True):
            corrected += _corrected([left], [right], exact, distinctive)
        return corrected
    return plain


@lru_cache(maxsize=16)
def _spellings(names: tuple[str, ...]) -> tuple[dict[str, str], dict[str, str]]:
    """Map the letters and digits of names, and of the words in them, to their spelling.

    Returns:
        All of them, and the distinctive ones. "Night" of "Late Night" may replace an exact match,
        but only a distinctive name such as FLOW-MATIC may replace something similar.
    """
    known = {_run([name]): name for name in names}
    for name in names:
        for word in name.split():
            known.setdefault(_run([word]), word)
    exact = {run: name for run, name in known.items() if len(run) >= _MIN_LETTERS}
    return exact, {run: name for run, name in exact.items() if _DISTINCTIVE.search(name)}


def _punctuated(name: str, words: Sequence[str]) -> str:
    """Append to a name the punctuation that follows the words it replaces."""
    end = _END.search(words[-1])
    return name + (end.group() if end else "")


def _nearest(run: str, spellings: dict[str, str], least: float = SIMILAR) -> str | None:
    """Return the name whose spelling is most similar, if any is similar enough."""
    if len(run) < _MIN_LETTERS:
        return None
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(run)
    best, found = least, None
    for spelling, name in spellings.items():
        matcher.set_seq1(spelling)
        if matcher.real_quick_ratio() >= best and (ratio := matcher.ratio()) >= best:
            best, found = ratio, name
    return found


def _run(words: Sequence[str]) -> str:
    """Join the letters and digits of some words."""
    return "".join(c for word in words for c in _END.sub("", word).casefold() if c.isalnum())
