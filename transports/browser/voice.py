"""The output of a call: the voice, paced to real time, and the page's other messages."""

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from loguru import logger
from pipecat.frames.frames import (
    AggregatedTextFrame,
    BotSpeakingFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    CancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams

from conversation.far_end import FarEnd
from conversation.frames import EndCallFrame, PlaybackFrame, SentenceFrame, shown_text
from conversation.playback import Span
from conversation.turns import OUTPUT_SAMPLE_RATE, Conversation
from transports.browser.announcer import Announcer, Ended
from transports.browser.messages import Audible
from transports.browser.page import Page
from transports.resampler import Resampler

CHUNK_SECS = 0.1
"""Maximum length of an audio message."""

QUEUE_SECS = 60.0
"""Maximum length of queued audio; beyond it, backpressure holds text to speech back."""

HEARD_TIMEOUT_SECS = 0.5
"""Maximum wait for the page's final playback report on an interrupted answer."""

_MOMENT_SECS = 1e-6
"""What is left of a wait by rounding: a clock may not show that it passes."""

_BYTES_PER_SEC = OUTPUT_SAMPLE_RATE * 2


@dataclass(slots=True)
class _Announcement:
    turn: int
    text: str  # its shown text
    spoken: str
    sections: tuple[str, ...]
    lines: tuple[int, ...]
    voice: int = 0  # samples produced so far
    span: Span | None = None  # once its audio is being sent

    def has_come(self, samples: int) -> None:
        self.voice += samples
        if self.span is not None:
            self.span.voice = self.voice


@dataclass(frozen=True, slots=True)
class _Word:
    text: str


@dataclass(frozen=True, slots=True)
class _Stopped:
    """Queue marker: all audio of one utterance has come."""


@dataclass(frozen=True, slots=True)
class _AnswerEnd:
    """Queue marker: the whole answer has come."""


@dataclass(frozen=True, slots=True)
class _EndCall:
    reason: str


_Item = _Announcement | _Word | bytes | _Stopped | _AnswerEnd | _EndCall


class VoiceOutput(BaseOutputTransport):
    """Sends a call's voice to its page, little ahead of real time, and stops it at once.

    Runs in direct mode: a frame arrives the moment text to speech pushes it. So an interruption
    finds all old audio in this queue, drops it, and only then tells the page.
    :class:`processors.turns.keeper.TurnKeeper` stops whatever still comes of an old answer.
    pipecat's own media sender knows what was sent, not what was played, so it is not used.

    Parameters:
        page: The page's socket.
        conversation: The call's turns and playback.
        ended: Called with a reason when the page has gone, or the last words have been played.
        stage_vendors: Who does each stage, for the page.
    """

    def __init__(
        self,
        page: Page,
        conversation: Conversation,
        *,
        ended: Ended,
        stage_vendors: Mapping[str, str] | None = None,
    ) -> None:
        params = TransportParams(audio_out_enabled=True, audio_out_sample_rate=OUTPUT_SAMPLE_RATE)
        super().__init__(params, enable_direct_mode=True)
        self._announcer = Announcer(
            page, conversation, ended=ended, stage_vendors=stage_vendors or {}
        )
        page.observer = conversation.observer
        page.absent = self._pause
        page.back = self._go_on
        # What it has said before the call began.
        page.note_codecs()
        page.note_lead()
        page.note_late()
        conversation.lateness = lambda: page.late_secs
        self._page = page
        self._conversation = conversation
        conversation.playback_is_reported = True
        self._far_end = FarEnd(conversation.clock, sample_rate=OUTPUT_SAMPLE_RATE)
        conversation.far_end = self._far_end
        self._playback = conversation.playback
        self._now = conversation.clock
        self._ended = ended
        self._resampler = Resampler(OUTPUT_SAMPLE_RATE)
        self._items: deque[_Item] = deque()
        self._queued_bytes = 0
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._pacing: asyncio.Task[None] | None = None
        self._voicing = False  # the page has samples to play, or will have
        self._flowing = False  # more audio of the utterance is to come
        self._sentence: _Announcement | None = None  # the sentence whose audio is coming
        self._awaited: _Announcement | None = None  # the same, once all before it was sent
        self._settling: dict[int, asyncio.Task[None]] = {}  # by epoch

    # Frames.

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Queue what belongs to the voice; send the page the rest at once."""
        await super(BaseOutputTransport, self).process_frame(frame, direction)
        if direction is FrameDirection.UPSTREAM:
            await self.push_frame(frame, direction)
            return
        match frame:
            case TTSAudioRawFrame():
                await self.take_audio(frame)
            case TTSTextFrame():
                if frame.pts is not None:  # a word with the vendor's time stamp
                    self._put(_Word(frame.text.strip()))
            case SentenceFrame():
                self._announce(frame, frame.turn, frame.sections, frame.lines)
            case AggregatedTextFrame():
                self._announce(frame, 0, (), ())
            case TTSStartedFrame():
                self._flowing = True
            case TTSStoppedFrame():
                self._put(_Stopped())
            case LLMFullResponseEndFrame():
                self._put(_AnswerEnd())
            case EndCallFrame():
                self._put(_EndCall(frame.reason))
            case InterruptionFrame():
                await self._interrupt()
            case StartFrame():
                self._pacing = self.create_task(self._pace())
            case EndFrame() | CancelFrame():
                await self._stop()
                await self._cut_off()
            case _:
                await self._announcer.frame(frame)
        if not isinstance(frame, (TTSAudioRawFrame, TTSTextFrame)):  # frequent; nobody needs them
            await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Cancel all tasks."""
        await super().cleanup()
        await self._stop()

    async def take_audio(self, frame: TTSAudioRawFrame) -> None:
        """Queue a chunk of the voice."""
        audio = frame.audio
        if frame.sample_rate != OUTPUT_SAMPLE_RATE:
            audio = await self._resampler.resample(audio, frame.sample_rate)
        epoch = self._playback.epoch
        while self._queued_bytes >= QUEUE_SECS * _BYTES_PER_SEC:
            self._room.clear()
            await self._room.wait()
        if epoch == self._playback.epoch:
            if self._sentence is not None:
                self._sentence.has_come(len(audio) // 2)
            self._queued_bytes += len(audio)
            self._put(audio)

    def _announce(
        self,
        frame: AggregatedTextFrame,
        turn: int,
        sections: tuple[str, ...],
        lines: tuple[int, ...],
    ) -> None:
        said = _Announcement(turn, shown_text(frame), frame.text.strip(), sections, lines)
        last = self._sentence
        if last is not None and not last.voice and (last.turn, last.text) == (turn, said.text):
            return  # the voice that took over says what the one before it announced
        self._sentence = said
        self._put(said)

    # The voice.

    def _put(self, item: _Item) -> None:
        self._items.append(item)
        self._changed.set()

    async def _pace(self) -> None:
        """Send the queue in order; the call ends if that fails, for it would be mute."""
        try:
            await self._send_queue()
        except Exception:
            logger.exception("sending the voice failed")
            self._ended("fault")

    async def _send_queue(self) -> None:
        """Send the queue in order, paced to real time."""
        while True:
            item = await self._take()
            match item:
                case bytes():
                    await self._speak(item)
                case _Announcement():
                    await self._begin_sentence(item)
                case _Word():
                    self._playback.word(item.text)
                case _Stopped():
                    self._flowing, self._awaited = False, None
                    await self._announcer.rest()
                case _AnswerEnd():
                    self._awaited = None
                    await self._end_answer()
                case _EndCall():
                    await self._drain()
                    self._ended(item.reason)

    async def _take(self) -> _Item:
        while not self._items or self._page.away:
            await self._page.present()
            if self._items:
                continue
            self._changed.clear()
            wait = None
            if self._voicing and not self._more_to_come:
                wait = self._playback.remaining_secs(self._now())
                if wait < _MOMENT_SECS:
                    await self._voice_stopped()
                    continue
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()
        item = self._items.popleft()
        if isinstance(item, bytes):
            self._queued_bytes -= len(item)
            self._room.set()
        return item

    @property
    def _more_to_come(self) -> bool:
        """Whether the voice goes on: its utterance is open, or another vendor takes over."""
        return self._flowing or (self._awaited is not None and not self._awaited.voice)

    async def _speak(self, audio: bytes) -> None:
        epoch = self._playback.epoch
        step = int(CHUNK_SECS * OUTPUT_SAMPLE_RATE) * 2
        for at in range(0, len(audio), step):
            chunk = audio[at : at + step]
            length = len(chunk) / _BYTES_PER_SEC
            while (ahead := self._ahead_secs(length)) > _MOMENT_SECS or self._page.away:
                await asyncio.sleep(max(0.0, ahead))
                await self._page.present()
                if epoch != self._playback.epoch:
                    return
            if not self._voicing:
                await self._voice_started()
            if epoch != self._playback.epoch:
                return
            now = self._now()
            self._far_end.play(chunk, now + self._playback.remaining_secs(now))
            self._playback.send(len(chunk) // 2, now)
            await self._announcer.audio(chunk)
            if epoch != self._playback.epoch:
                return

    def _ahead_secs(self, length: float) -> float:
        """How much too early further audio of a length would be sent now."""
        return self._playback.remaining_secs(self._now()) + length - self._page.lead_secs

    def _pause(self, quiet_secs: float) -> None:
        """Nothing is known of what the page plays since it was heard last."""
        self._playback.pause(self._now() - quiet_secs)

    def _go_on(self) -> None:
        self._playback.go_on(self._now())

    async def _begin_sentence(self, item: _Announcement) -> None:
        span = item.span = self._playback.begin_sentence(item.turn, item.text, item.spoken)
        item.has_come(0)
        self._awaited = item if item.turn else None
        await self._announcer.sentence(item.turn, span.start, item.text, item.sections, item.lines)

    async def _voice_started(self) -> None:
        self._voicing = True
        await self._announcer.voice_started()
        await self.push_frame(BotStartedSpeakingFrame(), FrameDirection.UPSTREAM)

    async def _voice_stopped(self) -> None:
        self._voicing = False
        await self._announcer.voice_stopped()
        await self._announcer.turn(self._conversation.voice_stopped())
        await self.push_frame(BotStoppedSpeakingFrame(), FrameDirection.UPSTREAM)

    async def _end_answer(self) -> None:
        """End an answer; one without any audio must not leave the caller waiting."""
        # While an utterance is open its audio may still come, perhaps from another vendor.
        if not self._voicing and not self._flowing and self._conversation.is_silent():
            await self._announcer.turn(self._conversation.voice_stopped())
            await self._announcer.stage("listening")
            await self.push_frame(BotStoppedSpeakingFrame(), FrameDirection.UPSTREAM)

    async def _drain(self) -> None:
        while (wait := self._playback.remaining_secs(self._now())) > 0:
            await asyncio.sleep(wait)
            await self._page.present()

    # Interruption.

    async def _interrupt(self) -> None:
        """Drop all unsent audio, then tell the page to drop the rest."""
        self._items.clear()
        self._sentence = self._awaited = None
        self._queued_bytes = 0
        self._room.set()
        self._flowing = False
        await self._resampler.reset()
        voicing, self._voicing, epoch = self._voicing, False, self._playback.epoch
        self._page.drop_rest()
        self._far_end.stop(self._now())
        self._playback.interrupt(self._now())
        await self._announcer.interrupted(voicing=voicing)
        if self._conversation.cut_short(epoch):
            self._settling[epoch] = self.create_task(self._settle_unreported(epoch))

    async def _settle_unreported(self, epoch: int) -> None:
        await asyncio.sleep(HEARD_TIMEOUT_SECS)
        self._settling.pop(epoch, None)
        await self._settle(epoch)

    async def _settle(self, epoch: int) -> None:
        for record in self._conversation.settle(epoch):
            await self._announcer.turn(record)

    async def played(self, report: PlaybackFrame) -> None:
        """Process a playback report of the page."""
        first = self._conversation.played(report)
        if report.final and (waiting := self._settling.pop(report.epoch, None)):
            await self.cancel_task(waiting)
            await self._settle(report.epoch)
        if first:
            await self.push_frame(BotSpeakingFrame(), FrameDirection.UPSTREAM)

    async def audible(self, report: Audible) -> None:
        """Process the page's report of the first audible sample of an answer."""
        await self._announcer.turn(
            self._conversation.audible(epoch=report.epoch, sample=report.sample, at=report.at)
        )

    async def _cut_off(self) -> None:
        await self._announcer.turn(self._conversation.cut_off(voicing=self._voicing))

    async def _stop(self) -> None:
        tasks = list(self._settling.values())
        self._settling.clear()
        if self._pacing is not None:
            tasks.append(self._pacing)
            self._pacing = None
        for task in tasks:
            if task is not asyncio.current_task():
                await self.cancel_task(task)
