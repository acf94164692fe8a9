"""Names a recogniser should know: taken from a hinted hearing, and only where they are names.

Given a list of names, Whisper writes them well but loops, and hears them where they are not. Heard
twice, without the list and with it, the first hearing is the text and the second may only correct
names in it.
"""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from functools import lru_cache

MAX_WORDS = 3
"""Longest stretch of the plain hearing that one name may replace."""
SIMILAR = 0.75
"""How like a name's spelling a hinted stretch must be, 0 to 1."""
_MIN_LETTERS = 4
_WORD = re.compile(r"\S+")
_END = re.compile(r"[.,!?;:]+$")


def blend(plain: str, hinted: str, names: Sequence[str]) -> str:
    """Correct names in one hearing of an utterance from another.

    Args:
        plain: Heard without hints.
        hinted: The same, heard with the names as hints.
        names: The names, as they should be spelt.

    Returns:
        ``plain`` with each stretch of up to three words that was heard as one of the names in
        ``hinted`` written as that name.
    """
    spellings = _spellings(tuple(names))
    left, right = _WORD.findall(plain), _WORD.findall(hinted)
    match = SequenceMatcher(None, [_bare(w) for w in left], [_bare(w) for w in right], False)
    words: list[str] = []
    for what, i, j, k, m in match.get_opcodes():
        name = None
        if (
            what == "replace"
            and j - i <= MAX_WORDS
            and _spelling(left[i:j], spellings, 1.0) is None
        ):
            name = _spelling(right[k:m], spellings, SIMILAR)
        if name is None:
            words += left[i:j]
        else:
            end = _END.search(left[j - 1])
            words.append(name + (end.group() if end else ""))
    return " ".join(words)


@lru_cache(maxsize=16)
def _spellings(names: tuple[str, ...]) -> dict[str, str]:
    """Names and the long words in them, by their letters and digits alone."""
    known = {_bare(name): name for name in names}
    for name in names:
        for word in name.split():
            known.setdefault(_bare(word), word)
    return {bare: name for bare, name in known.items() if len(bare) >= _MIN_LETTERS}


def _spelling(words: Sequence[str], spellings: dict[str, str], similar: float) -> str | None:
    """The name that a stretch of words is, or is most like."""
    bare = "".join(_bare(word) for word in words)
    if name := spellings.get(bare):
        return name
    if similar >= 1.0 or len(bare) < _MIN_LETTERS:
        return None
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(bare)
    best, found = similar, None
    for known, name in spellings.items():
        matcher.set_seq1(known)
        if matcher.real_quick_ratio() >= best and (ratio := matcher.ratio()) >= best:
            best, found = ratio, name
    return found


def _bare(word: str) -> str:
    return "".join(c for c in word.casefold() if c.isalnum())
