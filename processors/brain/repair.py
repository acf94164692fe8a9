"""Reads the reply of a model behind chat completions as one tool call, and repairs its form.

No other module repairs an answer. A repair changes the form and never the content: names, brackets,
quotation marks, the spelling of ids and levels. The guardrails then check the call like any other.
Each repair has a name in :data:`WAYS`; a turn's check ``form`` lists them, and a metric counts
them. A form with more than one reading is passed on as it came, and the guardrails refuse it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from knowledge.loading.document import Document
from processors.brain import lenient_json, written_call
from processors.brain.contract import (
    ArgumentsDelta,
    BrainEvent,
    Repaired,
    Tool,
    ToolStart,
)
from processors.brain.prompt import CONFIDENCES, REASONS
from processors.brain.tool_call import (
    ConfidenceKnown,
    ReasonKnown,
    SectionsKnown,
    TextDelta,
    TextEnd,
    ToolCallError,
    ToolCallStream,
)
from processors.brain.tools import FunctionTool

WAYS: Mapping[str, str] = {
    written_call.IN_TEXT: "the call was written in the text",
    written_call.IN_TAGS: "the call was written in tags",
    written_call.IN_FENCE: "the call was written in a code fence",
    written_call.IN_PYTHON: "the call was written as in Python",
    lenient_json.QUOTES: "quotation marks that are not JSON's",
    lenient_json.COMMA: "a trailing comma",
    lenient_json.ESCAPE: "signs that JSON wants escaped, or does not know escaped",
    lenient_json.UNCLOSED: "a closing bracket was missing",
    "name": "the tool's name had something around it, or was missing",
    "arguments": "the arguments were no text, or had something around them",
    "sections": "the sections were no array of ids",
    "ids": "an id was spelt in another way",
    "confidence": "the confidence was a number, missing, or spelt in another way",
    "reason": "the reason or the message was missing, or spelt in another way",
    "repeated": "the same call came twice",
    "unstreamed": "the reply was not streamed",
    "unended": "the stream had a whole call, but no end",
}
"""The repairs: the name of each, and what was wrong."""

MAX_CHARS = written_call.MAX_CHARS

# How a call begins in a text that is to be read while it still arrives.
_BEGINS = re.compile(
    r"\s*(?:```(?:json)?\s*)?(?P<tag><tool_call>\s*)?\{\s*(?:\"call\"\s*:\s*\{\s*)?"
    r"\"(?:name|tool)\"\s*:\s*\"(?P<tool>respond|escalate)\"\s*,"
    r"\s*\"(?:arguments|parameters)\"\s*:\s*(?=\{)"
)
_LONGEST_BEGINNING = 160
_HIGH, _MEDIUM = 0.8, 0.5  # From these on, a number means that level; chosen, not measured.
_NUMBER = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(%?)\s*")
_ID_GAP = re.compile(r"[\s_-]+")
_AROUND_ID = re.compile(r"^[\s#\[(<\"'`]*(?:section\b(?:\s+id\b)?[\s=:\"'`]*)?|[\s\])>\"'`/.]*$")
# What may stand around a call's braces and says nothing: brackets, a fence, tags, special tokens.
_JUNK = re.compile(r"(?:\s|```\w*|[}\])\"'`;]|<[^<>]{0,80}>|\[/?[A-Z_]+\])*+")
_OWN = ("respond", "escalate")
_TEXT_KEYS = {"respond": "answer", "escalate": "message"}


@dataclass
class _Made:
    """A tool call as it arrives.

    Parameters:
        key: The number or id by which the endpoint tells calls apart.
        name: Its name, as far as it has come.
        source: The arguments so far.
        live: Whether it is passed on while it arrives.
    """

    key: tuple[object, str]
    name: str = ""
    source: str = ""
    live: "_Live | None" = None
    ways: set[str] = field(default_factory=set)


class ModelReply:
    """Reads one reply piece by piece; each method returns the events that are certain by then.

    Parameters:
        document: The document, whose ids may be cited.
        registered: The tools that may be called beside ``respond`` and ``escalate``.
        in_text: Whether the call is expected in the text, so that finding it there is no repair.
    """

    def __init__(
        self,
        document: Document,
        registered: Sequence[FunctionTool] = (),
        *,
        in_text: bool = False,
    ) -> None:
        self._spelling = Spelling(document, registered)
        self._offered = (*_OWN, *(tool.name for tool in registered))
        self._in_text = in_text
        self._calls: list[_Made] = []
        self._text = ""
        self._written: _Live | None = None  # A call in the text, passed on while it arrives.
        self._ways: dict[str, None] = {}

    @property
    def begun(self) -> bool:
        """Whether a call, or the beginning of one, has arrived."""
        return bool(self._calls) or self._written is not None

    @property
    def text_chars(self) -> int:
        """Number of characters outside any call."""
        return 0 if self._written else len(self._text)

    @property
    def whole(self) -> bool:
        """Whether a call has arrived up to its last brace."""
        live = self._calls[0].live if self._calls else self._written
        if live is not None:
            return live.whole
        return bool(self._calls) and _parsed(self._calls[0].source) is not None

    def note(self, way: str) -> None:
        """Note a repair made elsewhere."""
        self._ways[way] = None

    def call(self, index: object, id: str, name: str, arguments: object) -> list[BrainEvent]:
        """Take a piece of a tool call.

        Args:
            index: Its number in the reply, if the endpoint numbers calls.
            id: Its id; not all endpoints repeat it.
            name: The tool's name; empty where it does not come again.
            arguments: A piece of the arguments; some endpoints give an object.
        """
        key = (index, id)
        last = self._calls[-1] if self._calls else None
        if last is None or index != last.key[0] or (id and id != last.key[1]):
            last = _Made(key)
            self._calls.append(last)
        last.name = last.name or name
        if isinstance(arguments, str):
            piece = arguments
        else:
            piece = "" if arguments is None else json.dumps(arguments, ensure_ascii=False)
            if piece:
                last.ways.add("arguments")
        last.source += piece
        if last is not self._calls[0] or self._written is not None:
            return []
        events: list[BrainEvent] = []
        if last.live is None and last.name:
            tool = written_call.tool_named(last.name, self._offered)
            if tool != last.name and tool:
                self.note("name")
            events.append(ToolStart(tool or last.name))
            last.live = _Live(tool or last.name, self._spelling)
            piece = last.source
        if last.live is not None:
            events += last.live.feed(piece)
        return events

    def text(self, piece: str) -> list[BrainEvent]:
        """Take a piece of the message's text."""
        self._text += piece
        if self._calls:
            return []
        if self._written is not None:
            return self._written.feed(piece)
        if len(self._text) - len(piece) > _LONGEST_BEGINNING:
            return []
        begun = _BEGINS.match(self._text)
        if begun is None:
            return []
        if not self._in_text:
            fenced = self._text.lstrip().startswith("```")
            tagged = written_call.IN_TAGS if begun["tag"] else written_call.IN_TEXT
            self.note(written_call.IN_FENCE if fenced else tagged)
        self._written = _Live(begun["tool"], self._spelling, in_text=True)
        return [ToolStart(begun["tool"]), *self._written.feed(self._text[begun.end() :])]

    def close(self) -> list[BrainEvent]:
        """Take the end of the reply: the rest of the events, and what was repaired."""
        events: list[BrainEvent] = []
        if self._written is not None:
            events += self._written.close()
            self._ways |= dict.fromkeys(sorted(self._written.ways))
        elif self._calls:
            events += self._close_call(self._calls[0])
        else:
            events += self._find_call()
        events += self._close_others()
        if self._ways:
            events.append(Repaired(tuple(self._ways)))
        return events

    def _close_call(self, first: _Made) -> list[BrainEvent]:
        events: list[BrainEvent] = []
        if first.live is None:  # It never had a name.
            tool, arguments, _ = written_call.unwrapped(first.source, self._offered)
            if not tool and isinstance(arguments, Mapping):
                tool = written_call.tool_of(arguments)
            if tool:
                self.note("name")
            first.live = _Live(tool, self._spelling)
            events += [ToolStart(tool), *first.live.feed(first.source)]
        events += first.live.close()
        self._ways |= dict.fromkeys(sorted(first.ways | first.live.ways))
        return events

    def _find_call(self) -> list[BrainEvent]:
        found = written_call.find(self._text, self._offered)
        if found is None:
            return []
        whole, ways = self._spelling.whole(found.tool, found.arguments)
        if not self._in_text:
            ways |= found.ways
        self._ways |= dict.fromkeys(sorted(ways))
        return [ToolStart(found.tool), ArgumentsDelta(whole)]

    def _close_others(self) -> list[BrainEvent]:
        """Drop a repetition of the same call; another call is left to the guardrails."""
        events: list[BrainEvent] = []
        others = self._calls if self._written is not None else self._calls[1:]
        live = self._written or (self._calls[0].live if self._calls else None)
        for other in others:
            tool = written_call.tool_named(other.name, self._offered) or other.name
            if live is not None and live.same_as(tool, other.source):
                self.note("repeated")
            else:
                events.append(ToolStart(tool))
        return events


class _Live:
    """One call that is passed on while it arrives, as long as it has the expected form.

    The fields before the text are held until they are complete, since they may need repair; what
    follows the text is held until the end. The text itself is passed on at once.

    Parameters:
        tool: The tool's name. Arguments of a tool that is not Viva's own are held to their end.
        spelling: Repairs its fields.
        in_text: Whether it is part of a text, whose other brackets and tags may follow it.
    """

    def __init__(self, tool: str, spelling: "Spelling", *, in_text: bool = False) -> None:
        self.ways: set[str] = set()
        self._tool = tool
        self._spelling = spelling
        self._in_text = in_text
        self._reader = ToolCallStream(cast(Tool, tool)) if tool in _OWN else None
        self._leading = ("sections", "confidence") if tool == "respond" else ("reason",)
        self._source = ""
        self._read_to = 0
        self._passed = 0  # How much of the source has gone on, as it came or spelt in another way.
        self._known: dict[str, Any] = {}
        self._said = ""  # The text so far, decoded.
        self._safe = 0  # How much of the source was read, but for the beginning of an escape.
        self._quote_at = 0  # The mark that may end the text.
        self._closed = False
        self._state: Literal["leading", "text", "quote", "ended", "broken"] = "leading"

    @property
    def whole(self) -> bool:
        """Whether the call is closed."""
        return self._closed or _parsed(self._source) is not None

    def same_as(self, tool: str, source: str) -> bool:
        """Whether another call repeats this one."""
        if tool != self._tool:
            return False
        mine = _first_object(self._source)
        return mine is not None and mine == _first_object(source)

    def feed(self, piece: str) -> list[BrainEvent]:
        """Take a piece of the arguments."""
        self._source += piece
        if self._reader is None or len(self._source) > MAX_CHARS:
            return []
        events: list[BrainEvent] = []
        while self._read_to < len(self._source) and self._state not in ("ended", "broken"):
            events += self._step(self._reader, self._read_to)
            self._read_to += 1
        if self._state == "text":
            events += self._pass_on(self._safe)
        elif self._state == "ended" and self._source[self._passed :].strip() == "}":
            events += self._pass_on()
            self._closed = True
        return events

    def close(self) -> list[BrainEvent]:
        """Take the end of the arguments."""
        events: list[BrainEvent] = []
        if self._closed:
            return self._close_closed()
        if self._state == "quote":
            events += self._end_text()
        arguments, faults = self._arguments()
        if not isinstance(arguments, Mapping):
            return events + self._pass_on()
        if self._reader is None:
            return self._close_lookup(arguments, faults)
        return events + self._mended(arguments, faults)

    def _close_closed(self) -> list[BrainEvent]:
        behind = self._source[self._passed :]
        if not behind.strip():
            return []
        whole = _parsed(self._source[: self._passed])
        if not _JUNK.fullmatch(behind) and _parsed(behind) != whole:
            return self._pass_on()
        if not self._in_text:
            self.ways.add("arguments")
        return []

    def _close_lookup(
        self, arguments: Mapping[str, Any], faults: frozenset[str]
    ) -> list[BrainEvent]:
        if _parsed(self._source) == arguments:
            return self._pass_on()
        self.ways |= faults
        return [ArgumentsDelta(json.dumps(arguments, ensure_ascii=False))]

    def _arguments(self) -> tuple[Any, frozenset[str]]:
        """All arguments, read leniently, and the faults of their JSON; no mapping if ambiguous."""
        inner = _parsed(self._source)
        source = inner if isinstance(inner, str) else self._source
        begun = source.find("{")
        if begun < 0 or len(source) > MAX_CHARS:
            return None, frozenset()
        try:
            value, end, faults = lenient_json.read(source, begun)
        except lenient_json.LenientJSONError:
            return None, frozenset()
        before, behind = source[:begun], source[end:]
        if not _JUNK.fullmatch(before) or not (_JUNK.fullmatch(behind) or _parsed(behind) == value):
            return None, frozenset()
        if source is inner or (not self._in_text and (before.strip() or behind.strip())):
            faults |= {"arguments"}
        tool, value, taken = written_call.unwrapped(value, _OWN, self._tool)
        if tool != self._tool:
            return None, frozenset()
        return value, faults | ({"arguments"} if taken else frozenset())

    def _mended(self, arguments: Mapping[str, Any], faults: frozenset[str]) -> list[BrainEvent]:
        whole, ways = self._spelling.whole(self._tool, arguments)
        if not self._passed:
            self.ways |= ways | faults
            return [ArgumentsDelta(whole)]
        # What was passed on already cannot be changed; only the rest can be added.
        text = json.loads(whole).get(_TEXT_KEYS[self._tool])
        if self._state == "ended" and text == self._said:
            self.ways |= faults
            return [ArgumentsDelta("}")]
        if self._state == "broken" and isinstance(text, str) and text.startswith(self._said):
            self.ways |= faults
            rest = json.dumps(text[len(self._said) :], ensure_ascii=False)[1:]
            return [ArgumentsDelta(rest + "}")]
        return self._pass_on()

    def _step(self, reader: ToolCallStream, at: int) -> list[BrainEvent]:
        """Read one character; returns the events that are certain by then."""
        sign = self._source[at]
        if self._state == "quote":
            # A mark ends the text only if what follows it may stand behind a text.
            if sign in ",}":
                return self._end_text()
            if not sign.isspace():
                self._state = "broken"
            return []
        try:
            found = reader.feed(sign)
        except ToolCallError:
            in_text = self._state == "text"
            self._state = "broken"
            return self._pass_on(self._safe) if in_text else []
        for event in found:
            match event:
                case SectionsKnown(sections):
                    # A text in place of an array is read as one, and is a repair.
                    self._known["sections"] = list(sections) if sign == "]" else ", ".join(sections)
                case ConfidenceKnown(confidence):
                    self._known["confidence"] = confidence
                case ReasonKnown(reason):
                    self._known["reason"] = reason
                case TextDelta(text):
                    self._said += text
                case TextEnd() if self._state == "text":
                    self._state, self._quote_at = "quote", at
                    return self._pass_on(at)
                case _:  # The text came ahead of what must be checked first: read it at the end.
                    self._state = "broken"
        if self._state == "leading" and reader.in_text:
            if len(self._known) < len(self._leading):
                self._state = "broken"
                return []
            self._state = "text"
            self._safe = at + 1
            return self._pass_leading(at + 1)
        if self._state == "text" and not reader.pending:
            self._safe = at + 1
        return []

    def _pass_leading(self, to: int) -> list[BrainEvent]:
        """Pass on the fields before the text, repaired."""
        spelt, ways = self._spelling.leading(self._known)
        if spelt == self._known:
            return self._pass_on(to)
        self.ways |= ways
        self._passed = to
        written = json.dumps({**spelt, _TEXT_KEYS[self._tool]: ""}, ensure_ascii=False)
        return [ArgumentsDelta(written[: -len('"}')])]

    def _end_text(self) -> list[BrainEvent]:
        self._state = "ended"
        return self._pass_on(self._quote_at + 1)

    def _pass_on(self, to: int | None = None) -> list[BrainEvent]:
        """Pass the source on as it came, up to a position; by default, all of it."""
        piece = self._source[self._passed : to]
        self._passed += len(piece)
        return [ArgumentsDelta(piece)] if piece else []


class Spelling:
    """Repairs the spelling of a call's fields.

    Parameters:
        document: The document, whose ids may be cited.
        registered: The tools whose results may be cited.
    """

    def __init__(self, document: Document, registered: Sequence[FunctionTool] = ()) -> None:
        self._ids = {*document.section_ids, *(tool.section_id for tool in registered)}
        named: dict[str, set[str]] = {}
        for id in self._ids:
            named.setdefault(_plain_id(id), set()).add(id)
        for section in document.sections:
            named.setdefault(_plain_id(section.title), set()).add(section.id)
        self._named = {name: next(iter(ids)) for name, ids in named.items() if len(ids) == 1}

    def leading(self, fields: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
        """The fields before the text, and which were repaired; ambiguous ones are unchanged."""
        spelt, ways = dict(fields), set[str]()
        if "sections" in fields:
            given = fields["sections"]
            ids = self._sections(given)
            if ids is not None and ids != given and set(ids) != set(map(str, _listed(given))):
                listed = isinstance(given, list) and all(isinstance(id, str) for id in given)
                ways.add("ids" if listed else "sections")
                spelt["sections"] = ids
        for key, levels in (("confidence", CONFIDENCES), ("reason", REASONS)):
            given = fields.get(key)
            if key in fields and not (isinstance(given, str) and given in levels):
                level = _level(given, levels)
                if level:
                    ways.add(key)
                    spelt[key] = level
        return spelt, ways

    def whole(self, tool: str, arguments: Mapping[str, Any]) -> tuple[str, set[str]]:
        """All arguments of a call as JSON, in the order in which they are checked."""
        if tool not in _OWN:
            return json.dumps(arguments, ensure_ascii=False), set()
        fields = {str(key).strip().casefold(): value for key, value in arguments.items()}
        if tool == "respond":
            given = {"sections": fields.get("sections"), "confidence": fields.get("confidence")}
            if "sections" not in fields:
                del given["sections"]
        else:
            given = {"reason": fields.get("reason")}
        spelt, ways = self.leading(given)
        key = _TEXT_KEYS[tool]
        text = fields.get(key)
        if isinstance(text, list) and text and all(isinstance(part, str) for part in text):
            text = " ".join(text)
            ways.add("arguments")
        if tool == "escalate" and text is None:
            text = ""  # It is not spoken.
            ways.add("reason")
        if text is not None:
            spelt[key] = text
        return json.dumps(spelt, ensure_ascii=False), ways

    def _sections(self, given: Any) -> list[str] | None:
        if given is None:
            return []
        if isinstance(given, str):
            given = self._split(given)
        elif isinstance(given, list) and len(given) == 1 and isinstance(given[0], str):
            given = self._split(given[0])
        if not isinstance(given, list):
            return None
        ids = [self._id(part) for part in given]
        return None if None in ids else list(dict.fromkeys(id for id in ids if id is not None))

    def _split(self, given: str) -> list[Any]:
        if given in self._ids or _plain_id(given) in self._named:
            return [given]
        if given.lstrip().startswith("["):
            try:
                return cast(list[Any], lenient_json.read(given, given.index("["))[0])
            except lenient_json.LenientJSONError:
                return [given]
        return [part for part in re.split(r"[,;\n]", given) if part.strip()]

    def _id(self, given: Any) -> str | None:
        if isinstance(given, Mapping) and isinstance(given.get("id"), str):
            given = given["id"]
        if not isinstance(given, str):
            return None
        return given if given in self._ids else self._named.get(_plain_id(given))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _plain_id(id: str) -> str:
    inner = _AROUND_ID.sub("", id.strip())
    return _ID_GAP.sub("-", inner.casefold())


def _level(given: Any, levels: Mapping[str, str]) -> str:
    """The level that was meant; empty if that is ambiguous.

    A missing confidence is the lowest, since nothing was claimed.
    """
    if isinstance(given, str) and given.strip(" .*_`'\"").casefold() in levels:
        return given.strip(" .*_`'\"").casefold()
    if levels is REASONS:
        return "unsupported" if given in (None, "") else ""
    if given in (None, ""):
        return "low"
    number = _NUMBER.fullmatch(str(given)) if not isinstance(given, bool) else None
    if number is None:
        return ""
    share = float(number[1])
    if number[2] or share > 1:
        share /= 100
    if share > 1:
        return ""
    return "high" if share >= _HIGH else "medium" if share >= _MEDIUM else "low"


def _first_object(source: str) -> Any:
    try:
        return lenient_json.read(source, max(source.find("{"), 0))[0]
    except lenient_json.LenientJSONError:
        return None


def _parsed(source: str) -> Any:
    try:
        return json.loads(source, strict=False)
    except (ValueError, RecursionError):
        return None
