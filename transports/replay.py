"""The page's end of a replayed call: it plays what it is sent in the loop's time, and reports it.

Nothing is encoded and no socket is used; apart from that it is a page, and says what the page of
the recording said, after the same delays.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

import numpy as np
from aiohttp import web
from pipecat.frames.frames import CancelFrame, EndFrame, InputAudioRawFrame, StartFrame
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.processors.frameworks.rtvi import models as rtvi
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_transport import BaseTransport, TransportParams
from pydantic import BaseModel

from conversation.frames import PlaybackFrame
from conversation.turns import INPUT_SAMPLE_RATE, OUTPUT_SAMPLE_RATE, Conversation
from processors.audio import forward_audio
from transports.browser.announcer import Ended
from transports.browser.messages import Audible, ClientReady, ReadyData, Sentence
from transports.browser.page import Page, PageClosedError
from transports.browser.transport import BrowserConnection
from transports.browser.voice import VoiceOutput

T = TypeVar("T")

AUDIBLE = 200
"""Samples above it (of 32,767) are not silence."""

_READY = ClientReady(
    id="replay",
    data=ReadyData(version=rtvi.PROTOCOL_VERSION, about=rtvi.AboutClientData(library="viva")),
)


@dataclass(frozen=True, slots=True)
class ClientPlaybackProfile:
    """How a page plays and reports.

    Parameters:
        reports: Whether it says what it has played.
        lead_secs: Longest voice that it is sent ahead of what it has played.
        start_secs: From the first sample that came to the first that is played.
        starts: The same, for a voice that begins with this sentence: each time that it did.
        step: It plays so many samples at a time.
        first_report_secs: From the first sample played to the first report.
        report_secs: Between two reports.
        final_secs: From an interruption to the report of what was played before it.
        audible_secs: From the first audible sample to the report of it; ``None`` if it makes none.
        heard_secs: From when a sample counts as played to when it is heard.
        audible: Which sample of an answer's first sentence is the first that can be heard, by its
            text, each time; for others it is found in the audio.
    """

    reports: bool = True
    lead_secs: float = Page.lead_secs
    start_secs: float = 0.06
    starts: Mapping[str, Sequence[float]] = field(default_factory=dict)
    step: int = 1
    first_report_secs: float = 0.02
    report_secs: float = 0.1
    final_secs: float = 0.0
    audible_secs: float | None = None
    heard_secs: float = 0.0
    audible: Mapping[str, Sequence[int]] = field(default_factory=dict)


class ReplayedPage(Page):
    """Plays what it is sent.

    Parameters:
        profile: How.
        told: Called with each message that the page is told, once it has taken it.
        over: Called when the page is told that the call is over, before it is closed.
    """

    def __init__(
        self,
        profile: ClientPlaybackProfile,
        *,
        told: Callable[[BaseModel], None] = lambda _message: None,
        over: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(cast(web.WebSocketResponse, None))
        self.profile = profile
        self.lead_secs = profile.lead_secs
        self.voice: VoiceOutput | None = None
        self._starts = _Times(profile.starts)
        self._audible = _Times(profile.audible)
        self._told = told
        self._over = over
        self._gone = False
        self._now = asyncio.get_running_loop().time
        self._epoch = 0
        self._sent = 0
        self._from = (0.0, 0)  # when which sample is played
        self._sentence = ""
        self._answer: tuple[int, int, str] | None = None  # one whose first sound has not come
        self._last_answer = 0
        self._coming = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def closed(self) -> bool:
        """Whether the call is over."""
        return self._gone

    # What is played.

    @property
    def epoch(self) -> int:
        """How many interruptions it has seen."""
        return self._epoch

    @property
    def played(self) -> int:
        """Samples of the present epoch that have been played."""
        began, sample = self._from
        since = round((self._now() - began) * OUTPUT_SAMPLE_RATE)
        return max(0, min(self._sent, sample + since // self.profile.step * self.profile.step))

    def moment(self, sample: int) -> float:
        """When a sample of the present epoch is played, if all before it comes in time."""
        began, first = self._from
        return began + (sample - first) / OUTPUT_SAMPLE_RATE

    async def send_audio(self, audio: bytes) -> None:
        """Play audio."""
        if self._gone:
            raise PageClosedError
        self.observer.sent(audio)
        now = self._now()
        if self.moment(self._sent) <= now:
            wait = self._starts.next(self._sentence, self.profile.start_secs)
            self._from = (now + wait, self._sent)
            self._coming.set()
        first, self._sent = self._sent, self._sent + len(audio) // 2
        if self._answer is not None and self.profile.audible_secs is not None:
            self._listen(first, audio)

    async def send(self, payload: BaseModel) -> None:
        """Take one of Viva's messages."""
        self._take(payload)

    async def send_rtvi(self, message: BaseModel) -> None:
        """Take one of RTVI's messages."""
        self._take(message)

    async def close(self) -> None:
        """Stop playing."""
        self._gone = True
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def finish(self, reason: str, message: str) -> None:
        """Take it that the call is over."""
        self._over()
        await super().finish(reason, message)

    def _take(self, message: BaseModel) -> None:
        if self._gone:
            raise PageClosedError
        self._note(message)
        match message:
            case rtvi.BotInterruptedMessage():
                self._drop()
            case Sentence():
                self._sentence = message.text
                if message.turn > self._last_answer:
                    self._last_answer = message.turn
                    self._answer = (message.turn, message.start, message.text)
            case _:
                pass
        self._told(message)

    def _drop(self) -> None:
        over, played = self._epoch, self.played
        self._epoch += 1
        self._sent, self._from = 0, (0.0, 0)
        self._sentence, self._answer = "", None
        if self.profile.reports:
            self._later(self.profile.final_secs, lambda: self._report(over, played, final=True))

    # What it reports.

    def play(self) -> None:
        """Begin to report what is played."""
        if self.profile.reports:
            self._spawn(self._report_progress())

    async def _report_progress(self) -> None:
        profile = self.profile
        while True:
            self._coming.clear()
            epoch = self._epoch
            if self._sent <= self.played:
                await self._coming.wait()
                continue
            wait = self._from[0] + profile.first_report_secs - self._now()
            while True:
                left = self.moment(self._sent) - self._now()
                await asyncio.sleep(max(1e-4, min(wait, left) if left > 0 else wait))
                if epoch != self._epoch:
                    break
                played = self.played
                if played:
                    await self._report(epoch, played)
                if played >= self._sent or epoch != self._epoch:
                    break
                wait = profile.report_secs

    async def _report(self, epoch: int, samples: int, *, final: bool = False) -> None:
        if self._gone or self.voice is None:
            return
        told = {"epoch": epoch, "samples": samples, "final": final}
        self.observer.page_said("playback", told)
        await self.voice.played(PlaybackFrame(epoch=epoch, samples=samples, final=final))

    def _listen(self, first: int, audio: bytes) -> None:
        """Look for the answer's first sound in audio that begins with a sample of the epoch."""
        assert self._answer is not None
        _, start, text = self._answer
        known = self._audible.next(text, -1)
        if known >= 0:
            sample = start + known
        else:
            samples = np.abs(np.frombuffer(audio, np.int16).astype(np.int32))
            loud = np.flatnonzero(samples > AUDIBLE) + first
            loud = loud[loud >= start]
            if not len(loud):
                return
            sample = int(loud[0])
        self._answer = None
        epoch, at = self._epoch, self.moment(sample) + self.profile.heard_secs
        assert self.profile.audible_secs is not None
        wait = max(0.0, at - self._now()) + self.profile.audible_secs
        self._later(wait, lambda: self._say_audible(Audible(epoch=epoch, sample=sample, at=at)))

    async def _say_audible(self, report: Audible) -> None:
        if self._gone or self.voice is None or report.epoch != self._epoch:
            return
        self.observer.page_said("audible", report.model_dump())
        await self.voice.audible(report)

    def _later(self, secs: float, what: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def wait() -> None:
            await asyncio.sleep(secs)
            await what()

        self._spawn(wait())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Times(Generic[T]):
    """What was so the first time, the second time …; after the last, as it was then."""

    def __init__(self, known: Mapping[str, Sequence[T]]) -> None:
        self._known = known
        self._count: dict[str, int] = {}

    def next(self, name: str, usual: T) -> T:
        """The next one of a name."""
        known = self._known.get(name)
        if not known:
            return usual
        count = self._count[name] = self._count.get(name, 0) + 1
        return known[min(count, len(known)) - 1]


class ReplayInput(BaseInputTransport):
    """Where a replayed caller is heard.

    Parameters:
        page: The page.
        speak: The caller: runs from the start of the chain to its end.
    """

    def __init__(self, page: ReplayedPage, speak: Callable[[], Coroutine[Any, Any, None]]) -> None:
        params = TransportParams(audio_in_enabled=True, audio_in_sample_rate=INPUT_SAMPLE_RATE)
        super().__init__(params, enable_direct_mode=True)
        self._page = page
        self._speak = speak
        self._speaking: asyncio.Task[None] | None = None

    async def start(self, frame: StartFrame) -> None:
        """Let the caller begin."""
        await super().start(frame)
        if self._speaking is None:
            self._page.play()
            self._speaking = self.create_task(self._speak())

    async def stop(self, frame: EndFrame) -> None:
        """Silence the caller."""
        await self._silence()

    async def cancel(self, frame: CancelFrame) -> None:
        """Silence the caller."""
        await self._silence()

    async def cleanup(self) -> None:
        """Silence the caller."""
        await super().cleanup()
        await self._silence()

    async def push_audio_frame(self, frame: InputAudioRawFrame) -> None:
        """Push audio on at once, without the base class's queue."""
        await self.push_frame(frame)

    async def _silence(self) -> None:
        if self._speaking is not None:
            speaking, self._speaking = self._speaking, None
            await self.cancel_task(speaking)


class ReplayTransport(BaseTransport):
    """A replayed page as pipecat's transport.

    Parameters:
        page: The page.
        conversation: The call's turns and playback.
        ended: Called with a reason when the page ends the call.
        stage_vendors: Who does each stage.
        speak: The caller.
    """

    def __init__(
        self,
        page: ReplayedPage,
        conversation: Conversation,
        *,
        ended: Ended,
        stage_vendors: Mapping[str, str],
        speak: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        super().__init__()
        self._output = VoiceOutput(page, conversation, ended=ended, stage_vendors=stage_vendors)
        page.voice = self._output
        self._input = ReplayInput(page, speak)

    def input(self) -> FrameProcessor:
        """Where the caller's audio comes in."""
        return self._input

    def output(self) -> FrameProcessor:
        """Where the voice goes out."""
        return self._output


class ReplayConnection(BrowserConnection):
    """Connects a replayed call to its caller.

    Parameters:
        page: The page.
        stage_vendors: Who does each stage.
        speak: The caller: given the call's conversation, where audio goes in, and what ends the
            call.
    """

    def __init__(
        self,
        page: ReplayedPage,
        *,
        stage_vendors: dict[str, str],
        speak: Callable[[Conversation, Callable[[bytes], Any], Ended], Coroutine[Any, Any, None]],
    ) -> None:
        super().__init__(page, _READY, stage_vendors=stage_vendors)
        self._replayed = page
        self._speak = speak

    def transport(self, conversation: Conversation, ended: Ended) -> ReplayTransport:  # type: ignore[override]
        """The call's transport."""

        async def hear(pcm: bytes) -> None:
            await forward_audio(source, InputAudioRawFrame(pcm, INPUT_SAMPLE_RATE, 1))

        transport = ReplayTransport(
            self._replayed,
            conversation,
            ended=ended,
            stage_vendors=self._stage_vendors,
            speak=lambda: self._speak(conversation, hear, ended),
        )
        source = transport.input()
        return transport
