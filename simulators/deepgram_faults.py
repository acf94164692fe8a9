"""What a simulated Deepgram is set to do wrong, and what it writes down."""

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Latency:
    """How long after the audio a message about it leaves: log-normal.

    Parameters:
        median_secs: The median.
        sigma: The logarithm's standard deviation; 0 for always the median.
    """

    median_secs: float = 0.1
    sigma: float = 0.0


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong.

    Parameters:
        kind: ``status``: the handshake is answered with ``code``; ``hang``: it is not answered;
            ``drop``: the TCP connection is gone; ``cut``: it is gone in the middle of a message;
            ``close``: the WebSocket is closed with ``code`` and ``reason``; ``stall``: nothing is
            sent any more; ``garbage``: a text message that is no JSON, and one that is no message.
        at_secs: How much audio of the connection it comes after.
        connection: In which connection, from 0; ``None`` in every one.
        code: The HTTP status or close code.
        reason: The close reason.
        retry_after_secs: For ``status``: the ``retry-after`` header.
    """

    kind: Literal["status", "hang", "drop", "cut", "close", "stall", "garbage"]
    at_secs: float = 0.0
    connection: int | None = None
    code: int = 1011
    reason: str = "NET-0000"
    retry_after_secs: float | None = None


@dataclass(slots=True)
class Request:
    """One handshake and what came over it.

    Parameters:
        at_secs: When, by the event loop's clock.
        path: Its path.
        query: Its parameters, in order.
        headers: Its headers, by lower-case name, secrets masked.
        status: What it was answered with; 101 for a connection, 0 while it is not answered.
        messages: The text messages received, each with its time.
        sent: The messages sent, each with its time.
        audio_bytes: How much audio was received.
        audio_messages: In how many messages.
        closed_with: The code the simulator closed it with, or ``None``.
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
        """The types of the text messages received, in order."""
        return [str(message.get("type")) for _, message in self.messages]
