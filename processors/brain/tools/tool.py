"""One tool: what a brain is told of it, and the function that it calls."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from loguru import logger

from knowledge.loading.section import Line, Section

MAX_TOOL_CALLS = 2
"""Most calls in a turn. Each costs a request to the brain; the worst case of a call counts them."""

MAX_RESULT_CHARS = 2_000
"""Longest result that a brain is given; the rest of a longer one is cut off."""

RESERVED = ("respond", "escalate")

Arguments = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that was made in this turn, and what it gave.

    Parameters:
        tool: The tool's name.
        arguments: Its arguments, as JSON.
        result: What it gave, or why it gave nothing.
        ok: Whether it gave something.
        secs: How long it took.
    """

    tool: str
    arguments: str
    result: str
    ok: bool = True
    secs: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionTool:
    """Something that a brain may look up before it decides.

    It must only look up: a brain may call it again, and a caller may go on before they hear of it.

    Parameters:
        name: Its name: letters, digits, ``_`` and ``-``.
        description: For the brain: what it gives, and when to call it.
        arguments: JSON schema of each argument, by its name; all are required.
        run: The function. What it raises is told to the brain in words.
        timeout_secs: Longest that it may take; past it the brain is told so.
        said: What the caller hears while it runs; empty for nothing.
    """

    name: str
    description: str
    run: Callable[[Arguments], Awaitable[str]]
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    timeout_secs: float = 3.0
    said: str = ""

    def __post_init__(self) -> None:
        if self.name in RESERVED or not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", self.name):
            raise ValueError(
                f"a tool is called {self.name!r}; allowed: 1 to 64 letters, digits, _ and -, "
                f"and none of {', '.join(RESERVED)}"
            )

    @property
    def section_id(self) -> str:
        """The id by which an answer cites what it gave."""
        return f"tool/{self.name}"

    @property
    def parameters(self) -> dict[str, Any]:
        """JSON schema of its arguments."""
        return {
            "type": "object",
            "properties": {name: dict(schema) for name, schema in self.arguments.items()},
            "required": list(self.arguments),
            "additionalProperties": False,
        }

    async def call(self, arguments: str, *, until: float) -> ToolCall:
        """Run it; whatever goes wrong is its result, in words.

        Args:
            arguments: JSON, as the brain wrote it.
            until: When the decision has to be made, on the event loop's clock.
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
                result = await self.run(given)
        except TimeoutError:
            failed = self._failed(arguments, "it did not answer in time")
            return replace(failed, secs=loop.time() - begun)
        except Exception as error:
            logger.opt(exception=error).warning("the tool {} failed", self.name)
            failed = self._failed(arguments, f"it failed: {error}")
            return replace(failed, secs=loop.time() - begun)
        text = result.strip()[:MAX_RESULT_CHARS]
        secs = loop.time() - begun
        return ToolCall(self.name, arguments, text or "It gave nothing.", ok=bool(text), secs=secs)

    def section(self, calls: Iterable[ToolCall]) -> Section:
        """What it gave in this turn, as a section that an answer may cite.

        Its lines have no number: they are in no file.
        """
        texts = [
            line.strip()
            for call in calls
            if call.ok and call.tool == self.name
            for line in call.result.splitlines()
            if line.strip()
        ]
        lines = tuple(Line(0, text, "text", self.section_id) for text in texts)
        return Section(self.section_id, self.name, 1, lines)

    def _failed(self, arguments: str, why: str) -> ToolCall:
        return ToolCall(self.name, arguments, f"No result: {why}.", ok=False)


@cache
def _found(package: str, folders: tuple[str, ...]) -> tuple[FunctionTool, ...]:
    names = sorted(module.name for module in iter_modules(folders) if module.name != "tool")
    return tuple(import_module(f"{package}.{name}").TOOL for name in names)


def find_tools(package: str, folders: Iterable[str]) -> tuple[FunctionTool, ...]:
    """The tools that a package's files declare, by their files' names.

    Args:
        package: The package's name.
        folders: Where its files are, its ``__path__``.

    Raises:
        AttributeError: A file declares no ``TOOL``.
    """
    return _found(package, tuple(folders))
