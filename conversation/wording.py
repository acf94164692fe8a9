"""Words for reports: reasons, durations, and quotations that are safe to show."""

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

REASONS = {
    "sensitive": "this is not talked about",
    "unsupported": "the document does not say",
    "off_topic": "it is not what the document is about",
    "unclear": "the question was not understood",
    "fault": "something failed on the way",
}
"""Reasons for handing a question to a human."""

NONE = "\N{EN DASH}"
"""Shown in place of a missing figure."""

_JOINERS = "\u200c\u200d"


def clean(text: str) -> str:
    """Clean a caller's or vendor's text to one printable line.

    Control characters, lone surrogates and marks of writing direction are removed.
    """
    kept = (
        char
        for char in " ".join(text.split())
        if char in _JOINERS or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co")
    )
    return "".join(kept)


def failed_checks(checks: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The checks that an answer did not pass.

    The refusal of a sensitive question is not among them: the rule held.
    """
    return [check for check in checks if not check.get("passed") and not _is_refusal(check)]


def _is_refusal(check: Mapping[str, Any]) -> bool:
    about = str(check.get("detail") or "")
    return check.get("name") == "sensitive" and about.startswith("the question ")


def duration(secs: float) -> str:
    """Seconds in words, such as ``1 min 24 s``."""
    minutes, rest = divmod(round(max(0.0, secs)), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def counted(number: int, noun: str, nouns: str = "") -> str:
    """A number with its noun: ``1 answer``, ``2 answers``."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def split_heard(answer: str, heard: str) -> tuple[str, str]:
    """Split an answer into the part that was heard and the part that was not.

    If the heard text is spelt differently from the answer, the rest is unknown, and empty.
    """
    whole, part = answer.split(), heard.split()
    if part == whole[: len(part)]:
        return clean(" ".join(part)), clean(" ".join(whole[len(part) :]))
    return clean(heard), ""
