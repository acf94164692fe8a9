"""One call's connection to Deepgram: reconnects when it drops, without losing audio."""

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

from processors.key_check import UnreachableError
from processors.stt.untranscribed_audio import UntranscribedAudio

# At DEBUG, websockets logs every message it sends, and with them the caller's audio.
logging.getLogger("websockets.client").setLevel(logging.INFO)

DEFAULT_URL = "https://api.deepgram.com"
SAMPLE_RATE = 16_000
BYTES_A_SEC = 2 * SAMPLE_RATE
MAX_KEYTERMS = 100
MAX_KEYTERM_TOKENS = 500
"""Most keyterms of a connection, and most tokens of all of them."""

_MAX_MESSAGE = BYTES_A_SEC // 4  # Deepgram recommends messages of 20 to 250 ms
_PRE_ROLL = BYTES_A_SEC // 2  # speech begins before voice activity detects it
_STABLE_SECS = 5.0  # a connection that lasted so long has not failed at once
# Deepgram strongly recommends messages of 80 ms for Flux.
_FLUX_MESSAGE = BYTES_A_SEC * 80 // 1000

TRANSIENT_STATUSES = frozenset({408, 425, 429})
"""Refusals (4xx) worth retrying: too slow, too early, too many concurrent streams.

A project may be limited to one stream, and 429 also occurs well below a plan's limit
(https://github.com/deepgram/deepgram-python-sdk/issues/726). All other 4xx (key, credit,
permission, parameters: https://developers.deepgram.com/docs/errors) are permanent.
"""

Version = Literal["v1", "v2"]
"""``/v1/listen`` (Nova) or ``/v2/listen`` (Flux)."""


def create_client(api_key: str, *, base_url: str = "") -> AsyncDeepgramClient:
    """Create the SDK's client, to be shared by all calls of a process; takes some 30 ms.

    Args:
        api_key: Deepgram's key.
        base_url: Deepgram's address, such as ``ws://127.0.0.1:8080``; empty for the default.

    Raises:
        ValueError: The key is empty, or the address has an unsupported scheme.
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


def flux_refusal(api_key: str, *, base_url: str, model: str) -> str:
    """Check by a handshake, which costs nothing, whether this account may use Flux. Blocks.

    Returns:
        Deepgram's reason for refusing; empty if the account may use Flux, or if the key itself is
        refused.

    Raises:
        UnreachableError: Nobody answered.
    """
    client = DeepgramClient(api_key=api_key, **_environment(base_url))
    try:
        with client.listen.v2.connect(model=model, encoding="linear16", sample_rate=SAMPLE_RATE):
            return ""
    except (ApiError, InvalidStatus) as error:
        # The SDK's blocking client lets the exceptions of websockets through.
        status = (error.response if isinstance(error, InvalidStatus) else error).status_code or 0
        permanent = 400 <= status < 500 and status not in TRANSIENT_STATUSES and status != 401
        return _refusal(status, error) if permanent else ""
    except (OSError, TimeoutError, WebSocketException) as error:
        raise UnreachableError.at(base_url or DEFAULT_URL, error) from None


def keyterms_within_limit(terms: Iterable[str]) -> tuple[str, ...]:
    """Return as many distinct terms, from the first on, as fit into one request.

    Deepgram refuses a handshake with more than 500 tokens of keyterms
    (https://developers.deepgram.com/docs/keyterm). Its tokenizer is not published, so this counts
    a token per UTF-8 byte and one more per term, which no tokenizer can exceed.
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
class ConnectionTimes:
    """Timeouts and waits of a connection, in seconds.

    Parameters:
        connect: Timeout of the handshake.
        keepalive: A ``KeepAlive`` is sent after this long without another message. Deepgram
            closes after 10 s, and recommends one every 3 to 5 s. Silence is sent as audio, so only
            a connection that gets none, such as a reserve's, needs it.
        finalize: Timeout of the answer to ``Finalize``, while Deepgram does send messages.
        peek: The same while no audio is sent until that answer.
        stall: A connection without any message for this long during speech counts as dropped.
        replay: Length of the buffer of untranscribed audio; a longer outage is permanent.
        forget: Speech that ended this long ago without final words is not sent again when new
            speech starts, because by then the caller has been told that it was not understood.
        retry: Delay before the second attempt to reconnect (the first is immediate); doubles with
            each further one.
        refused_retry: Minimum delay after a transient refusal; doubles with each further one.
        max_retry: Maximum of both delays.
        close: Timeout of the closing handshake.
    """

    connect: float = 5.0
    keepalive: float = 4.0
    finalize: float = 1.0
    peek: float = 0.3
    stall: float = 2.0
    replay: float = 10.0
    forget: float = 3.0
    retry: float = 0.1
    refused_retry: float = 0.3
    max_retry: float = 5.0
    close: float = 0.5

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)} s: it must be more than 0")


@dataclass(frozen=True, slots=True)
class Connected:
    """The connection was established."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection dropped or could not be established; more attempts follow.

    Parameters:
        why: A description of the error.
        attempts: Failed attempts since it was last established.
        gone: Whether the outage is longer than the audio buffer.
    """

    why: str
    attempts: int
    gone: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Deepgram refused the connection permanently; no more attempts follow."""

    why: str


@dataclass(frozen=True, slots=True)
class FinalizeUnanswered:
    """Deepgram has sent messages, but no answer to ``Finalize``."""


class DeepgramConnection:
    """Sends one call's audio to Deepgram, and reports Deepgram's messages.

    Parameters:
        client: From :func:`create_client`.
        query: The request's parameters, by Deepgram's names.
        on_event: Called with each of Deepgram's messages, and with :class:`Connected`,
            :class:`Lost`, :class:`Refused` and :class:`FinalizeUnanswered`.
        on_sent: Called with the audio of each message sent.
        times: Timeouts and waits.
        version: Version of Deepgram's protocol.
    """

    def __init__(
        self,
        client: AsyncDeepgramClient,
        query: Mapping[str, Any],
        *,
        on_event: Callable[[Any], Awaitable[None]],
        on_sent: Callable[[bytes], None],
        times: ConnectionTimes,
        version: Version = "v1",
    ) -> None:
        self._version = version
        self._min_message = 1 if version == "v1" else _FLUX_MESSAGE
        self._max_message = _MAX_MESSAGE if version == "v1" else _FLUX_MESSAGE
        self._client = client
        self._query = query
        self._on_event = on_event
        self._on_sent = on_sent
        self._times = times
        self.untranscribed = UntranscribedAudio(
            max_bytes=BYTES_A_SEC * round(max(times.replay, 1.0))
        )
        self.origin = 0
        """Position in the call's audio, in bytes, at which Deepgram's timestamps start."""
        self._expecting = False
        self._finalizing = False
        self._finalize = False
        self._peek: Literal["none", "asked", "held"] = "none"
        self._peeked = asyncio.Event()
        self._connection: Any = None
        self._ending = False
        self._received = False
        self._to_send = asyncio.Event()
        self._changed = asyncio.Event()
        self._sent_at = self._received_at = self._finalize_sent_at = self._expecting_since = 0.0

    def add_audio(self, audio: bytes) -> None:
        """Queue the caller's next audio for sending."""
        self.untranscribed.add(audio)
        if not self._expecting:
            self.untranscribed.trim_to(_PRE_ROLL)
        self._to_send.set()

    def expect_words(self, expecting: bool) -> None:
        """Set whether audio sent so far contains speech without final words."""
        self._expecting = expecting
        self._finalizing = self._finalizing and expecting
        self._expecting_since = _now()
        self._changed.set()

    def discard_audio(self) -> None:
        """Drop all audio so far except the pre-roll of the next speech."""
        self.untranscribed.trim_to(_PRE_ROLL)
        self._finalize = self._finalizing = False

    def finalize(self) -> None:
        """Request final words for all audio so far."""
        self._finalize = self._finalizing = True
        self._finalize_sent_at = _now()
        if self._peek == "asked":
            self._peek = "none"
        self._to_send.set()
        self._changed.set()

    def peek(self) -> None:
        """Request the words of all audio so far, and send no more audio until they arrive.

        They are final for Deepgram, though the caller may be in the middle of a word:
        :meth:`hear_again` has it hear the word whole.
        """
        self.finalize()
        if self._peek == "none":
            self._peek = "asked"

    @property
    def peeking(self) -> bool:
        """Whether the audio is held back for the answer to :meth:`peek`."""
        return self._peek == "held"

    def hear_again(self, position: int) -> None:
        """Send the audio again from a position on, once the answer to :meth:`peek` is there."""
        sent = self.untranscribed.sent
        self.origin -= sent - self.untranscribed.rewind(position)
        self._peeked.set()

    async def run(self) -> None:
        """Connect and reconnect, until refused or closed."""
        failures = refusals = 0
        down_since = 0.0
        while True:
            begun = _now()
            self._received = False
            wait = 0.0
            try:
                why = await self._connect_once()
            except ApiError as error:
                status = error.status_code or 0
                if 400 <= status < 500 and status not in TRANSIENT_STATUSES:
                    await self._on_event(Refused(_refusal(status, error)))
                    return
                why = f"the handshake was answered with {status}"
                if status in TRANSIENT_STATUSES:
                    backoff = self._times.refused_retry * 2 ** min(refusals, 16)
                    wait = max(backoff, _retry_after(error))
                    refusals += 1
            except Exception as error:
                why = _describe(error)
            if self._ending:
                return
            stood = self._received or _now() - begun > _STABLE_SECS + self._times.connect
            failures = 1 if stood else failures + 1
            refusals = 0 if stood else refusals
            down_since = _now() if failures == 1 else down_since
            await self._on_event(Lost(why, failures, _now() - down_since >= self._times.replay))
            if failures > 1:
                wait = max(wait, self._times.retry * 2 ** min(failures - 2, 16))
            if wait:
                await asyncio.sleep(min(wait, self._times.max_retry))

    async def close(self) -> None:
        """Ask Deepgram to close, and wait for it up to the timeout."""
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

    async def _connect_once(self) -> str:
        """Run one connection until it ends, and return the reason."""
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
                    why = _describe(error)
        except Exception:
            if not why:
                raise
            # websockets reports that the lost connection was not closed properly.
        return why

    async def _listen(self, connection: Any) -> None:
        self.origin = self.untranscribed.rewind()
        self._peek = "none"
        self._sent_at = self._received_at = _now()
        self._connection = connection
        await self._on_event(Connected())
        self._to_send.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send(connection))
                tasks.create_task(self._watch(connection))
                async for message in connection:
                    self._received_at = _now()
                    self._received = True
                    if self._finalizing:
                        self._changed.set()
                    await self._on_event(message)
                raise ConnectionError("Deepgram closed it")
        finally:
            self._connection = None

    async def _send(self, connection: Any) -> None:
        while True:
            await self._to_send.wait()
            self._to_send.clear()
            while self.untranscribed.unsent >= self._min_message:
                audio = self.untranscribed.next_unsent(self._max_message)
                await connection.send_media(audio)
                self._on_sent(audio)
            if self._finalize:
                self._finalize = False
                await connection.send_finalize()
                self._finalize_sent_at = _now()
                if self._peek == "asked":
                    await self._hold_audio()
            self._sent_at = _now()

    async def _hold_audio(self) -> None:
        """Send nothing until the requested words have arrived, or their time is up."""
        self._peek = "held"
        self._peeked.clear()
        try:
            async with asyncio.timeout(self._times.peek):
                await self._peeked.wait()
        except TimeoutError:
            logger.debug("Deepgram did not say in time what it had heard")
        finally:
            self._peek = "none"
        self._to_send.set()

    async def _watch(self, connection: Any) -> None:
        """Send keepalives, and detect stalls and unanswered requests."""
        times = self._times
        while True:
            self._changed.clear()
            due = [self._sent_at + times.keepalive]
            if self._expecting:
                due.append(self._stalled_at())
            if self._finalizing and (
                self._received_at > self._finalize_sent_at or not self._overdue()
            ):
                due.append(self._finalize_sent_at + times.finalize)
            try:
                async with asyncio.timeout(max(0.0, min(due) - _now())):
                    await self._changed.wait()
            except TimeoutError:
                if self._expecting and _now() >= self._stalled_at():
                    raise ConnectionError(
                        f"it said nothing for {times.stall} s while speech was sent"
                    ) from None
                if _now() >= self._sent_at + times.keepalive:
                    await self._send_keepalive(connection)
                    self._sent_at = _now()
                if (
                    self._finalizing
                    and self._overdue()
                    and self._received_at > self._finalize_sent_at
                ):
                    self._finalizing = False
                    await self._on_event(FinalizeUnanswered())

    async def _send_keepalive(self, connection: Any) -> None:
        if self._version == "v1":
            await connection.send_keep_alive()
            return
        # Flux has no such message, so send silence, which advances Deepgram's timestamps only.
        await connection.send_media(bytes(_FLUX_MESSAGE))
        self.origin -= _FLUX_MESSAGE

    def _overdue(self) -> bool:
        return _now() >= self._finalize_sent_at + self._times.finalize

    def _stalled_at(self) -> float:
        return max(self._received_at, self._expecting_since) + self._times.stall


def _now() -> float:
    return asyncio.get_running_loop().time()


def _abort(connection: Any) -> None:
    """Close a socket at once: the SDK's close waits some 40 s for a peer that does not respond."""
    transport = getattr(getattr(connection, "_websocket", None), "transport", None)
    if transport is not None:
        transport.abort()


def _response_headers(error: Exception) -> Mapping[str, str]:
    """Return a refused handshake's response headers; ``ApiError.headers`` has the request's."""
    refused = error.__context__ if isinstance(error, ApiError) else error
    response = getattr(refused, "response", refused)
    return getattr(response, "headers", None) or {}


def _retry_after(error: Exception) -> float:
    try:
        return max(0.0, float(_response_headers(error).get("retry-after", "") or 0))
    except ValueError:
        return 0.0


def _refusal(status: int, error: Exception) -> str:
    why = str(_response_headers(error).get("dg-error", ""))[:200].rstrip(".")
    return f"Deepgram refused the connection with {status}{': ' if why else ''}{why}"


def _describe(error: Exception) -> str:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__
