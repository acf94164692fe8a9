"""The browser transport: a page's socket at both ends of a call's chain."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from loguru import logger
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InputTextRawFrame,
    StartFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.processors.frameworks.rtvi import models as rtvi
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_transport import BaseTransport, TransportParams

from conversation.frames import CallerHoldsFrame, CallerTypingFrame, PlaybackFrame
from conversation.turns import INPUT_SAMPLE_RATE, Conversation, Money
from processors.audio import forward_audio
from transports.browser.announcer import Ended
from transports.browser.messages import (
    Audible,
    Cap,
    ClientReady,
    Cost,
    Hangup,
    Lead,
    Playback,
    Recorded,
    Resumed,
    Stage,
    Talk,
    Typed,
    Typing,
)
from transports.browser.page import Page, PageClosedError, PageProtocolError, PageStalledError
from transports.browser.resumption import Resumption
from transports.browser.voice import VoiceOutput

AHEAD_SECS = 10.0
"""Allowed lead of audio over real time: what a page buffered while its network was down."""


class BrowserInput(BaseInputTransport):
    """Reads a page's socket: passes audio down the chain, and playback reports to the voice.

    Runs in direct mode with one task. The socket's flow control is the only queue, so a chain that
    falls behind slows the page down instead of filling this process's memory.
    """

    def __init__(self, page: Page, voice: VoiceOutput, *, ended: Ended) -> None:
        params = TransportParams(audio_in_enabled=True, audio_in_sample_rate=INPUT_SAMPLE_RATE)
        super().__init__(params, enable_direct_mode=True)
        self._page = page
        self._voice = voice
        self._ended = ended
        self._reading: asyncio.Task[None] | None = None

    async def start(self, frame: StartFrame) -> None:
        """Start reading."""
        await super().start(frame)
        if self._reading is None:
            self._reading = self.create_task(self._read())

    async def stop(self, frame: EndFrame) -> None:
        """Stop reading."""
        await self._stop_reading()

    async def cancel(self, frame: CancelFrame) -> None:
        """Stop reading."""
        await self._stop_reading()

    async def cleanup(self) -> None:
        """Stop reading."""
        await super().cleanup()
        await self._stop_reading()

    async def push_audio_frame(self, frame: InputAudioRawFrame) -> None:
        """Push audio on at once, without the base class's queue."""
        await self.push_frame(frame)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Process frames as the base class does."""
        await super().process_frame(frame, direction)

    async def _read(self) -> None:
        pace = _Pace(asyncio.get_running_loop().time)
        try:
            while True:
                message = await self._page.receive()
                match message:
                    case bytes() if pace.exceeded(len(message)):
                        await self._page.send_error("audio comes faster than it can be spoken")
                        self._ended("protocol")
                        return
                    case bytes():
                        await forward_audio(self, InputAudioRawFrame(message, INPUT_SAMPLE_RATE, 1))
                    case Playback():
                        await self._voice.played(
                            PlaybackFrame(
                                epoch=message.epoch, samples=message.samples, final=message.final
                            )
                        )
                    case Audible():
                        await self._voice.audible(message)
                    case Typed():
                        await self.push_frame(InputTextRawFrame(message.content))
                    case Typing():
                        await self.push_frame(CallerTypingFrame())
                    case Talk():
                        await self.push_frame(CallerHoldsFrame(held=message.on))
                    case Hangup():
                        self._ended("hangup")
                    case ClientReady() | Resumed() | Lead():
                        pass  # the page refuses them in a call, or sees to it
        except PageClosedError:
            self._ended("disconnected")
        except PageProtocolError:
            self._ended("protocol")
        except PageStalledError:
            self._ended("stalled")
        except Exception:
            # Without a reader the call would be deaf until its time is up.
            logger.exception("reading from the page failed")
            self._ended("fault")

    async def _stop_reading(self) -> None:
        if self._reading is not None:
            reading, self._reading = self._reading, None
            await self.cancel_task(reading)


class _Pace:
    """Limits audio to real time, for vendors charge for each second."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._began = now()
        self._bytes = 0

    def exceeded(self, size: int) -> bool:
        """Count further bytes; whether the total exceeds real time plus the allowed lead."""
        self._bytes += size
        spoken = self._now() - self._began + AHEAD_SECS
        return self._bytes > spoken * INPUT_SAMPLE_RATE * 2


class BrowserTransport(BaseTransport):
    """A page's socket as pipecat's transport.

    Parameters:
        page: The page's socket, its ``client-ready`` already read.
        conversation: The call's turns and playback.
        ended: Called with a reason when the caller or the page ends the call.
        stage_vendors: Name of each stage's vendor, for the page.
    """

    def __init__(
        self,
        page: Page,
        conversation: Conversation,
        *,
        ended: Ended,
        stage_vendors: dict[str, str] | None = None,
    ) -> None:
        super().__init__()
        self._output = VoiceOutput(page, conversation, ended=ended, stage_vendors=stage_vendors)
        self._input = BrowserInput(page, self._output, ended=ended)

    def input(self) -> FrameProcessor:
        """The processor that the caller's audio enters by."""
        return self._input

    def output(self) -> FrameProcessor:
        """The processor that sends the voice."""
        return self._output


class BrowserConnection:
    """Connects a call to a page: the browser's :class:`pipeline.call.CallerConnection`.

    Parameters:
        page: The page's socket.
        client_ready: The page's ``client-ready``.
        stage_vendors: Name of each stage's vendor, for the page.
        resumption: By what the page may resume the call; ``None`` if it may not.
    """

    def __init__(
        self,
        page: Page,
        client_ready: ClientReady,
        *,
        stage_vendors: dict[str, str],
        resumption: Resumption | None = None,
    ) -> None:
        self._page = page
        self._resumption = resumption
        self._client_ready = client_ready
        self._stage_vendors = stage_vendors

    def transport(self, conversation: Conversation, ended: Ended) -> BrowserTransport:
        """The call's transport."""
        return BrowserTransport(
            self._page, conversation, ended=ended, stage_vendors=self._stage_vendors
        )

    async def announce_recording(self, *, on: bool) -> None:
        """Tell the page whether the call is being recorded."""
        with suppress(PageClosedError, PageStalledError):
            await self._page.send(Recorded(on=on))

    async def announce_start(self, call: str, limit_secs: float, money: Money) -> None:
        """Tell the page that the call has started, with its limits of time and money."""
        about = {"library": "viva", "call": call}
        ready = rtvi.BotReadyData(version=rtvi.PROTOCOL_VERSION, about=about)
        with suppress(PageClosedError, PageStalledError):
            await self._page.send_rtvi(rtvi.BotReady(id=self._client_ready.id, data=ready))
            if self._resumption is not None:
                await self._page.offer_resumption(self._resumption)
            await self._page.send(Cap(limit_secs=limit_secs, left_secs=limit_secs))
            await self._page.send(Cost.from_money(money))
            await self._page.send(Stage(stage="listening"))

    async def announce_time_left(self, limit_secs: float, left_secs: float) -> None:
        """Tell the page that time is running out."""
        with suppress(PageClosedError, PageStalledError):
            await self._page.send(Cap(limit_secs=limit_secs, left_secs=left_secs))

    async def announce_problem(self, message: str) -> None:
        """Tell the page of a problem that does not end the call."""
        with suppress(PageClosedError, PageStalledError):
            await self._page.send_error(message)

    async def finish(self, reason: str, message: str) -> None:
        """Tell the page why the call is over, and close the socket."""
        await self._page.finish(reason, message)
