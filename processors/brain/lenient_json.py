"""Reads JSON as language models write it, as long as it has only one meaning.

It accepts trailing commas, other quotation marks, keys and ids without any, unescaped marks and
line breaks inside a string, escapes that JSON does not know, and missing closing brackets at the
end. Everything else is an error. A library such as ``json_repair`` makes something of every text;
here a guess would be spoken to a caller.
"""

import re
from typing import Any

_SPACE = re.compile(r"\s*")
_CLOSING = {'"': '"', "'": "'", "“": "”", "\u2018": "\u2019", "`": "`"}
_BARE = re.compile(r"[-_.#/\w]+")
_NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_LITERALS = {"true": True, "false": False, "null": None, "none": None}
# What follows the end of a string; before anything else, a mark is inside it.
_BEHIND_STRING = re.compile(r"\s*(?:[,:}\]]|$|```|<)")
_CUT = re.compile(r"$|```|<")
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_UNICODE = re.compile(r"u([0-9a-fA-F]{4})(?:\\u([dD][c-fC-F][0-9a-fA-F]{2}))?")
_MOST_DEPTH = 8

QUOTES, COMMA, ESCAPE, UNCLOSED = "quotes", "trailing comma", "escape", "unclosed"


class LenientJSONError(ValueError):
    """It has no meaning, or more than one."""


def read(text: str, start: int = 0) -> tuple[Any, int, frozenset[str]]:
    """Read an object or an array.

    Args:
        text: The text.
        start: Where in it the value's first bracket is.

    Returns:
        The value, the position after it, and its faults: any of :data:`QUOTES`, :data:`COMMA`,
        :data:`ESCAPE`, :data:`UNCLOSED`.

    Raises:
        LenientJSONError: It has no certain meaning.
    """
    reader = _Reader(text, start)
    value = reader.value()
    if not isinstance(value, (dict, list)):
        raise LenientJSONError("no object and no array")
    return value, reader.at, frozenset(reader.faults)


class _Reader:
    def __init__(self, text: str, at: int) -> None:
        self.text = text
        self.at = at
        self.faults: set[str] = set()
        self._depth = 0

    def value(self) -> Any:
        self._skip()
        begun = self.text[self.at : self.at + 1]
        if begun in ("{", "["):
            self._depth += 1
            if self._depth > _MOST_DEPTH:
                raise LenientJSONError("too deep")
            found = self._object() if begun == "{" else self._array()
            self._depth -= 1
            return found
        return self._string() if begun in _CLOSING else self._bare(keep_text=False)

    def _object(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._goes_on("}", first=not found):
            begun = self.text[self.at : self.at + 1]
            key = self._string() if begun in _CLOSING else self._bare(keep_text=True)
            self._skip()
            if self.text[self.at : self.at + 1] != ":":
                raise LenientJSONError(f"no value of {key!r}")
            self.at += 1
            value = self.value()
            if found.setdefault(key, value) != value:
                raise LenientJSONError(f"two values of {key!r}")
        return found

    def _array(self) -> list[Any]:
        found: list[Any] = []
        while self._goes_on("]", first=not found):
            found.append(self.value())
        return found

    def _goes_on(self, closing: str, *, first: bool) -> bool:
        """Skip the separator of two items; returns False after the last one."""
        if first:
            self.at += 1
        self._skip()
        comma = not first and self.text[self.at : self.at + 1] == ","
        if comma:
            self.at += 1
            self._skip()
        if self.text[self.at : self.at + 1] == closing:
            self.at += 1
            if comma:
                self.faults.add(COMMA)
            return False
        if not comma and not first:
            if not _CUT.match(self.text, self.at):
                raise LenientJSONError("no comma")
            self.faults.add(UNCLOSED)
            return False
        return True

    def _string(self) -> str:
        opening = self.text[self.at]
        closing = _CLOSING[opening]
        if opening != '"':
            self.faults.add(QUOTES)
        self.at += 1
        parts: list[str] = []
        while self.at < len(self.text):
            sign = self.text[self.at]
            self.at += 1
            if sign == closing:
                if _BEHIND_STRING.match(self.text, self.at):
                    return "".join(parts)
                self.faults.add(QUOTES)
                parts.append(sign)
            elif sign == "\\":
                parts.append(self._escape())
            else:
                if sign < " ":
                    self.faults.add(ESCAPE)
                parts.append(sign)
        raise LenientJSONError("a text that does not end")

    def _escape(self) -> str:
        if point := _UNICODE.match(self.text, self.at):
            self.at = point.end()
            pair = "".join(chr(int(half, 16)) for half in point.groups() if half)
            try:
                return pair.encode("utf-16", "surrogatepass").decode("utf-16")
            except UnicodeDecodeError:
                raise LenientJSONError("half of a character") from None
        sign = self.text[self.at : self.at + 1]
        if not sign:
            raise LenientJSONError("a text that does not end")
        self.at += 1
        if sign not in '"\\/bfnrt':
            self.faults.add(ESCAPE)
        return _ESCAPES.get(sign, sign)

    def _bare(self, *, keep_text: bool) -> Any:
        word = _BARE.match(self.text, self.at)
        if word is None:
            raise LenientJSONError("no value")
        self.at = word.end()
        said = word.group()
        if not keep_text and _NUMBER.fullmatch(said):
            return float(said) if set(said) & set(".eE") else int(said)
        if not keep_text and said.casefold() in _LITERALS:
            return _LITERALS[said.casefold()]
        self.faults.add(QUOTES)
        return said

    def _skip(self) -> None:
        space = _SPACE.match(self.text, self.at)
        self.at = space.end() if space else self.at
