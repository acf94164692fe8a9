"""Finds the tool call that a language model wrote as text instead of making it.

Servers that do not know a model's own syntax leave the call in the message's text. Issues of
Ollama, vLLM, llama.cpp and LM Studio report these forms: JSON, bare, in a code fence or in tags
(Hermes, Llama, Mistral, Granite, DeepSeek, Kimi, gpt-oss); a call as in Python (Llama 4, LFM,
Gemma); parameters in tags (Qwen coder, GLM, MiniMax). A text counts as a call only if it has
exactly one, of an offered tool; the text around it is never spoken.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from processors.brain import lenient_json

MAX_CHARS = 16_384
"""Longest text that is searched for a call."""

MAX_TRIES = 64
"""Maximum number of places in a text at which a call is tried."""

_THOUGHTS = re.compile(r"<(think|thinking|reasoning)>.*?(?:</\1>|\Z)", re.DOTALL)
_THOUGHTS_END = re.compile(r"^.*</(?:think|thinking|reasoning)>", re.DOTALL)
_GEMMA_MARK = '<|"|>'
_NAME_KEYS = ("name", "tool", "function", "tool_name", "function_name", "recipient_name", "action")
_ARGUMENT_KEYS = (
    "arguments", "parameters", "args", "input", "action_input", "tool_input", "properties",
    "tool_uses", "tool_calls", "call",
)  # fmt: skip
_PARAMETER = re.compile(
    r"<parameter(?:=|\s+name=)[\"']?([\w-]+)[\"']?\s*>\s*(.*?)\s*(?:</parameter>|(?=<parameter)|\Z)"
    r"|<arg_key>\s*([\w-]+)\s*</arg_key>\s*<arg_value>\s*(.*?)\s*</arg_value>",
    re.DOTALL,
)
_WORD = re.compile(r"[A-Za-z_]\w*")
_MOST_WRAPPERS = 4  # objects around a call's arguments, such as {"function": {"arguments": …}}
_OWN = ("respond", "escalate")

IN_TEXT, IN_TAGS, IN_FENCE, IN_PYTHON = "text", "tags", "fence", "python"


@dataclass(frozen=True, slots=True)
class WrittenCall:
    """A call found in a text.

    Parameters:
        tool: The offered tool's name.
        arguments: Its arguments.
        ways: How it was written, and the faults of its JSON: names of repairs.
    """

    tool: str
    arguments: Mapping[str, Any]
    ways: frozenset[str]


def tool_named(text: str, offered: Sequence[str]) -> str:
    """The only offered tool that a name such as ``functions.respond:0`` can mean, or empty."""
    words = {word.casefold() for word in _WORD.findall(text)}
    named = [tool for tool in offered if tool.casefold() in words]
    return named[0] if len(named) == 1 else ""


def tool_of(arguments: Mapping[str, Any]) -> str:
    """The tool of Viva's own that has these arguments; empty if that is ambiguous."""
    keys = {str(key).casefold() for key in arguments}
    if {"sections", "answer"} <= keys and "reason" not in keys:
        return "respond"
    return "escalate" if "reason" in keys and keys <= {"reason", "message"} else ""


def unwrapped(value: Any, offered: Sequence[str], tool: str = "") -> tuple[str, Any, bool]:
    """Unwrap a call.

    Args:
        value: A parsed value.
        offered: Names of the tools.
        tool: The tool's name, if it is known.

    Returns:
        The tool's name, its arguments, and whether they were wrapped.
    """
    taken = False
    for _ in range(_MOST_WRAPPERS):
        if taken and tool and tool not in _OWN:
            break  # Another tool's arguments may have any names.
        if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
            try:
                value = lenient_json.read(value, value.index(value.lstrip()[0]))[0]
            except lenient_json.LenientJSONError:
                break
        elif isinstance(value, list) and len(value) == 1:
            value = value[0]
        elif isinstance(value, Mapping) and not tool_of(value):
            named = next((value[key] for key in _NAME_KEYS if isinstance(value.get(key), str)), "")
            tool = tool_named(named, offered) or tool
            inner = [key for key in (*_ARGUMENT_KEYS, "function", *offered) if key in value]
            inner = [key for key in inner if isinstance(value[key], (Mapping, str, list))]
            inner = [key for key in inner if key != "function" or value[key] is not named]
            if len(inner) != 1:
                if named and not inner:  # Its arguments stand beside its name.
                    value = {key: of for key, of in value.items() if of is not named}
                    taken = True
                break
            if inner[0] in offered:
                tool = inner[0]
            value = value[inner[0]]
        else:
            break
        taken = True
    return tool, value, taken


def find(text: str, offered: Sequence[str]) -> WrittenCall | None:
    """Find the call in a text; ``None`` if there is none, or more than one.

    Args:
        text: The model's whole text.
        offered: Names of the tools.
    """
    if len(text) > MAX_CHARS:
        return None
    said = _THOUGHTS.sub(" ", text)
    said = _THOUGHTS_END.sub(" ", said).replace(_GEMMA_MARK, '"')
    for look in (_in_parameters, _in_json, _in_python):
        found = list(look(said, offered))
        different = {(call.tool, repr(sorted(call.arguments.items()))) for call in found}
        if len(different) == 1:
            return found[0]
        if different:
            return None
    return None


def _in_parameters(text: str, offered: Sequence[str]) -> Iterator[WrittenCall]:
    """Calls with each parameter in a tag."""
    arguments: dict[str, Any] = {}
    begun = 0
    for parameter in _PARAMETER.finditer(text):
        begun = begun or parameter.start()
        key, value = (part for part in parameter.groups() if part is not None)
        if arguments.setdefault(key, _value(value)) != _value(value):
            return  # Two calls, or no certain one.
    if arguments:
        tool = tool_named(text[:begun], offered) or tool_of(arguments)
        if tool:
            yield WrittenCall(tool, arguments, frozenset({IN_TAGS}))


def _value(written: str) -> Any:
    if written[:1] in ("[", "{"):
        try:
            return lenient_json.read(written)[0]
        except lenient_json.LenientJSONError:
            return written
    quoted = len(written) > 1 and written[0] == written[-1] == '"'
    return written[1:-1] if quoted else written


def _in_json(text: str, offered: Sequence[str]) -> Iterator[WrittenCall]:
    """Calls written as JSON, each a brace that opens nothing else."""
    at = 0
    for _ in range(MAX_TRIES):
        begun = text.find("{", at)
        if begun < 0:
            return
        try:
            value, end, faults = lenient_json.read(text, begun)
        except lenient_json.LenientJSONError:
            at = begun + 1
            continue
        before = text[at:begun]
        tool, arguments, _ = unwrapped(value, offered)
        if isinstance(arguments, Mapping):
            tool = tool or tool_of(arguments) or tool_named(before[-160:], offered)
            if tool and arguments:
                yield WrittenCall(tool, arguments, faults | {_written(before, text[end:])})
        at = end


def _written(before: str, behind: str) -> str:
    if "```" in before:
        return IN_FENCE
    marked = re.search(r"<[^<>]+>[^<>]*$|\[[A-Z_]+\]\s*\[?\s*$", before)
    return IN_TAGS if marked or behind.lstrip().startswith("</") else IN_TEXT


def _in_python(text: str, offered: Sequence[str]) -> Iterator[WrittenCall]:
    """Calls as in Python: ``respond(sections=["education"], …)``."""
    names = "|".join(map(re.escape, offered))
    tried = 0
    for begun in re.finditer(rf"\b({names})\s*\(", text):
        for closing in re.finditer(r"\)", text[begun.end() :]):
            tried += 1
            if tried > MAX_TRIES:
                return
            source = f"f({text[begun.end() : begun.end() + closing.start()]})"
            arguments = _keywords(source)
            if arguments:
                yield WrittenCall(begun.group(1), arguments, frozenset({IN_PYTHON}))
                break


def _keywords(source: str) -> dict[str, Any] | None:
    try:
        call = ast.parse(source, mode="eval").body
        if not isinstance(call, ast.Call) or call.args:
            return None
        value: Callable[[ast.expr], Any] = ast.literal_eval
        return {word.arg: value(word.value) for word in call.keywords if word.arg}
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
