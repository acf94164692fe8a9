"""Removes personal data from a recording, so that the rest can still be replayed."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from recording.message import Message, samples_of
from recording.recording import Recording
from recording.schemas import AUDIO_TOPICS

REDACTED = "redacted"
"""Metadata key of a redacted recording."""

_DIGIT = r"(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|double|triple|\d+)"
_PERSONAL = (
    r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    # As a recogniser transcribes it: "ada at example dot com".
    r"[\w.+-]+(?:\s+(?:dot|underscore|dash|hyphen)\s+[\w-]+)*\s+at\s+[\w-]+"
    r"(?:\s+(?:dot\s+)?[\w-]+)??\s*(?:\s+dot\s+|\.)(?:com|org|net|edu|gov|io|dev|ai|uk|de|eu|fr)\b"
    r"(?:\s+dot\s+\w+)?",
    # A telephone number has at least nine digits; a span of years has eight.
    r"\+?\(?\d(?:[\s().-]{0,2}\d){8,}",
    rf"\b{_DIGIT}(?:[\s,-]+{_DIGIT}){{6,}}\b",
)


class Masking:
    """Masks addresses and telephone numbers in texts, each letter by an ``x``, each digit by a 0.

    Masking keeps lengths and word boundaries, so that equal questions stay equal.

    Parameters:
        words: Further words to mask, such as a name.
    """

    def __init__(self, words: Sequence[str] = ()) -> None:
        further = (rf"\b{re.escape(word.strip())}\b" for word in words if word.strip())
        self._personal = re.compile("|".join((*_PERSONAL, *further)), re.IGNORECASE)

    def text(self, text: str) -> str:
        """Mask personal data in a text."""
        return self._personal.sub(_masked, text)

    def plain(self, value: Any) -> Any:
        """Mask personal data in every text of plain values."""
        match value:
            case str():
                return self.text(value)
            case list():
                return [self.plain(item) for item in value]
            case dict():
                return {name: self.plain(item) for name, item in value.items()}
            case _:
                return value


def redact(recording: Recording, words: Sequence[str] = ()) -> Recording:
    """Remove both voices of a recording, and mask personal data in its texts.

    The length of audio is kept. What the page reported of itself is dropped.

    Args:
        recording: The recording.
        words: Further words to mask, such as a name.
    """
    masking = Masking(words)
    return replace(
        recording,
        metadata={**recording.metadata, REDACTED: "yes"},
        messages=tuple(_without_audio(_masked_messages(recording.messages, masking))),
    )


def _masked_messages(messages: Sequence[Message], masking: Masking) -> Iterator[Message]:
    arguments = _masked_arguments(messages, masking)
    for message in messages:
        data = message.data
        if message.topic in AUDIO_TOPICS:
            yield message
        elif data.get("event") == "arguments":
            yield replace(message, data={**data, "json": next(arguments[data["ask"]])})
        else:
            plain = masking.plain(dict(data))
            if message.topic in ("/agent/page", "/caller/page"):
                plain.pop("about", None)
            yield replace(message, data=plain)


def _masked_arguments(messages: Sequence[Message], masking: Masking) -> Mapping[int, Iterator[str]]:
    """Mask a decision's JSON, which is streamed in arbitrary pieces, as a whole; split it again."""
    pieces: defaultdict[int, list[str]] = defaultdict(list)
    for message in messages:
        if message.data.get("event") == "arguments":
            pieces[message.data["ask"]].append(message.data["json"])

    def cut_again(parts: list[str]) -> Iterator[str]:
        whole, at = masking.text("".join(parts)), 0
        for part in parts:
            yield whole[at : at + len(part)]
            at += len(part)

    return {ask: cut_again(parts) for ask, parts in pieces.items()}


def _without_audio(messages: Iterator[Message]) -> Iterator[Message]:
    for message in messages:
        if message.topic in AUDIO_TOPICS:
            samples = samples_of(message.data)
            yield replace(message, data={**message.data, "data": "", "samples": samples})
        else:
            yield message


def _masked(found: re.Match[str]) -> str:
    return "".join(
        "0" if letter.isdigit() else "x" if letter.isalpha() else letter for letter in found[0]
    )
