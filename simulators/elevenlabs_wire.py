"""What ElevenLabs' simulator is told to do wrong, what it remembers, and how it words things."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

_REFUSALS = {
    401: ("invalid_api_key", "Invalid API key"),
    402: ("payment_required", "You have no credits remaining; this is not enough for the request."),
    404: ("voice_not_found", "A voice with the voice_id was not found."),
    429: ("too_many_concurrent_requests", "Too many concurrent requests for this subscription."),
    500: ("internal_error", "An unexpected error occurred."),
    503: ("system_busy", "The system is busy; please try again."),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong.

    Parameters:
        kind: ``"status"`` refuses the request with an HTTP status; ``"error"`` accepts a WebSocket
            and refuses by a message and close code 1008 once text comes; ``"drop"`` cuts the
            connection without a word; ``"close"`` closes a WebSocket properly; ``"stall"`` sends
            nothing more; ``"garbage"`` sends what is no JSON and goes on; ``"final"`` ends the
            context.
        status: For ``"status"``.
        code: For ``"error"``, e.g. ``"quota_exceeded"``.
        message: For ``"error"``.
        after_secs: Once so much audio of the request has been sent; 0 before any.
        request: Which request it befalls, from 1; ``None`` every one.
    """

    kind: Literal["status", "error", "drop", "close", "stall", "garbage", "final"]
    status: int = 500
    code: str = ""
    message: str = ""
    after_secs: float = 0.0
    request: int | None = None


@dataclass(slots=True)
class Request:
    """A request as it came.

    Parameters:
        number: From 1.
        at: Seconds on the loop's clock.
        path: Without the query.
        query: The query string, parsed.
        headers: Lower-case names, secrets masked.
        body: Of an HTTP request, parsed.
        messages: What a WebSocket's client sent, with times, secrets masked.
        replies: What was sent to it, with times, audio as its length in bytes.
        close_code: How a WebSocket ended.
        aborted: The client went away before an HTTP request's end.
    """

    number: int
    at: float
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any = None
    messages: list[tuple[float, Any]] = field(default_factory=list)
    replies: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    close_code: int | None = None
    aborted: bool = False

    def told(self, key: str) -> list[Any]:
        """The client's messages that have something under a key."""
        return [message for _, message in self.messages if message.get(key)]


class Over(Exception):  # noqa: N818 - not an error
    """The connection is to end."""

    def __init__(self, *, code: int | None, error: str = "", message: str = "") -> None:
        self.code = code
        self.error = error
        self.message = message


def refuse(status: int, code: str = "", message: str = "") -> web.Response:
    """A refusal as the vendor words it."""
    known = _REFUSALS.get(status, ("error", "Something went wrong."))
    detail = {"status": code or known[0], "message": message or known[1]}
    return web.json_response({"detail": detail}, status=status)


def alignment(
    text: str, begins: Sequence[float], here: Sequence[int], origin: float
) -> dict[str, Any] | None:
    """When letters of a text are heard, from an origin, as the WebSocket says it."""
    if not here:
        return None
    starts = [round(1000 * (begins[i] - origin)) for i in here]
    after = [begins[i + 1] if i + 1 < len(begins) else begins[i] + 0.05 for i in here]
    return {
        "chars": [text[i] for i in here],
        "charStartTimesMs": starts,
        "charDurationsMs": [
            round(1000 * (end - begins[i])) for end, i in zip(after, here, strict=True)
        ],
    }


def timestamped(chunk: bytes, text: str, begins: Sequence[float], here: Sequence[int]) -> bytes:
    """A line of the HTTP stream with timestamps."""
    times = None
    if here:
        times = {
            "characters": [text[i] for i in here],
            "character_start_times_seconds": [round(begins[i], 3) for i in here],
            "character_end_times_seconds": [
                round(begins[i + 1] if i + 1 < len(begins) else begins[i] + 0.05, 3) for i in here
            ],
        }
    told = {
        "audio_base64": b64encode(chunk).decode(),
        "alignment": times,
        "normalized_alignment": times,
    }
    return json.dumps(told).encode() + b"\n"
