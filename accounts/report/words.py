"""The wording of reports: money, times, and why a call ended."""

import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import median

from conversation.wording import NONE, clean
from processors.window import quantile

COLUMNS = 72
"""Width of the plain-text alternative."""

WHY = {
    "hangup": "{who} hung up",
    "disconnected": "the connection was lost",
    "silence": "nobody spoke for a while",
    "cap": "the time limit was reached",
    "call_budget": "the budget for one call was used up",
    "budget": "the budget for the day was used up",
    "protocol": "the page sent an invalid message",
    "stalled": "the page stopped receiving",
    "fault": "something went wrong on this side",
    "shutdown": "the server was shutting down",
}
"""Why a call ended, by its reason in :data:`pipeline.call.REASONS`."""

DIED = "the server died during the call"


def wrapped(text: str, indent: int = 0, first: str = "") -> str:
    """Wrap text to :data:`COLUMNS`.

    Args:
        text: One line.
        indent: Spaces before each line.
        first: Prefix of the first line, at most as wide as the indent.
    """
    return textwrap.fill(
        text,
        COLUMNS,
        initial_indent=first.ljust(indent),
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
    )


def why_it_ended(reason: str, who: str) -> str:
    """Describe why a call ended; ``who`` is how to refer to the caller."""
    if reason in WHY:
        return WHY[reason].format(who=who)
    return clean(reason) or "of an unknown reason"


def milliseconds(secs: float | None) -> str:
    """Seconds as whole milliseconds; a dash for ``None``."""
    return NONE if secs is None else f"{secs * 1000:,.0f}"


def median_or_none(secs: Sequence[float]) -> float | None:
    """The median; ``None`` without values."""
    return median(secs) if secs else None


def percentile_95(secs: Sequence[float]) -> float | None:
    """The 95th percentile by nearest rank; ``None`` without values."""
    return quantile(secs, 0.95) if secs else None


def format_time(at: float) -> str:
    """Format a Unix time, such as ``Tuesday 24 November 2026, 14:05 UTC``."""
    when = datetime.fromtimestamp(at, UTC)
    return f"{when:%A} {when.day} {when:%B %Y, %H:%M} UTC"
