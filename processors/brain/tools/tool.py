"""A tool: its description for the brain, and the function that it calls."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from inspect import isawaitable
from typing import Any

from loguru import logger

from knowledge.loading.document import Document
from knowledge.loading.section import Line, Section
from processors.cancellation import is_cancelled
from processors.declarations import DeclarationError, check_fields, find_declarations

MAX_TOOL_CALLS = 2
"""Maximum calls per turn. Each costs a request to the brain, which the worst-case cost includes."""

MAX_RESULT_CHARS = 2_000
"""Maximum length of a result; longer ones are truncated."""

PREFIX = "tool/"
"""Prefix of the section ids by which answers cite the results of tools."""

RESERVED = ("respond", "escalate")

Arguments = Mapping[str, Any]


class ToolError(Exception):
    """A tool cannot be offered; the text names its file or the tool, and what to change."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool in this turn, with its result.

    Parameters:
        tool: The tool's name.
        arguments: The arguments, as JSON.
        result: The result, or the reason that there is none.
        ok: Whether there is a result.
        secs: How long it took.
        said: What was spoken while it ran; may be empty.
    """

    tool: str
    arguments: str
    result: str
    ok: bool = True
    secs: float = 0.0
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionTool:
    """A function that a brain may call before it decides.

    It must only look something up: a brain may call it twice, and the caller may interrupt before
    they hear the result.

    Parameters:
        name: Letters, digits, ``_`` and ``-``.
        description: For the brain: what it returns, and when to call it.
        arguments: JSON schema of each argument, by its name; all are required.
        run: The function. The brain gets the message of an exception as the result.
        timeout_secs: Timeout of the function, which is reported to the brain.
        said: What is spoken while it runs; empty for nothing.
        title: The source of an answer, for people; by default the name as words.
    """

    name: str
    description: str
    run: Callable[[Arguments], Awaitable[str]]
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    timeout_secs: float = 3.0
    said: str = ""
    title: str = ""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.name in RESERVED or not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", self.name):
            raise DeclarationError(
                f"name is {self.name!r}; a tool's name has 1 to 64 letters, digits, _ and -, "
                f"and is none of {', '.join(RESERVED)}."
            )
        if not self.description.strip():
            raise DeclarationError("description is empty; without it no brain knows when to call.")
        if self.timeout_secs <= 0:
            raise DeclarationError(f"timeout_secs is {self.timeout_secs}; it must be over 0.")

    @property
    def section_id(self) -> str:
        """The section id by which an answer cites its result."""
        return f"{PREFIX}{self.name}"

    @property
    def shown(self) -> str:
        """Its title, by default its name as words."""
        return self.title or re.sub(r"[_-]+", " ", self.name).strip().capitalize()

    @property
    def parameters(self) -> dict[str, Any]:
        """The JSON schema of its arguments."""
        return {
            "type": "object",
            "properties": {name: dict(schema) for name, schema in self.arguments.items()},
            "required": list(self.arguments),
            "additionalProperties": False,
        }

    async def call(self, arguments: str, *, until: float) -> ToolCall:
        """Call the function; an error becomes the result, as text.

        Args:
            arguments: JSON, as the brain wrote it.
            until: Deadline of the decision, on the event loop's clock.
        """
        try:
            given = json.loads(arguments or "{}")
        except ValueError:
            return self._failed(arguments, "the arguments are no JSON")
        if not isinstance(given, dict) or set(given) != set(self.arguments):
            wanted = ", ".join(self.arguments) or "none"
            return self._failed(arguments, f"the arguments must be exactly: {wanted}")
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            async with asyncio.timeout_at(min(until, begun + self.timeout_secs)):
                giving = self.run(given)
                if not isawaitable(giving):
                    raise TypeError("run is no async function")
                result = await giving
                if not isinstance(result, str):
                    raise TypeError(f"run gave {type(result).__name__}, and no text")
        except TimeoutError:
            failed = self._failed(arguments, "it did not answer in time")
            return replace(failed, secs=loop.time() - begun)
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and is_cancelled():
                raise
            logger.opt(exception=error).warning("the tool {} failed", self.name)
            failed = self._failed(arguments, f"it failed: {error or type(error).__name__}")
            return replace(failed, secs=loop.time() - begun)
        text = result.strip()[:MAX_RESULT_CHARS]
        secs = loop.time() - begun
        return ToolCall(self.name, arguments, text or "It gave nothing.", ok=bool(text), secs=secs)

    def section(self, calls: Iterable[ToolCall]) -> Section:
        """Return its results in this turn as a section that an answer may cite."""
        results = (call.result for call in calls if call.ok and call.tool == self.name)
        return section_of(self.section_id, self.shown, "\n".join(results))

    def _failed(self, arguments: str, why: str) -> ToolCall:
        return ToolCall(self.name, arguments, f"No result: {why}.", ok=False)


def section_of(id: str, title: str, text: str) -> Section:
    """Return a tool's result as a section; its lines have number 0, because they are in no file.

    Args:
        id: The section's id.
        title: The source, for people.
        text: The tool's result.
    """
    texts = filter(None, map(str.strip, text.splitlines()))
    return Section(id, title, 1, tuple(Line(0, line, "text", id) for line in texts))


@cache
def _found(package: str, folders: tuple[str, ...]) -> tuple[FunctionTool, ...]:
    declared = find_declarations(package, folders, name="TOOL", kind=FunctionTool, but=("tool",))
    files: dict[str, str] = {}
    for file, tool in declared.items():
        if (other := files.setdefault(tool.name, file)) != file:
            raise DeclarationError(f"{file}: name is {tool.name!r}, which {other} has already.")
    return tuple(declared.values())


def find_tools(package: str, folders: Iterable[str]) -> tuple[FunctionTool, ...]:
    """The tools that a package's files declare, by their files' names.

    Args:
        package: The package's name.
        folders: Where its files are, its ``__path__``.

    Raises:
        DeclarationError: A file declares no tool that can be used.
    """
    return _found(package, tuple(folders))


def check_section_ids(tools: Iterable[FunctionTool], document: Document) -> None:
    """Hold that what a tool gave cannot be taken for a section of the document.

    Raises:
        DeclarationError: A section of the document has a tool's id.
    """
    for tool in tools:
        if tool.section_id in document.section_ids:
            section = document.section(tool.section_id)
            raise DeclarationError(
                f"the tool {tool.name!r} is cited as {tool.section_id!r}, which is also the id of "
                f"the section {section.title!r} of {document.title!r}. Give the tool another name, "
                "or the section another heading."
            )
