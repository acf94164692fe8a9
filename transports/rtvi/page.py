"""The socket of any RTVI client: the same call over pipecat's protobuf frames.

pipecat's serializer encodes the messages, so that its client SDKs connect unchanged. Such a client
handles the voice differently from Viva's page: it plays audio at once, can neither lower nor drop
it, and does not report playback. So this module lowers the voice, sends it with a shorter lead, and
estimates what has been played.
"""

import asyncio
import json
from collections import deque
from typing import Any, cast

import numpy as np
from aiohttp import WSMessage, WSMsgType, web
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InputTransportMessageFrame,
    OutputAudioRawFrame,
)
from pipecat.processors.frameworks.rtvi import models as rtvi
from pipecat.serializers.protobuf import MessageFrame, ProtobufFrameSerializer
from pydantic import BaseModel

from conversation.playback import Playback
from conversation.turns import INPUT_SAMPLE_RATE, OUTPUT_SAMPLE_RATE
from transports.browser import messages
from transports.browser.messages import (
    MAX_AUDIO_BYTES,
    ClientMessage,
    ClientReady,
    MessageError,
    Payload,
    parse_client_message,
    rtvi_message,
    server_message,
)
from transports.browser.page import Page
from transports.flood import ByteGuard
from transports.resampler import Resampler
from transports.rtvi.events import EventTranslator

MIN_SAMPLE_RATE = 8_000
MAX_SAMPLE_RATE = 48_000
"""Allowed sample rates of a client, in Hz; other rates than 16 kHz are resampled."""

BYTES_PER_SEC = 128_000
"""How many bytes a client may send a second: 16 bits at 48 kHz, and a third more."""

BYTES_AT_ONCE = 1_280_000
"""How many it may send at once: what it buffers while its network is down for 10 s."""

REPORT_SECS = 0.1
"""Maximum length of voice played between two estimates of playback."""

_DUCKED = 10 ** (-18 / 20)  # -18 dB, as on the page
_RAMP_SAMPLES = round(0.03 * OUTPUT_SAMPLE_RATE)  # 30 ms, as on the page: no click


class RtviPage(Page):
    """The socket of an RTVI client; docs/rtvi.md describes the protocol.

    Parameters:
        socket: A prepared WebSocket.
        send_timeout_secs: Maximum wait for the client to accept a message.
        guard: What limits the connection, and drops it when the client does not answer.
    """

    lead_secs = 0.2
    bytes_per_sec = BYTES_PER_SEC
    bytes_at_once = BYTES_AT_ONCE

    def __init__(
        self,
        socket: web.WebSocketResponse,
        *,
        send_timeout_secs: float = 5.0,
        guard: ByteGuard | None = None,
    ) -> None:
        super().__init__(socket, send_timeout_secs=send_timeout_secs, guard=guard)
        self._serializer = ProtobufFrameSerializer()
        self._resampler = Resampler(INPUT_SAMPLE_RATE)
        self._translator = EventTranslator()
        self._fader = _Fader()
        self._reckoning: _Reckoning | None = _Reckoning()

    async def receive(self) -> bytes | ClientMessage:
        """Wait for the next valid message, or for the next estimate of playback.

        Raises:
            PageClosedError: The client has gone.
            PageProtocolError: Three messages in a row were invalid.
        """
        if self._reckoning is not None and (report := self._reckoning.report()) is not None:
            self._note_said(report)
            return report
        return await super().receive()

    async def send(self, payload: BaseModel) -> None:
        """Send one of Viva's messages with its translation to RTVI; raises as ``send_audio``."""
        self._note(payload)
        if isinstance(payload, messages.Duck):
            self._fader.duck(on=payload.on)
        else:
            await self._tell(payload)

    async def send_rtvi(self, message: BaseModel) -> None:
        """Send one of RTVI's own messages, and those that go with it; raises as ``send_audio``."""
        self._note(message)
        if isinstance(message, rtvi.BotInterruptedMessage):
            self._fader.restore()
            if self._reckoning is not None:
                self._reckoning.interrupted()
        await self._tell(message)

    async def _tell(self, message: BaseModel) -> None:
        for translated in self._translator.translate(message):
            await self._send(
                server_message(translated)
                if isinstance(translated, Payload)
                else rtvi_message(translated)
            )

    async def _send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            # The serializer takes it, though it is no frame: it is what it makes of messages.
            frame = cast(Frame, MessageFrame(message))
        else:
            frame = OutputAudioRawFrame(self._fader.apply(message), OUTPUT_SAMPLE_RATE, 1)
            if self._reckoning is not None:
                self._reckoning.sent(len(message) // 2)
        data = await self._serializer.serialize(frame)
        assert data is not None, "the serializer knows both kinds"
        await super()._send(data)

    def lead(self, secs: float) -> None:
        """Keep the lead: such a client cannot drop what it was sent."""

    async def _agree(self, ready: ClientReady) -> None:
        """Keep to PCM, which is what pipecat's frames carry."""

    # What the client sends.

    async def _understood(self, message: WSMessage) -> bytes | ClientMessage | None:
        if message.type is WSMsgType.TEXT:
            raise MessageError("text message; this socket takes protobuf frames, as binary")
        try:
            frame = await self._serializer.deserialize(message.data)
        except (DecodeError, ZeroDivisionError) as error:
            raise MessageError(f"binary message is no protobuf frame: {error}") from None
        match frame:
            case None:
                raise MessageError("binary message is no protobuf frame, or its JSON is broken")
            case InputAudioRawFrame():
                return await self._audio(frame)
            case InputTransportMessageFrame():
                return await self._message(frame.message)
            case _:
                kind = type(frame).__name__
                raise MessageError(f"{kind} is not taken here; allowed: audio and messages")

    async def _audio(self, frame: InputAudioRawFrame) -> bytes | None:
        size = len(frame.audio)
        if not size:
            raise MessageError("audio of 0 bytes; one sample, 2 bytes, at least")
        if size > MAX_AUDIO_BYTES:
            raise MessageError(f"audio of {size} bytes; {MAX_AUDIO_BYTES} at most")
        if size % 2:
            raise MessageError(f"audio of {size} bytes; 16-bit samples need an even length")
        if frame.num_channels != 1:
            raise MessageError(f"num_channels is {frame.num_channels}; it must be 1")
        rate = frame.sample_rate
        if not MIN_SAMPLE_RATE <= rate <= MAX_SAMPLE_RATE:
            raise MessageError(
                f"sample_rate is {rate}; allowed: {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE}"
            )
        audio = frame.audio
        if rate != INPUT_SAMPLE_RATE:
            audio = await self._resampler.resample(audio, rate)
        return audio or None

    async def _message(self, message: Any) -> ClientMessage | None:
        """What a message says; RTVI's that Viva has no use for are answered as RTVI has it."""
        try:
            if isinstance(message, dict) and message.get("type") == "client-ready":
                self._refuse_second_start()
            heard = parse_client_message(_encoded(message))
        except MessageError as error:
            if not isinstance(message, dict) or message.get("label") != rtvi.MESSAGE_LABEL:
                raise
            if not isinstance(number := message.get("id"), str) or not _can_be_sent(number):
                raise
            await self._refuse(number, str(error))
            starts = message.get("type") == "client-ready" and not self._started
            return _ready_anyway(number) if starts else None
        if isinstance(heard, ClientReady):
            if trouble := self._translator.client_version(heard.data.version):
                await self._refuse(heard.id, trouble)
        elif isinstance(heard, messages.Playback):
            self._reckoning = None  # it knows better
        return heard

    async def _refuse(self, number: str, error: str) -> None:
        data = rtvi.ErrorResponseData(error=error)
        await self.send_rtvi(rtvi.ErrorResponse(id=number, data=data))


def _encoded(message: Any) -> str:
    """A parsed message as JSON again.

    Raises:
        MessageError: It cannot be encoded.
    """
    try:
        return json.dumps(message)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"message cannot be used: {error}") from None


def _can_be_sent(text: str) -> bool:
    """Whether a text has no half of a surrogate pair, which JSON may hold and UTF-8 may not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _ready_anyway(number: str) -> ClientReady:
    """The ``client-ready`` of a client that does not say what it is; pipecat serves it too."""
    about = rtvi.AboutClientData(library="unknown")
    return ClientReady(id=number, data=messages.ReadyData(version="0.0.0", about=about))


class _Reckoning:
    """Estimates what a client has played that plays everything at once and to its end."""

    def __init__(self) -> None:
        self._playback = Playback(sample_rate=OUTPUT_SAMPLE_RATE)
        self._told = 0
        self._finals: deque[messages.Playback] = deque()
        self._now = asyncio.get_running_loop().time

    def sent(self, samples: int) -> None:
        self._playback.send(samples, self._now())

    def interrupted(self) -> None:
        """Start a new epoch; the client still plays what was sent."""
        epoch, sent = self._playback.epoch, self._playback.sent
        self._finals.append(messages.Playback(epoch=epoch, samples=sent, final=True))
        self._playback.interrupt(self._now())
        self._told = 0

    def report(self) -> messages.Playback | None:
        """The playback report that a page would send now, if any."""
        if self._finals:
            return self._finals.popleft()
        played = self._playback.played(self._now())
        since = played - self._told
        due = not self._told or since >= REPORT_SECS * OUTPUT_SAMPLE_RATE
        if not since or not (due or played == self._playback.sent):
            return None
        self._told = played
        return messages.Playback(epoch=self._playback.epoch, samples=played)


class _Fader:
    """Lowers the voice by 18 dB and brings it back, in ramps of 30 ms, as the page does."""

    def __init__(self) -> None:
        self._gain = self._target = 1.0

    def duck(self, *, on: bool) -> None:
        self._target = _DUCKED if on else 1.0

    def restore(self) -> None:
        self._gain = self._target = 1.0

    def apply(self, audio: bytes) -> bytes:
        """PCM s16le, mono, 24 kHz, at the volume it is to have."""
        if self._gain == self._target == 1.0:
            return audio
        samples = np.frombuffer(audio, "<i2")
        step = (1 - _DUCKED) / _RAMP_SAMPLES * np.arange(1, len(samples) + 1)
        if self._target < self._gain:
            gains = np.maximum(self._target, self._gain - step)
        else:
            gains = np.minimum(self._target, self._gain + step)
        self._gain = float(gains[-1])
        return bytes((samples * gains).astype("<i2").tobytes())
