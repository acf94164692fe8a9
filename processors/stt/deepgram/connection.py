"""The line to Deepgram: one call's connection, renewed when it drops, with no audio lost."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Literal

from deepgram import AsyncDeepgramClient, DeepgramClient, DeepgramClientEnvironment
from deepgram.core import ApiError
from loguru import logger
from websockets.exceptions import InvalidStatus, WebSocketException

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
# Flux is strongly advised to be given 80 ms at a time.
_FLUX_MESSAGE = BYTES_A_SEC * 80 // 1000

PASSING = frozenset({408, 425, 429})
"""Refusals with 4xx that may pass: too slow, too early, too many streams at once just now.

A project may have as little as one stream, and 429 comes well below a plan's limit, too
(https://github.com/deepgram/deepgram-python-sdk/issues/726). All others (key, credit, permission,
parameters: https://developers.deepgram.com/docs/errors) are for good.
"""

Version = Literal["v1", "v2"]
"""``/v1/listen`` (Nova) or ``/v2/listen`` (Flux)."""


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
    return AsyncDeepgramClient(api_key=api_key, **_environment(base_url))


def _environment(base_url: str) -> dict[str, Any]:
    if not base_url:
        return {}
    scheme, _, host = base_url.rstrip("/").partition("://")
    if scheme not in ("ws", "wss", "http", "https") or not host:
        raise ValueError(
            f"base_url is {base_url!r}: it must begin with wss://, ws:// or http(s)://"
        )
    secure = "s" if scheme in ("wss", "https") else ""
    socket, page = f"ws{secure}://{host}", f"http{secure}://{host}"
    return {
        "environment": DeepgramClientEnvironment(
            base=page, production=socket, agent=socket, agent_rest=page
        )
    }


def refusal_of_flux(api_key: str, *, base_url: str, model: str) -> str:
    """Whether this account may use Flux, asked by a handshake, which costs nothing; blocks.

    Returns:
        Why not, in a sentence; empty when it may, when Deepgram cannot be reached, or when the
        key is wrong altogether.
    """
    client = DeepgramClient(api_key=api_key, **_environment(base_url))
    try:
        with client.listen.v2.connect(model=model, encoding="linear16", sample_rate=SAMPLE_RATE):
            return ""
    except (ApiError, InvalidStatus) as error:
        # The SDK's client that blocks hands on what its library raises.
        status = (error.response if isinstance(error, InvalidStatus) else error).status_code or 0
        lasting = 400 <= status < 500 and status not in PASSING and status != 401
        return _refusal(status, error) if lasting else ""
    except (OSError, TimeoutError, WebSocketException):
        return ""


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
        passing: The least wait after a refusal that may pass; it doubles with each, too.
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
    passing: float = 0.3
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
        version: Of the protocol.
    """

    def __init__(
        self,
        client: AsyncDeepgramClient,
        query: Mapping[str, Any],
        *,
        tell: Callable[[Any], Awaitable[None]],
        sent: Callable[[bytes], None],
        times: LineTimes,
        version: Version = "v1",
    ) -> None:
        self._version = version
        self._least_message = 1 if version == "v1" else _FLUX_MESSAGE
        self._most_message = _MAX_MESSAGE if version == "v1" else _FLUX_MESSAGE
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
        failures = refusals = 0
        down_since = 0.0
        while True:
            begun = _now()
            self._proven = False
            wait = 0.0
            try:
                why = await self._converse()
            except ApiError as error:
                status = error.status_code or 0
                if 400 <= status < 500 and status not in PASSING:
                    await self._tell(Refused(_refusal(status, error)))
                    return
                why = f"the handshake was answered with {status}"
                if status in PASSING:
                    wait = max(self._times.passing * 2 ** min(refusals, 16), _retry_after(error))
                    refusals += 1
            except Exception as error:
                why = _words(error)
            if self._ending:
                return
            stood = self._proven or _now() - begun > _STABLE_SECS + self._times.connect
            failures = 1 if stood else failures + 1
            refusals = 0 if stood else refusals
            down_since = _now() if failures == 1 else down_since
            await self._tell(Lost(why, failures, _now() - down_since >= self._times.replay))
            if failures > 1:
                wait = max(wait, self._times.retry * 2 ** min(failures - 2, 16))
            if wait:
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
                    listen: Any = getattr(self._client.listen, self._version)
                    connection = await stack.enter_async_context(listen.connect(**self._query))
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
            while self.untranscribed.unsent >= self._least_message:
                audio = self.untranscribed.take(self._most_message)
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
                    await self._keep_alive(connection)
                    self._sent_at = _now()
                if self._asking and self._overdue() and self._told_at > self._asked_at:
                    self._asking = False
                    await self._tell(Unanswered())

    async def _keep_alive(self, connection: Any) -> None:
        if self._version == "v1":
            await connection.send_keep_alive()
            return
        # Flux has no such message. Silence does it; its own time runs on, the call's does not.
        await connection.send_media(bytes(_FLUX_MESSAGE))
        self.origin -= _FLUX_MESSAGE

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


def _answer(error: Exception) -> Mapping[str, str]:
    """The headers of a refused handshake; an ``ApiError``'s own are those of the request."""
    refused = error.__context__ if isinstance(error, ApiError) else error
    response = getattr(refused, "response", refused)
    return getattr(response, "headers", None) or {}


def _retry_after(error: Exception) -> float:
    try:
        return max(0.0, float(_answer(error).get("retry-after", "") or 0))
    except ValueError:
        return 0.0


def _refusal(status: int, error: Exception) -> str:
    why = str(_answer(error).get("dg-error", ""))[:200]
    return f"Deepgram refused the connection with {status}{': ' if why else ''}{why}"


def _words(error: Exception) -> str:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__
