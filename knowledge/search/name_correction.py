"""Corrects misheard names to the document's spelling."""

import re
from collections.abc import Callable, Iterable, Set
from itertools import pairwise

from rapidfuzz.distance import JaroWinkler

from knowledge.words import STOPWORDS, Token, normalize, stem, token_keys, tokens

_SURELY_MISHEARD, _PERHAPS_MISHEARD = 0.93, 0.84  # Jaro-Winkler similarity
_SHORTEST = 4  # letters: shorter words are too similar to each other
_SHORTEST_JOINED = 6  # letters of two words that are tried as one name
_SPELLED = re.compile(r"\b[A-Za-z](?:[\s.]+[A-Za-z]\b)+")
_DIGITS = {"zero": "0", "oh": "0", "naught": "0", "one": "1", "two": "2"}


class NameCorrection:
    """Corrects misheard names of a document.

    Parameters:
        names: Its names, one word each.
        known: Keys and stems of all its words, none of which is a misheard name.
        words: Its words as written, for the hyphenated ones among them.
        is_common: Whether a word is a common one: "money" is not "Monkeys" misheard.
    """

    def __init__(
        self,
        names: Iterable[str],
        known: Set[str],
        words: Iterable[Token],
        is_common: Callable[[str], bool],
    ) -> None:
        self._names = {normalize(name): name for name in names if len(normalize(name)) >= _SHORTEST}
        self._known = known
        self._is_common = is_common
        words = tuple(words)
        self._joined = {token.key: token.text for token in words if len(token_keys(token)) > 1}
        # Adjacent words that a recogniser may write as one; that word is not a misheard name.
        self._beside = {one.key + other.key: (one, other) for one, other in pairwise(words)}

    def corrected(self, text: str) -> str:
        """The text with misheard names corrected."""
        text = _SPELLED.sub(self._unspelled, text)
        words = tokens(text)
        out, end, skip = "", 0, False
        for spot, token in enumerate(words):
            if skip:
                skip = False
                continue
            following = words[spot + 1] if spot + 1 < len(words) else None
            wanted = None
            if following and (joined := self._in_one(token, following)):
                wanted, skip, stop = joined, True, following.start + len(following.text)
            else:
                wanted, stop = self._heard(token), token.start + len(token.text)
            if wanted is not None:
                out += text[end : token.start] + wanted
                end = stop
        return out + text[end:]

    def _in_one(self, token: Token, following: Token) -> str | None:
        """The document's word that was heard as two: "flow matic", "A zero", "tide water"."""
        both = token.key + _DIGITS.get(following.key, following.key)
        if both in self._joined:
            return self._joined[both]
        if both in self._beside or len(both) < _SHORTEST_JOINED:
            return None
        if both in self._names:
            return self._names[both]
        if self._knows(token) and self._knows(following):
            return None
        return next(
            (
                written
                for name, written in self._names.items()
                if len(name) >= _SHORTEST_JOINED
                and JaroWinkler.similarity(both, name) >= _SURELY_MISHEARD
                and JaroWinkler.similarity(token.key, name) < _SURELY_MISHEARD
            ),
            None,
        )

    def _heard(self, token: Token) -> str | None:
        if token.key in self._joined:
            return self._joined[token.key]
        if token.key in self._beside and not self._knows(token):
            one, other = self._beside[token.key]
            if one.capital:
                return f"{one.text} {other.text}"
        if len(token.key) < _SHORTEST or token.key in STOPWORDS or self._knows(token):
            return None
        if not token.capital and self._is_common(token.key):
            return None
        best: tuple[float, str] | None = None
        for name, written in self._names.items():
            if abs(len(name) - len(token.key)) > 2:
                continue
            likeness = JaroWinkler.similarity(token.key, name)
            alike = likeness >= _SURELY_MISHEARD or (
                likeness >= _PERHAPS_MISHEARD and _sound_alike(token.key, name)
            )
            if alike and (best is None or likeness > best[0]):
                best = likeness, written
        if best is None:
            return None
        return best[1] + ("'s" if token.text.lower().endswith("'s") else "")

    def _unspelled(self, spelled: re.Match[str]) -> str:
        """Join spelled letters, such as "P h d", if the document contains the word."""
        joined = re.sub(r"[\s.]", "", spelled[0])
        return joined.upper() if joined.lower() in self._known else spelled[0]

    def _knows(self, token: Token) -> bool:
        return all(part in self._known or stem(part) in self._known for part in token_keys(token))


_SOUNDS = str.maketrans("bfgckqdtszxvmnrl", "bfkkkktdssxfnnrl".replace("td", "tt"))


def _sound_alike(one: str, other: str) -> bool:
    """Whether two words have the same consonants, except perhaps for a final one."""
    short, long = sorted((_consonants(one), _consonants(other)), key=len)
    return short == long or (len(short) >= 3 and long[:-1] == short)


def _consonants(word: str) -> str:
    kept = re.sub(r"[^bcdfgjklmnpqrstvxz]", "", word).translate(_SOUNDS)
    return re.sub(r"(.)\1+", r"\1", kept)
