"""Tools that a brain may call before it decides. Each module declares one, as its ``TOOL``.

A tool looks up something that is not in the document. Every brain that supports tools is offered
it. Its result becomes a section that the answer can cite, and is checked against.
"""

from processors.brain.tools.tool import (
    MAX_RESULT_CHARS,
    MAX_TOOL_CALLS,
    PREFIX,
    Arguments,
    FunctionTool,
    ToolCall,
    check_section_ids,
    find_tools,
    section_of,
)

__all__ = [
    "MAX_RESULT_CHARS",
    "MAX_TOOL_CALLS",
    "PREFIX",
    "Arguments",
    "FunctionTool",
    "ToolCall",
    "check_section_ids",
    "registered",
    "section_of",
]


def registered() -> tuple[FunctionTool, ...]:
    """Return the tools that this folder's modules declare, by name. Viva has none of its own."""
    return find_tools(__name__, __path__)
