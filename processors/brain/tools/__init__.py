"""What a brain may call before it decides; a file of this folder declares one, as its ``TOOL``.

A tool looks something up that is not in the document. It is offered to every brain that calls
tools; what it gives becomes a section that the answer can cite, and is checked against.
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
    "find_tools",
    "registered",
    "section_of",
]


def registered() -> tuple[FunctionTool, ...]:
    """Every tool that a file of this folder declares, by name; none is Viva's own."""
    return find_tools(__name__, __path__)
