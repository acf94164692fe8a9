"""A digest: one letter that is sent when an hour or a day is over, and tells what was in it."""

from collections.abc import Sequence
from dataclasses import dataclass

MOST_LINES = 100
"""Most lines of one digest; of further entries it tells the number."""

LATE_SECS = 60.0
"""How long after its time a digest is sent, so that whoever is writing an entry has written it."""


@dataclass(frozen=True, slots=True)
class DigestEntry:
    """One line of a digest.

    Parameters:
        key: What it is known by, as a letter is; an entry is added once.
        recipient: Whose digest it is in; an address.
        text: The line.
        secs: Length of the time that a digest is of: it ends at a multiple of it, in Unix seconds.
    """

    key: str
    recipient: str
    text: str
    secs: float

    def ends(self, now: float) -> float:
        """When the time is over that ``now`` is in, in Unix seconds."""
        return (now // self.secs + 1) * self.secs


def digest_key(recipient: str, ends: float) -> str:
    """The key of somebody's digest of a time that ends so."""
    return f"digest:{ends:.0f}:{recipient}"


def subject(count: int) -> str:
    """The subject of a digest of so many calls."""
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
