"""How a report says things: money, times, and what somebody said, made fit to be mailed."""

import textwrap
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from math import ceil
from statistics import median

from pipeline.records import MICROS

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

REASONS = {
    "sensitive": "this is not talked about",
    "unsupported": "the document does not say",
    "off_topic": "it is not what the document is about",
    "unclear": "the question was not understood",
    "fault": "something failed on the way",
}
"""Why a question was handed to a person."""

NONE = "\N{EN DASH}"
"""What stands where there is no figure."""

_JOINERS = "\u200c\u200d"


def clean(text: str) -> str:
    """What somebody said or a vendor sent, as one line that shows what it is.

    Controls, halves of characters, and marks that turn the order of writing around are left out.
    """
    kept = (
        char
        for char in " ".join(text.split())
        if char in _JOINERS or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co")
    )
    return "".join(kept)


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


def duration(secs: float) -> str:
    """Seconds in words, such as ``1 min 24 s``."""
    minutes, rest = divmod(round(max(0.0, secs)), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def counted(number: int, noun: str, nouns: str = "") -> str:
    """A number with its noun: ``1 answer``, ``2 answers``."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def split_heard(answer: str, heard: str) -> tuple[str, str]:
    """An answer in two: what was heard of it, and what was not.

    What was heard may be spelt otherwise than what was to be said; then nothing is known of the
    rest.
    """
    whole, part = answer.split(), heard.split()
    if part == whole[: len(part)]:
        return clean(" ".join(part)), clean(" ".join(whole[len(part) :]))
    return clean(heard), ""
