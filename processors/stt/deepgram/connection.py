"""The line to Deepgram: one call's connection, renewed when it drops, with no audio lost."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from deepgram import AsyncDeepgramClient, DeepgramClientEnvironment
from deepgram.core import ApiError
from loguru import logger

from processors.stt.untranscribed_audio import UntranscribedAudio

# At DEBUG websockets writes every message it sends into the log: the caller's voice.
logging.getLogger("websockets.client").setLevel(logging.INFO)

SAMPLE_RATE = 16_000
BYTES_A_SEC = 2 * SAMPLE_RATE
MAX_KEYTERMS = 100
MAX_KEYTERM_TOKENS = 500

_MAX_MESSAGE = BYTES_A_SEC // 4  # Deepgram advises messages of 20 to 250 ms
_PRE_ROLL = BYTES_A_SEC // 2  # what an onset needs that voice activity notices late
_STABLE_SECS = 5.0


def connect_to(api_key: str, *, base_url: str = "") -> AsyncDeepgramClient:
    """The client that all calls of a process share; making one takes some 30 ms.

    Args:
        api_key: Deepgram's key.
        base_url: Where Deepgram is, ``ws://127.0.0.1:8080`` or the like; empty for Deepgram's own.

    Raises:
        ValueError: The key is empty, or the address has no scheme that can be used.
    """
    if not api_key.strip():
        raise ValueError("api_key is empty: it must be a Deepgram key")
    if not base_url:
        return AsyncDeepgramClient(api_key=api_key)
    scheme, _, host = base_url.rstrip("/").partition("://")
    if scheme not in ("ws", "wss", "http", "https") or not host:
        raise ValueError(
            f"base_url is {base_url!r}: it must begin with wss://, ws:// or http(s)://"
        )
    secure = "s" if scheme in ("wss", "https") else ""
    socket, page = f"ws{secure}://{host}", f"http{secure}://{host}"
    environment = DeepgramClientEnvironment(
        base=page, production=socket, agent=socket, agent_rest=page
    )
    return AsyncDeepgramClient(api_key=api_key, environment=environment)


def keyterms_within_limit(terms: Iterable[str]) -> tuple[str, ...]:
    """The first of some names, each once, that Deepgram takes in one request.

    More than 500 tokens over all keyterms are refused at the handshake
    (https://developers.deepgram.com/docs/keyterm). How Deepgram counts is not published, so each
    UTF-8 byte counts as a token here, and one more a term: no tokenizer can come to more.
    """
    seen: dict[str, str] = {}
    for term in terms:
        if plain := " ".join(term.split()):
            seen.setdefault(plain.casefold(), plain)
    kept: list[str] = []
    tokens = 0
    for term in seen.values():
        cost = len(term.encode()) + 1
        if tokens + cost <= MAX_KEYTERM_TOKENS and len(kept) < MAX_KEYTERMS:
            kept.append(term)
            tokens += cost
    return tuple(kept)


@dataclass(frozen=True, slots=True)
class LineTimes:
    """The waits of a line, in seconds.

    Parameters:
        connect: Longest handshake.
        keepalive: A ``KeepAlive`` is sent when nothing else was for this long. Deepgram closes
            after 10 s, and asks for one every 3 to 5. Silence is audio, and is sent: only a line
            that is given none, as one in reserve, needs it.
        finalize: Longest wait for the answer to ``Finalize`` on a line that does speak.
        stall: A line that says nothing for this long while speech is sent counts as dropped.
        replay: How much audio without final words is kept; an outage longer than this is told.
        forget: Speech that has been over for so long without final words is not sent again once
            new speech begins: its caller has been told that it was not understood.
        retry: Wait before the second attempt to reconnect (the first is made at once); it doubles
            with each.
        max_retry: Longest such wait.
        close: Longest wait for Deepgram to close at the end.
    """

    connect: float = 5.0
    keepalive: float = 4.0
    finalize: float = 1.0
    stall: float = 2.0
    replay: float = 10.0
    forget: float = 3.0
    retry: float = 0.1
    max_retry: float = 5.0
    close: float = 0.5

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)} s: it must be more than 0")


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection stands."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection dropped, or could not be made; the line goes on trying.

    Parameters:
        why: What happened, in words.
        attempts: How many attempts have failed since it last stood.
        gone: It has been so for longer than the audio that is kept.
    """

    why: str
    attempts: int
    gone: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Deepgram will not have this connection, now or later; the line has ended."""

    why: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Deepgram speaks, but what was asked with ``Finalize`` it has not answered."""


class DeepgramLine:
    """Sends one call's audio to Deepgram and tells what comes back.

    Parameters:
        client: From :func:`connect_to`.
        query: The request's parameters, by Deepgram's names.
        tell: Called with every message of Deepgram's, and with :class:`Connected`, :class:`Lost`,
            :class:`Refused` and :class:`Unanswered`.
        sent: Called with the audio of each message sent.
        times: The waits.
    """

    def __init__(
        self,
        client: AsyncDeepgramClient,
        query: Mapping[str, Any],
        *,
        tell: Callable[[Any], Awaitable[None]],
        sent: Callable[[bytes], None],
        times: LineTimes,
    ) -> None:
        self._client = client
        self._query = query
        self._tell = tell
        self._sent = sent
        self._times = times
        self.untranscribed = UntranscribedAudio(
            max_bytes=BYTES_A_SEC * round(max(times.replay, 1.0))
        )
        self.origin = 0
        """Where in the call's audio, in bytes, the connection's own time begins."""
        self._expecting = False
        self._asking = False
        self._finalize = False
        self._connection: Any = None
        self._ending = False
        self._proven = False
        self._to_send = asyncio.Event()
        self._changed = asyncio.Event()
        self._sent_at = self._told_at = self._asked_at = self._expecting_since = 0.0

    def hear(self, audio: bytes) -> None:
        """The caller's next audio; it never waits."""
        self.untranscribed.add(audio)
        if not self._expecting:
            self.untranscribed.keep_last(_PRE_ROLL)
        self._to_send.set()

    def expect(self, words: bool) -> None:
        """Whether what is being sent, or was, holds speech that has no final words yet."""
        self._expecting = words
        self._asking = self._asking and words
        self._expecting_since = _now()
        self._changed.set()

    def forget(self) -> None:
        """Let go of all audio so far, but for what the next speech may have begun with."""
        self.untranscribed.keep_last(_PRE_ROLL)
        self._finalize = self._asking = False

    def finalize(self) -> None:
        """Ask for the words of all audio so far."""
        self._finalize = self._asking = True
        self._asked_at = _now()
        self._to_send.set()
        self._changed.set()

    async def run(self) -> None:
        """Connect, and connect again, until refused or closed."""
        failures = 0
        down_since = 0.0
        while True:
            begun = _now()
            self._proven = False
            try:
                why = await self._converse()
            except ApiError as error:
                status = error.status_code or 0
                if 400 <= status < 500:
                    await self._tell(Refused(_refusal(status, error)))
                    return
                why = f"the handshake was answered with {status}"
            except Exception as error:
                why = _words(error)
            if self._ending:
                return
            stood = self._proven or _now() - begun > _STABLE_SECS + self._times.connect
            failures = 1 if stood else failures + 1
            down_since = _now() if failures == 1 else down_since
            await self._tell(Lost(why, failures, _now() - down_since >= self._times.replay))
            if failures > 1:
                wait = self._times.retry * 2 ** min(failures - 2, 16)
                await asyncio.sleep(min(wait, self._times.max_retry))

    async def close(self) -> None:
        """Say goodbye, and wait for Deepgram to close, but not for long."""
        self._ending = True
        if (connection := self._connection) is None:
            return
        try:
            async with asyncio.timeout(self._times.close):
                await connection.send_close_stream()
                while self._connection is connection:
                    await asyncio.sleep(0.01)
        except Exception as error:
            logger.debug(f"Deepgram did not close in time: {type(error).__name__}")

    async def _converse(self) -> str:
        """One connection, until it ends; why it did."""
        why = ""
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(self._times.connect):
                    connection = await stack.enter_async_context(
                        self._client.listen.v1.connect(**self._query)
                    )
                stack.callback(_abort, connection)
                try:
                    await self._listen(connection)
                except Exception as error:
                    why = _words(error)
        except Exception:
            if not why:
                raise
            # It is websockets' complaint that a connection that is gone was not closed well.
        return why

    async def _listen(self, connection: Any) -> None:
        self.origin = self.untranscribed.rewind()
        self._sent_at = self._told_at = _now()
        self._connection = connection
        await self._tell(Connected())
        self._to_send.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send(connection))
                tasks.create_task(self._watch(connection))
                async for message in connection:
                    self._told_at = _now()
                    self._proven = True
                    if self._asking:
                        self._changed.set()
                    await self._tell(message)
                raise ConnectionError("Deepgram closed it")
        finally:
            self._connection = None

    async def _send(self, connection: Any) -> None:
        while True:
            await self._to_send.wait()
            self._to_send.clear()
            while audio := self.untranscribed.take(_MAX_MESSAGE):
                await connection.send_media(audio)
                self._sent(audio)
            if self._finalize:
                self._finalize = False
                await connection.send_finalize()
                self._asked_at = _now()
            self._sent_at = _now()

    async def _watch(self, connection: Any) -> None:
        """Keep the connection alive, and notice when it is not."""
        times = self._times
        while True:
            self._changed.clear()
            due = [self._sent_at + times.keepalive]
            if self._expecting:
                due.append(self._stalled_at())
            if self._asking and (self._told_at > self._asked_at or not self._overdue()):
                due.append(self._asked_at + times.finalize)
            try:
                async with asyncio.timeout(max(0.0, min(due) - _now())):
                    await self._changed.wait()
            except TimeoutError:
                if self._expecting and _now() >= self._stalled_at():
                    raise ConnectionError(
                        f"it said nothing for {times.stall} s while speech was sent"
                    ) from None
                if _now() >= self._sent_at + times.keepalive:
                    await connection.send_keep_alive()
                    self._sent_at = _now()
                if self._asking and self._overdue() and self._told_at > self._asked_at:
                    self._asking = False
                    await self._tell(Unanswered())

    def _overdue(self) -> bool:
        return _now() >= self._asked_at + self._times.finalize

    def _stalled_at(self) -> float:
        return max(self._told_at, self._expecting_since) + self._times.stall


def _now() -> float:
    return asyncio.get_running_loop().time()


def _abort(connection: Any) -> None:
    """Close a socket at once: the SDK's polite close waits some 40 s for a peer that hangs."""
    transport = getattr(getattr(connection, "_websocket", None), "transport", None)
    if transport is not None:
        transport.abort()


def _refusal(status: int, error: ApiError) -> str:
    answer = getattr(error.__context__, "headers", None) or {}
    why = str(answer.get("dg-error", ""))[:200]
    return f"Deepgram refused the connection with {status}{': ' if why else ''}{why}"


def _words(error: Exception) -> str:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__
