"""The ElevenLabs simulator's faults, its log of requests, and the messages' formats."""

import json
import secrets
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

_REFUSALS = {
    401: ("authentication_error", "invalid_api_key", "Invalid API key"),
    402: (
        "payment_required",
        "paid_plan_required",
        "Free users cannot use library voices via the API. Please upgrade your subscription to use "
        "this voice.",
    ),
    403: ("authorization_error", "voice_access_denied", "You do not have access to this voice."),
    404: ("not_found", "voice_not_found", "A voice with the voice_id was not found."),
    429: (
        "rate_limit_error",
        "concurrent_limit_exceeded",
        "Too many concurrent requests. Your current subscription is associated with a maximum of 2 "
        "concurrent requests (running in parallel).",
    ),
    500: ("internal_error", "internal_error", "An unexpected error occurred."),
    503: ("service_unavailable", "service_unavailable", "The service is temporarily unavailable."),
}
"""The documented type, code and sentence of each status. 402 as in
https://github.com/dograh-hq/dograh/issues/290, 429's sentence as in
https://github.com/lfnovo/open-notebook/issues/103."""

MISSING_PERMISSION = "The API key you used is missing the permission {} to execute this operation."
"""401 of a restricted key, with the code ``missing_permissions``."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong.

    Parameters:
        kind: ``"status"`` refuses the request with an HTTP status; ``"error"`` accepts a WebSocket
            and, once text comes, sends an error message and closes with 1008; ``"drop"`` drops the
            TCP connection; ``"close"`` closes a WebSocket properly; ``"stall"`` sends nothing
            more; ``"garbage"`` sends a message that is not JSON and goes on; ``"final"`` ends the
            context.
        status: The HTTP status of ``"status"``.
        code: The code of ``"error"``, such as ``"quota_exceeded"``.
        message: The message of ``"error"``.
        after_secs: Seconds of audio sent on the request before it happens; 0 for before any.
        request: The request's number, from 1; ``None`` for every request.
    """

    kind: Literal["status", "error", "drop", "close", "stall", "garbage", "final"]
    status: int = 500
    code: str = ""
    message: str = ""
    after_secs: float = 0.0
    request: int | None = None


@dataclass(slots=True)
class Request:
    """A request as received.

    Parameters:
        number: Its number, from 1.
        at: When it arrived, on the event loop's clock.
        path: The path without the query.
        query: The parsed query string.
        headers: The headers, names in lower case, secrets masked.
        body: The parsed body of an HTTP request.
        messages: Messages received on a WebSocket, each with its time, secrets masked.
        replies: Messages sent, each with its time, audio replaced by its length in bytes.
        close_code: The WebSocket's close code.
        aborted: Whether the client disconnected before an HTTP response was complete.
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

    def messages_with(self, key: str) -> list[Any]:
        """The client's messages in which a key has a true value."""
        return [message for _, message in self.messages if message.get(key)]


class CloseSocket(Exception):  # noqa: N818 - control flow, not an error
    """Ends the connection: with a close code, or with ``None`` by dropping it."""

    def __init__(self, *, code: int | None, error: str = "", message: str = "") -> None:
        self.code = code
        self.error = error
        self.message = message


def refuse(status: int, code: str = "", message: str = "") -> web.Response:
    """A refusal; its code and message default to the vendor's for that status."""
    known = _REFUSALS.get(status, ("invalid_request", "bad_request", "Something went wrong."))
    detail = {
        "type": known[0],
        "code": code or known[1],
        "message": message or known[2],
        "status": code or known[1],  # the older field, which is still sent
        "request_id": secrets.token_hex(16),
    }
    return web.json_response({"detail": detail}, status=status)


def alignment(
    text: str, begins: Sequence[float], here: Sequence[int], origin: float
) -> dict[str, Any] | None:
    """The WebSocket's alignment of some characters of a text, or ``None`` for no characters.

    Args:
        text: The text.
        begins: The start of each character, in seconds.
        here: Indices of the characters to align.
        origin: The time that starts are counted from, in seconds.
    """
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
    """One line of the HTTP stream with timestamps; arguments as for :func:`alignment`."""
    times = None
    if here:
        times = {
            "characters": [text[i] for i in here],
            "character_start_times_seconds": [round(begins[i], 3) for i in here],
            "character_end_times_seconds": [
                round(begins[i + 1] if i + 1 < len(begins) else begins[i] + 0.05, 3) for i in here
            ],
        }
    line = {
        "audio_base64": b64encode(chunk).decode(),
        "alignment": times,
        "normalized_alignment": times,
    }
    return json.dumps(line).encode() + b"\n"
