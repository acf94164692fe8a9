"""The simulated Deepgram's latency, its faults, and its log of requests."""

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Latency:
    """The delay of a message after the audio that it is about: log-normal.

    Parameters:
        median_secs: The median.
        sigma: Standard deviation of the delay's logarithm; 0 always gives the median.
    """

    median_secs: float = 0.1
    sigma: float = 0.0


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong.

    Parameters:
        kind: ``status`` answers the handshake with the HTTP status ``code``; ``hang`` never
            answers it; ``drop`` drops the TCP connection; ``cut`` drops it in the middle of a
            message; ``close`` closes the WebSocket with ``code`` and ``reason``; ``stall`` sends
            nothing more; ``garbage`` sends a text message that is not JSON, and JSON that is no
            valid message.
        at_secs: Seconds of the connection's audio after which it happens.
        connection: The connection's number, from 0; ``None`` for every connection.
        code: The HTTP status or close code.
        reason: The close reason.
        retry_after_secs: The ``retry-after`` header of ``status``.
    """

    kind: Literal["status", "hang", "drop", "cut", "close", "stall", "garbage"]
    at_secs: float = 0.0
    connection: int | None = None
    code: int = 1011
    reason: str = "NET-0000"
    retry_after_secs: float | None = None


@dataclass(slots=True)
class Request:
    """One handshake, and what was exchanged on its connection.

    Parameters:
        at_secs: When it arrived, on the event loop's clock.
        path: The path.
        query: The query parameters, in order.
        headers: The headers, names in lower case, secrets masked.
        status: The HTTP status of the answer; 101 for a connection, 0 while unanswered.
        messages: The text messages received, each with its time.
        sent: The messages sent, each with its time.
        audio_bytes: Bytes of audio received.
        audio_messages: Messages of audio received.
        closed_with: The close code that the simulator sent, or ``None``.
    """

    at_secs: float
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    status: int = 0
    messages: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    sent: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    audio_bytes: int = 0
    audio_messages: int = 0
    closed_with: int | None = None

    def kinds(self) -> list[str]:
        """The ``type`` of each text message received, in order."""
        return [str(message.get("type")) for _, message in self.messages]
