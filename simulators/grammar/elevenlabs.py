"""What ElevenLabs sends: the multi-context WebSocket, the stream with timestamps, and refusals.

https://elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-multi-stream-input
https://elevenlabs.io/docs/api-reference/text-to-speech/stream-with-timestamps. Refusals over HTTP:
https://elevenlabs.io/docs/eleven-api/resources/errors. In the WebSocket an error is a message of
its own (seen in https://github.com/livekit/agents-js/issues/1985), then code 1008.
"""

from collections.abc import Mapping
from typing import Any

from simulators.grammar.message import Grammar, Shape


class Alignment(Shape):
    """Which letters the audio speaks, and when, in milliseconds."""

    chars: list[str] | None = None
    charStartTimesMs: list[float] | None = None  # noqa: N815 - the vendor's name
    charDurationsMs: list[float] | None = None  # noqa: N815
    charsStartTimesMs: list[float] | None = None  # noqa: N815 - the other documented spelling
    charsDurationsMs: list[float] | None = None  # noqa: N815


class Audio(Shape):
    """Audio of a context, in base64. Both spellings of the context have been seen."""

    audio: str | None
    isFinal: bool | None = None  # noqa: N815
    normalizedAlignment: Alignment | None = None  # noqa: N815
    alignment: Alignment | None = None
    contextId: str | None = None  # noqa: N815
    context_id: str | None = None


class Final(Shape):
    """The end of a context."""

    isFinal: bool  # noqa: N815
    contextId: str | None = None  # noqa: N815
    context_id: str | None = None
    audio: str | None = None


class Refusal(Shape):
    """An error in the WebSocket, which is then closed with this code."""

    message: str
    error: str
    code: int
    contextId: str | None = None  # noqa: N815
    context_id: str | None = None


class Times(Shape):
    """Which letters the audio speaks, and when, in seconds from the request's first sample."""

    characters: list[str]
    character_start_times_seconds: list[float]
    character_end_times_seconds: list[float]


class Timestamped(Shape):
    """One line of the HTTP stream with timestamps."""

    audio_base64: str
    alignment: Times | None = None
    normalized_alignment: Times | None = None


class Detail(Shape):
    """What is wrong. ``status`` is the older form of ``code``; some answers have only it."""

    message: str
    status: str | None = None
    type: str | None = None
    code: str | None = None
    request_id: str | None = None
    param: str | None = None


class Refused(Shape):
    """The body of a refused request."""

    detail: Detail


class Invalid(Shape):
    """The body of a request with a wrong field (422)."""

    detail: list[dict[str, Any]]


MESSAGES: Mapping[str, type[Shape]] = {
    "audio": Audio,
    "final": Final,
    "error": Refusal,
    "audio with timestamps": Timestamped,
    "refusal": Refused,
    "invalid request": Invalid,
}


def kind_of(message: Mapping[str, Any]) -> str:
    """The kind of a message."""
    if "detail" in message:
        return "invalid request" if isinstance(message["detail"], list) else "refusal"
    if "audio_base64" in message:
        return "audio with timestamps"
    if "error" in message:
        return "error"
    if message.get("isFinal") and not message.get("audio"):
        return "final"
    return "audio" if "audio" in message else "?"


GRAMMAR = Grammar(MESSAGES, kind_of, "/v1/text-to-speech")
