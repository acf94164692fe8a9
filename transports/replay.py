"""Simulates the page of a replayed call: plays audio in the loop's time, and reports playback.

It encodes nothing and uses no socket. Otherwise it behaves as a page, and sends the reports of the
recorded page after the same delays.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from math import isinf
from typing import Any, Generic, TypeVar, cast

import numpy as np
from aiohttp import web
from pipecat.frames.frames import CancelFrame, EndFrame, Frame, InputAudioRawFrame, StartFrame
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
"""Amplitude (of 32,767) above which a sample is audible."""

_READY = ClientReady(
    id="replay",
    data=ReadyData(version=rtvi.PROTOCOL_VERSION, about=rtvi.AboutClientData(library="viva")),
)


@dataclass(frozen=True, slots=True)
class ClientPlaybackProfile:
    """How a page plays and reports, measured from a recording.

    Parameters:
        reports: Whether it reports playback.
        lead_secs: Maximum lead of the voice sent over the voice played.
        start_secs: Delay from the first sample received to the first played.
        starts: The same by the first sentence of an answer, once for each time it occurred.
        step: Number of samples it plays at a time.
        first_report_secs: Delay from the first sample played to the first report.
        report_secs: Interval between two reports.
        final_secs: Delay from an interruption to the final report of its epoch.
        audible_secs: Delay from the first audible sample to its report; ``None`` without reports.
        heard_secs: Delay from a sample's counting as played to its being heard.
        audible: Index of the first audible sample of an answer, by its first sentence, once for
            each time; for other answers it is searched in the audio.
        repeated: The reports of an irregular page, which are repeated as they were: for each time
            that the voice started, seconds after it, the epoch, and the samples played. Empty for a
            page that follows the other values.
        finals: With ``repeated``, the samples of each interrupted epoch's final report.
        absences: When the page was away, in seconds of the call: since when it was silent, when
            that was noticed, and when it was back, infinity if it never was.
        leads: When the page asked for which lead, both in seconds.
        lates: When the caller's voice came by how much late, both in seconds.
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
    repeated: Sequence[Sequence[tuple[float, int, int]]] = ()
    finals: Mapping[int, int] = field(default_factory=dict)
    absences: Sequence[tuple[float, float, float]] = ()
    leads: Sequence[tuple[float, float]] = ()
    lates: Sequence[tuple[float, float]] = ()


class ReplayedPage(Page):
    """A page that plays in the loop's time what it is sent.

    Parameters:
        profile: How it plays and reports.
        told: Called with each message to the page, after the page has processed it.
        over: Called when the call is over, before the page is closed.
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
        self._began = self._now()
        self._epoch = 0
        self._sent = 0
        self._from = (0.0, 0)  # when which sample is played
        self._sentence = ""
        self._answer: tuple[int, int, str] | None = None  # one whose first sound has not come
        self._last_answer = 0
        self._coming = asyncio.Event()
        self._repeated = deque(profile.repeated)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def closed(self) -> bool:
        """Whether the call is over."""
        return self._gone

    # What is played.

    @property
    def epoch(self) -> int:
        """Number of interruptions so far."""
        return self._epoch

    @property
    def played(self) -> int:
        """Number of samples of the present epoch played so far."""
        began, sample = self._from
        since = round((self._now() - began) * OUTPUT_SAMPLE_RATE)
        return max(0, min(self._sent, sample + since // self.profile.step * self.profile.step))

    def moment(self, sample: int) -> float:
        """Time at which a sample of the present epoch is played, if no audio is late."""
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
        """Process one of Viva's messages."""
        self._take(payload)

    async def send_rtvi(self, message: BaseModel) -> None:
        """Process one of RTVI's messages."""
        self._take(message)

    async def close(self) -> None:
        """Stop playing."""
        self._gone = True
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def finish(self, reason: str, message: str) -> None:
        """Note that the call is over, and close."""
        self._over()
        await super().finish(reason, message)

    def _take(self, message: BaseModel) -> None:
        if self._gone:
            raise PageClosedError
        self._note(message)
        match message:
            case rtvi.BotInterruptedMessage():
                self._drop()
            case rtvi.BotStartedSpeakingMessage() if self._repeated:
                self._spawn(self._repeat(self._repeated.popleft()))
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
        if self.profile.repeated:
            played = self.profile.finals.get(over, played)
        if self.profile.reports:
            self._later(self.profile.final_secs, lambda: self._report(over, played, final=True))

    # What it reports.

    def play(self) -> None:
        """Start reporting playback, and do what the recorded page's network made it do."""
        if self.profile.absences:
            self._spawn(self._be_away())
        if self.profile.leads:
            self._spawn(self._at_times(self.profile.leads, self.lead))
        if self.profile.lates:
            self._spawn(self._at_times(self.profile.lates, self.late))
        if self.profile.reports and not self.profile.repeated:
            self._spawn(self._report_progress())

    async def _be_away(self) -> None:
        for silent, away, back in self.profile.absences:
            await asyncio.sleep(max(0.0, self._began + away - self._now()))
            self._note_away(away - silent)
            if isinf(back):
                return
            await asyncio.sleep(max(0.0, self._began + back - self._now()))
            self._note_back()

    async def _at_times(
        self, said: Sequence[tuple[float, float]], say: Callable[[float], None]
    ) -> None:
        for at, secs in said:
            if (wait := self._began + at - self._now()) > 0:
                await asyncio.sleep(wait)
            say(secs)

    async def _repeat(self, reports: Sequence[tuple[float, int, int]]) -> None:
        began = self._now()
        for secs, epoch, samples in reports:
            await asyncio.sleep(max(0.0, began + secs - self._now()))
            await self._report(epoch, samples)

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
        """Search a chunk for the answer's first audible sample."""
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
    """Recorded values by name, in order of occurrence; the last one repeats."""

    def __init__(self, known: Mapping[str, Sequence[T]]) -> None:
        self._known = known
        self._count: dict[str, int] = {}

    def next(self, name: str, usual: T) -> T:
        """The next value of a name, or the usual one if there is none."""
        known = self._known.get(name)
        if not known:
            return usual
        count = self._count[name] = self._count.get(name, 0) + 1
        return known[min(count, len(known)) - 1]


class ReplayInput(BaseInputTransport):
    """The input of a replayed caller's audio.

    Parameters:
        page: The page.
        speak: The caller; runs from the start of the chain to its end.
    """

    def __init__(self, page: ReplayedPage, speak: Callable[[], Coroutine[Any, Any, None]]) -> None:
        params = TransportParams(audio_in_enabled=True, audio_in_sample_rate=INPUT_SAMPLE_RATE)
        super().__init__(params, enable_direct_mode=True)
        self._page = page
        self._speak = speak
        self._speaking: asyncio.Task[None] | None = None

    async def start(self, frame: StartFrame) -> None:
        """Start the caller."""
        await super().start(frame)
        if self._speaking is None:
            self._page.play()
            self._speaking = self.create_task(self._speak())

    async def stop(self, frame: EndFrame) -> None:
        """Stop the caller."""
        await self._silence()

    async def cancel(self, frame: CancelFrame) -> None:
        """Stop the caller."""
        await self._silence()

    async def cleanup(self) -> None:
        """Stop the caller."""
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
        stage_vendors: Name of each stage's vendor.
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
        """The processor that the caller's audio enters by."""
        return self._input

    def output(self) -> FrameProcessor:
        """The processor that sends the voice."""
        return self._output


class ReplayConnection(BrowserConnection):
    """Connects a replayed call to its caller.

    Parameters:
        page: The page.
        stage_vendors: Name of each stage's vendor.
        speak: The caller; takes the conversation, a function for audio, one for other frames, and
            one that ends the call.
    """

    def __init__(
        self,
        page: ReplayedPage,
        *,
        stage_vendors: dict[str, str],
        speak: Callable[
            [Conversation, Callable[[bytes], Any], Callable[[Frame], Any], Ended],
            Coroutine[Any, Any, None],
        ],
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
            speak=lambda: self._speak(conversation, hear, source.push_frame, ended),
        )
        source = transport.input()
        return transport
