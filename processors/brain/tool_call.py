"""Parses the arguments of a tool call while they stream.

A brain streams ``{"sections": [...], "confidence": "...", "answer": "..."}`` or ``{"reason":
"...", "message": "..."}`` in pieces split anywhere. :class:`ToolCallStream` turns the pieces into
events, without I/O: what must be checked first comes first, and the text follows as it grows. The
arguments are JSON (RFC 8259), parsed once from left to right in linear time. Anthropic does not
validate arguments that it streams eagerly, and some malformed ones whose meaning is certain have
been seen (https://github.com/dust-tt/dust/issues/21976, /24414): an id, or an array in a string, in
place of an array of ids; ids and levels without quotes; unescaped line breaks in strings. These are
accepted. Whether an id exists is for the guardrails.

A parser that starts again with each piece is no substitute. For a call of 655 characters in pieces
of 4, jiter in partial mode took 15 times as long (3.8 ms; 55 ms for 3,000 characters). It also does
not tell whether a string has ended, which would delay the last sentence, and reports an error
behind a value only at the end.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from processors.brain.contract import Tool

_SPACE = re.compile(r"[ \t\n\r]*")
_HIGH, _LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = rf'\\["\\/bfnrt]|{_HIGH}{_LOW}|(?!{_HIGH}|{_LOW})\\u[0-9a-fA-F]{{4}}'
# What a string may contain: no half of a surrogate pair, and of the control characters only line
# breaks and tabs, which models sometimes leave unescaped.
_RUN = re.compile(rf'(?:[^"\\\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]++|{_ESCAPE})*+')
_ESCAPE_CUT = re.compile(
    r"\\(?:u[0-9a-fA-F]{0,3})?"
    rf"|{_HIGH}(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?"
)
_WORD = re.compile(r"[-_./0-9A-Za-z]*")
_ATOM = re.compile(r"[-+.0-9A-Za-z]*")
_ATOM_WHOLE = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_KINDS = {'"': "a string", "{": "an object", "[": "an array"}
_KINDS |= {"t": "true", "f": "false", "n": "null"} | dict.fromkeys("-0123456789", "a number")

_LEADING: dict[Tool, tuple[str, ...]] = {
    "respond": ("sections", "confidence"),
    "escalate": ("reason",),
}
_LITERALS = frozenset({"true", "false", "null"})
_TEXT: dict[Tool, str] = {"respond": "answer", "escalate": "message"}


@dataclass(frozen=True, slots=True)
class SectionsKnown:
    """All section ids of a ``respond``.

    Parameters:
        sections: The ids as the brain gave them, unchecked.
    """

    sections: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConfidenceKnown:
    """The confidence of a ``respond``.

    Parameters:
        confidence: As the brain gave it, unchecked.
    """

    confidence: str


@dataclass(frozen=True, slots=True)
class ReasonKnown:
    """The reason of an ``escalate``.

    Parameters:
        reason: As the brain gave it, unchecked.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the answer or message, decoded. Never empty.

    Parameters:
        text: The piece; never half of a surrogate pair written as two escapes.
    """

    text: str


@dataclass(frozen=True, slots=True)
class TextEnd:
    """The answer or message has ended; the call may not be closed yet."""


@dataclass(frozen=True, slots=True)
class Complete:
    """The call is closed, and no key is missing."""


ToolCallEvent = SectionsKnown | ConfidenceKnown | ReasonKnown | TextDelta | TextEnd | Complete


class ToolCallError(ValueError):
    """The arguments are not a valid call of the tool.

    Parameters:
        position: Position of the error, in characters from the start of the arguments.
        expected: What was expected there.
        found: What was found.
    """

    def __init__(self, position: int, expected: str, found: str) -> None:
        super().__init__(f"at character {position}: expected {expected}, found {found}")
        self.position = position
        self.expected = expected
        self.found = found


class ToolCallStream:
    """A streaming parser for the arguments of one call.

    Whatever the order of the keys, events come in this order: ``SectionsKnown``,
    ``ConfidenceKnown`` (or ``ReasonKnown``), ``TextDelta`` any number of times, ``TextEnd``,
    ``Complete``. Text that arrives too early is withheld. Unknown keys are skipped; a repeated key
    is an error, because it is ambiguous.

    Parameters:
        tool: The tool called.
        max_chars: Maximum length of the JSON, in characters.
    """

    def __init__(self, tool: Tool, *, max_chars: int = 16_384) -> None:
        self._leading = _LEADING[tool]
        self._text_key = _TEXT[tool]
        self._fields = (*self._leading, self._text_key)
        self._max_chars = max_chars

        self._state: Callable[[str, int], int] = self._at_start
        self._tail = ""  # An escape that was split at the end of the last piece.
        self._offset = 0  # Position of the tail, or of the next piece, in the whole JSON.
        self._error: ToolCallError | None = None
        self._events: list[ToolCallEvent] = []

        self._open: list[str] = []  # The closing brackets awaited, outermost first.
        self._keys: set[str] = set()
        self._key = ""  # The current key at the top level; empty if it is skipped.
        self._parts: list[str] = []  # Of the current string or atom.
        self._after_string: Callable[[str, int], None] = self._key_ended
        self._streams = False  # Whether that string is the text, which streams before it ends.

        self._items: list[str] = []
        self._known: dict[str, ToolCallEvent] = {}
        self._announced = 0
        self._withheld: list[str] = []
        self._text_ended = False

    @property
    def pending(self) -> bool:
        """Whether it waits for the rest of an escape before it gives what was said."""
        return bool(self._tail)

    @property
    def in_text(self) -> bool:
        """Whether it reads the answer or message."""
        return self._streams

    @property
    def complete(self) -> bool:
        """Whether the call is closed, and no key is missing."""
        return self._state == self._at_end and self._error is None

    def feed(self, piece: str) -> list[ToolCallEvent]:
        """Parse the next piece.

        Raises:
            ToolCallError: The arguments are not a valid call. The piece's other events are lost,
                and any further call raises the same error.
        """
        if self._error is not None:
            raise self._error
        text = self._tail + piece if self._tail else piece
        end = len(text)
        events: list[ToolCallEvent] = []
        self._events = events
        try:
            if self._offset + end > self._max_chars:
                most = f"at most {self._max_chars} characters"
                raise ToolCallError(self._max_chars, most, "more")
            position = 0
            while position < end:
                after = self._state(text, position)
                if after == position and self._state == self._string:
                    break  # A split escape, parsed with the next piece.
                position = after
            self._tail = text[position:]
            self._offset += position
            if self._streams and self._parts:
                self._grow("".join(self._parts))
                self._parts.clear()
        except ToolCallError as error:
            self._error = error
            raise
        return events

    def close(self) -> None:
        """End the arguments.

        Raises:
            ToolCallError: The call is not complete.
        """
        if self._error is not None:
            raise self._error
        if not self.complete:
            position = self._offset + len(self._tail)
            self._error = ToolCallError(position, "the rest of the call", "its end")
            raise self._error

    # Events in their order.

    def _announce(self, key: str, event: ToolCallEvent) -> None:
        self._known[key] = event
        while self._announced < len(self._leading):
            ready = self._known.get(self._leading[self._announced])
            if ready is None:
                return
            self._events.append(ready)
            self._announced += 1
        if self._withheld:
            self._events.append(TextDelta("".join(self._withheld)))
            self._withheld.clear()
        if self._text_ended:
            self._events.append(TextEnd())

    def _grow(self, text: str) -> None:
        if self._announced < len(self._leading):
            self._withheld.append(text)
        else:
            self._events.append(TextDelta(text))

    # States. Each parses from a position and returns the next; the same one if it needs more text.

    def _at_start(self, text: str, position: int) -> int:
        position = _past_space(text, position)
        if position < len(text):
            if text[position] != "{":
                raise self._refusal(text, position, "'{'")
            position = self._opened("}", position)
        return position

    def _first_key(self, text: str, position: int) -> int:
        position = _past_space(text, position)
        if text[position : position + 1] == "}":
            return self._closed(position)
        return self._next_key(text, position)

    def _next_key(self, text: str, position: int) -> int:
        position = _past_space(text, position)
        if position < len(text):
            if text[position] != '"':
                raise self._refusal(text, position, "a key")
            self._after_string = self._key_ended
            self._state = self._string
            position += 1
        return position

    def _colon(self, text: str, position: int) -> int:
        position = _past_space(text, position)
        if position < len(text):
            if text[position] != ":":
                raise self._refusal(text, position, "':'")
            self._state = self._value
            position += 1
        return position

    def _first_item(self, text: str, position: int) -> int:
        position = _past_space(text, position)
        if text[position : position + 1] == "]":
            return self._closed(position)
        return self._value(text, position)

    def _value(self, text: str, position: int) -> int:
        position = _past_space(text, position)
        if position == len(text):
            return position
        begun = text[position]
        if self._key in self._leading and begun.isascii() and begun.isalpha():
            self._state = self._word
            return position
        self._check_kind(text, position, begun)
        if begun == '"':
            self._after_string = self._value_ended
            self._streams = len(self._open) == 1 and self._key == self._text_key
            self._state = self._string
        elif begun == "{":
            return self._opened("}", position)
        elif begun == "[":
            return self._opened("]", position)
        else:
            self._state = self._atom
            return position
        return position + 1

    def _check_kind(self, text: str, position: int, begun: str) -> None:
        """Reject a value of the wrong kind."""
        expected = "a value"
        if self._key:
            listed = self._key == "sections" and len(self._open) == 1
            expected = f"{'an array of ids' if listed else 'a string'} for {self._key!r}"
            if begun == '"' or (listed and begun == "["):
                return
        elif begun in _KINDS:
            return
        raise self._refusal(text, position, expected)

    def _string(self, text: str, position: int) -> int:
        run = _RUN.match(text, position)
        end = run.end() if run else position
        if end > position:
            part = text[position:end]
            whole = json.loads(f'"{part}"', strict=False) if "\\" in part else part
            self._parts.append(whole)
        if end == len(text):
            return end
        if text[end] == '"':
            whole = "".join(self._parts)
            self._parts.clear()
            self._after_string(whole, end)
            return end + 1
        if end == position and not _ESCAPE_CUT.fullmatch(text, end):
            raise self._refusal(text, end, "a character that a JSON string may hold")
        return end

    def _key_ended(self, key: str, position: int) -> None:
        self._state = self._colon
        if len(self._open) > 1:
            return
        if key in self._keys:
            raise ToolCallError(self._offset + position, f"{key!r} once", "it again")
        self._keys.add(key)
        self._key = key if key in self._fields else ""

    def _value_ended(self, value: str, _position: int) -> None:
        self._state = self._after_value
        if self._streams:
            if value:
                self._grow(value)
            self._streams = False
            self._text_ended = True
            if self._announced == len(self._leading):
                self._events.append(TextEnd())
        elif self._key == "sections":
            if len(self._open) > 1:
                self._items.append(value)
            else:
                self._announce(self._key, SectionsKnown(_ids(value)))
        elif self._key == "confidence":
            self._announce(self._key, ConfidenceKnown(value))
        elif self._key == "reason":
            self._announce(self._key, ReasonKnown(value))

    def _word(self, text: str, position: int) -> int:
        """An id or level without quotes, which is unambiguous."""
        run = _WORD.match(text, position)
        end = run.end() if run else position
        self._parts.append(text[position:end])
        if end < len(text):
            whole = "".join(self._parts)
            self._parts.clear()
            if whole in _LITERALS:
                expected = f"a string for {self._key!r}"
                raise ToolCallError(self._offset + end - len(whole), expected, whole)
            self._value_ended(whole, end)
        return end

    def _atom(self, text: str, position: int) -> int:
        run = _ATOM.match(text, position)
        end = run.end() if run else position
        self._parts.append(text[position:end])
        if end < len(text):
            whole = "".join(self._parts)
            if not _ATOM_WHOLE.fullmatch(whole):
                raise ToolCallError(self._offset + end - len(whole), "a value", repr(whole[:20]))
            self._parts.clear()
            self._state = self._after_value
        return end

    def _after_value(self, text: str, position: int) -> int:
        position = _past_space(text, position)
        if position < len(text):
            closer = self._open[-1]
            if text[position] == closer:
                return self._closed(position)
            if text[position] != ",":
                raise self._refusal(text, position, f"',' or '{closer}'")
            self._state = self._next_key if closer == "}" else self._value
            position += 1
        return position

    def _at_end(self, text: str, position: int) -> int:
        position = _past_space(text, position)
        if position < len(text):
            raise self._refusal(text, position, "nothing after the call")
        return position

    # Transitions of several states.

    def _opened(self, closer: str, position: int) -> int:
        self._open.append(closer)
        self._state = self._first_key if closer == "}" else self._first_item
        return position + 1

    def _closed(self, position: int) -> int:
        self._open.pop()
        self._state = self._after_value
        if len(self._open) == 1 and self._key == "sections":
            self._announce(self._key, SectionsKnown(tuple(self._items)))
        elif not self._open:
            missing = [key for key in self._fields if key not in self._keys]
            if missing:
                raise ToolCallError(self._offset + position, f"a key {missing[0]!r}", "'}'")
            self._events.append(Complete())
            self._state = self._at_end
        return position + 1

    def _refusal(self, text: str, position: int, expected: str) -> ToolCallError:
        found = text[position]
        return ToolCallError(self._offset + position, expected, _KINDS.get(found, repr(found)))


def _ids(value: str) -> tuple[str, ...]:
    """Return the ids of a string given in place of an array: one id, or an array as JSON."""
    if value.lstrip().startswith("["):
        try:
            ids = json.loads(value)
        except ValueError:
            ids = None
        if isinstance(ids, list) and all(isinstance(id, str) for id in ids):
            return tuple(ids)
    return (value.strip(),)


def _past_space(text: str, position: int) -> int:
    space = _SPACE.match(text, position)
    return space.end() if space else position
