"""How a mailed report says things: money, times, and why a call ended."""

import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from math import ceil
from statistics import median

from conversation.records import MICROS
from conversation.wording import NONE, clean

COLUMNS = 72
"""Width of the text alternative."""

WHY = {
    "hangup": "{who} hung up",
    "disconnected": "the connection was lost",
    "silence": "nobody spoke for a while",
    "cap": "the time was up",
    "call_budget": "the money set aside for it was used up",
    "budget": "the day's money was used up",
    "protocol": "the page sent what could not be understood",
    "stalled": "the page stopped taking in what was sent",
    "fault": "something went wrong on this side",
    "shutdown": "the server was being stopped",
}
"""Why a call ended, by its reason in :data:`pipeline.call.REASONS`."""

DIED = "the server died in the middle of it"


def wrapped(text: str, indent: int = 0, first: str = "") -> str:
    """Text in lines of at most :data:`COLUMNS`.

    Args:
        text: One line.
        indent: Spaces before each line.
        first: What the first line begins with instead, as wide as the indent or less.
    """
    return textwrap.fill(
        text,
        COLUMNS,
        initial_indent=first.ljust(indent),
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
    )


def why_it_ended(reason: str, who: str) -> str:
    """Why a call ended, in words; ``who`` is what its caller is called."""
    if reason in WHY:
        return WHY[reason].format(who=who)
    return clean(reason) or "of something that was not noted"


def dollars(micros: int) -> str:
    """Micro-dollars as dollars, every one of them."""
    return f"${micros / MICROS:,.6f}"


def milliseconds(secs: float | None) -> str:
    """Seconds as whole milliseconds; a dash where there are none."""
    return NONE if secs is None else f"{secs * 1000:,.0f}"


def middle(secs: Sequence[float]) -> float | None:
    """The median, if there is one."""
    return median(secs) if secs else None


def most(secs: Sequence[float]) -> float | None:
    """The 95th percentile by nearest rank, which is one of the values; ``None`` without any."""
    return sorted(secs)[ceil(0.95 * len(secs)) - 1] if secs else None


def moment(at: float) -> str:
    """A Unix time, such as ``Tuesday 24 November 2026, 14:05 UTC``."""
    when = datetime.fromtimestamp(at, UTC)
    return f"{when:%A} {when.day} {when:%B %Y, %H:%M} UTC"
