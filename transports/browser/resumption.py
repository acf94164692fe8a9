"""Lets a page resume its call after a network failure: its token, and the messages it missed.

No I/O. Messages to a page are numbered from 1, behind the first ``resume``; the page says how many
it has received, every second and when it comes back.
"""

import hmac
import secrets
from collections import deque

RESUME_SECS = 20.0
"""How long a call, its line and its money are held for a page that has lost its network."""

AWAY_SECS = 1.5
"""A page that resumes calls counts as away if it sends nothing for this long: it sends audio 31
times a second, silence without a microphone."""

MAX_RESUMPTIONS = 20
"""How often a page may come back to one call."""

MAX_UNRECEIVED_BYTES = 512_000
"""Limit on the text and voice kept for a page: ten seconds of voice. A page acknowledges every
second and is sent no voice while it is away. One that missed a dropped message cannot resume."""


class Unreceived:
    """The messages to a page that it has not acknowledged."""

    def __init__(self) -> None:
        self._kept: deque[str | bytes] = deque()
        self._bytes = 0
        self._first = 1  # number of the first one kept

    @property
    def count(self) -> int:
        """Number of messages so far."""
        return self._first + len(self._kept) - 1

    def add(self, message: str | bytes) -> None:
        """Keep the next message; of a page that acknowledges nothing, the oldest are dropped."""
        self._kept.append(message)
        self._bytes += len(message)
        while self._bytes > MAX_UNRECEIVED_BYTES:
            self._drop()

    def acknowledge(self, received: int) -> None:
        """Drop the first ``received`` messages; an impossible number is ignored."""
        if received > self.count:
            return
        while self._first <= received:
            self._drop()

    def after(self, number: int) -> str | bytes | None:
        """The message that follows a number; ``None`` if there is none yet."""
        at = number + 1 - self._first
        return self._kept[at] if 0 <= at < len(self._kept) else None

    def can_follow(self, received: int) -> bool:
        """Whether all messages after the first ``received`` are kept."""
        return self._first - 1 <= received <= self.count

    def _drop(self) -> None:
        self._bytes -= len(self._kept.popleft())
        self._first += 1


class Resumption:
    """One call's right to be resumed, by whoever has its token.

    Parameters:
        place: Which of the processes that share a port has the call.
    """

    def __init__(self, place: str = "0") -> None:
        self.unreceived = Unreceived()
        self.place = place
        self._times = 0
        self._token = ""

    def renew(self) -> str:
        """A new token; the one before is void."""
        self._token = secrets.token_urlsafe(32)
        return self._token

    def resume(self, token: str, received: int) -> bool:
        """Whether a page may resume the call; if it may, its token is used up."""
        known = bool(self._token) and hmac.compare_digest(token.encode(), self._token.encode())
        if not known or self._times >= MAX_RESUMPTIONS or not self.unreceived.can_follow(received):
            return False
        self._token = ""
        self._times += 1
        self.unreceived.acknowledge(received)
        return True
