"""How reports say things: reasons, durations, and what somebody said, made fit to be shown."""

import unicodedata

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
