"""A digest: one letter about all that happened in an hour or a day, sent when that is over."""

from collections.abc import Sequence
from dataclasses import dataclass

MOST_LINES = 100
"""Most lines of one digest; further entries are only counted."""

LATE_SECS = 60.0
"""How long after its period a digest is sent, so that its last entries are written."""


@dataclass(frozen=True, slots=True)
class DigestEntry:
    """One line of a digest.

    Parameters:
        key: Its key, as a letter's; an entry is added once.
        recipient: The address that gets the digest.
        text: The line.
        secs: Length of the digest's period, which ends at a multiple of it in Unix time.
    """

    key: str
    recipient: str
    text: str
    secs: float

    def ends(self, now: float) -> float:
        """The end of the period that includes ``now``; both in Unix seconds."""
        return (now // self.secs + 1) * self.secs


def digest_key(recipient: str, ends: float) -> str:
    """The key of a recipient's digest, by the end of its period."""
    return f"digest:{ends:.0f}:{recipient}"


def subject(count: int) -> str:
    """The subject of a digest, by its number of calls."""
    return f"{count} call{'' if count == 1 else 's'} on Viva"


def text(lines: Sequence[str], count: int) -> str:
    """The text of a digest.

    Args:
        lines: Its first entries, at most :data:`MOST_LINES`.
        count: Number of all its entries.
    """
    shown = list(lines)
    if count > len(shown):
        shown.append(f"and {count - len(shown)} more")
    return "Calls that were not reported to you one by one:\n\n" + "\n".join(shown) + "\n"
