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
_ODD = re.compile(r"\w\S*[-A-Z0-9]\S*")
_END = re.compile(r"('s)?[.,!?;:]*$")


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
    exact, odd = _spellings(tuple(names))
    left, right = _WORD.findall(plain), _WORD.findall(hinted)
    match = SequenceMatcher(None, [_run([w]) for w in left], [_run([w]) for w in right], False)
    words: list[str] = []
    for what, i, j, k, m in match.get_opcodes():
        if what == "replace" and j - i <= MAX_WORDS:
            words += _corrected(left[i:j], right[k:m], exact, odd)
        else:
            words += left[i:j]
    return " ".join(words)


def spelt(text: str, names: Sequence[str]) -> str:
    """Write the names that no dictionary holds as the document does: FLOW-MATIC for flowmatic."""
    _, odd = _spellings(tuple(names))
    words = _WORD.findall(text)
    written: list[str] = []
    at = 0
    while at < len(words):
        for size in range(min(MAX_WORDS, len(words) - at), 0, -1):
            stretch = words[at : at + size]
            if name := odd.get(_run(stretch)):
                written.append(_as(name, stretch))
                break
        else:
            size = 1
            written.append(words[at])
        at += size
    return " ".join(written)


def _corrected(
    plain: list[str], hinted: list[str], exact: dict[str, str], odd: dict[str, str]
) -> list[str]:
    """A stretch that was heard in two ways: as a name, if the second way is one."""
    if _run(plain) in exact:
        return plain
    heard = _run(hinted)
    if name := exact.get(heard) or _nearest(heard, odd):
        return [_as(name, plain)]
    if len(plain) == len(hinted) > 1:
        pairs = zip(plain, hinted, strict=True)
        return [word for pair in pairs for word in _corrected([pair[0]], [pair[1]], exact, odd)]
    return plain


@lru_cache(maxsize=16)
def _spellings(names: tuple[str, ...]) -> tuple[dict[str, str], dict[str, str]]:
    """Names and the words in them, by their letters and digits; and those no dictionary holds.

    "Night" of "Late Night" is worth writing when it was heard, but only of a name like FLOW-MATIC
    can something merely like it be nothing else.
    """
    known = {_run([name]): name for name in names}
    for name in names:
        for word in name.split():
            known.setdefault(_run([word]), word)
    exact = {run: name for run, name in known.items() if len(run) >= _MIN_LETTERS}
    return exact, {run: name for run, name in exact.items() if _ODD.search(name)}


def _as(name: str, words: Sequence[str]) -> str:
    """A name with the punctuation that was behind the words it replaces."""
    end = _END.search(words[-1])
    return name + (end.group() if end else "")


def _nearest(heard: str, spellings: dict[str, str]) -> str | None:
    """The name that a stretch of words is most like, if it is like one at all."""
    if len(heard) < _MIN_LETTERS:
        return None
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(heard)
    best, found = SIMILAR, None
    for run, name in spellings.items():
        matcher.set_seq1(run)
        if matcher.real_quick_ratio() >= best and (ratio := matcher.ratio()) >= best:
            best, found = ratio, name
    return found


def _run(words: Sequence[str]) -> str:
    """The letters and digits of some words, run together."""
    return "".join(c for word in words for c in _END.sub("", word).casefold() if c.isalnum())
