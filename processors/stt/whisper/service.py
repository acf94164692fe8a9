"""Whisper as a pipecat service: interim and final transcripts of one call."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    StartFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import STTService
from pipecat.transcriptions.language import Language
from pipecat.utils.time import time_now_iso8601

from conversation.frames import SpeechPauseFrame
from processors.audio import check_input_rate
from processors.stt.whisper.engine import Transcript
from processors.stt.whisper.model import MAX_SECS, SAMPLE_RATE

_BYTES_A_SEC = 2 * SAMPLE_RATE
_BEFORE_ONSET_SECS = 0.25
"""Audio from before an onset that was long in doubt, as it is over the voice's echo."""
# From the end of speech to the final transcript, with voice activity's 0.2 s. An estimate:
# benchmarks/stt.py measured a p95 of 0.63 and 0.83 s over 16 and 20 recordings on two busy cores.
_TTFS_P99_SECS = 0.9


class Recogniser(Protocol):
    """Transcribes audio: :class:`processors.stt.whisper.engine.WhisperEngine`."""

    @property
    def spare(self) -> bool:
        """Whether it has capacity for an interim transcription now."""
        ...

    async def transcribe(
        self,
        pcm: bytes,
        *,
        hotwords: Sequence[str] = (),
        final: bool = True,
        beginning: Transcript | None = None,
    ) -> Transcript:
        """Transcribe 16 kHz mono s16le audio of at most 30 s; ``beginning`` is of its beginning."""
        ...


@dataclass(eq=False, slots=True)
class _Utterance:
    """One stretch of speech, from voice activity's start to its stop. Sizes are in bytes.

    Parameters:
        audio: What is not cut off yet.
        interim_at: Size of ``audio`` at which the next interim transcription is due.
        onset_ends: Size of ``audio`` at which interim transcriptions become less frequent.
        cut: Final transcriptions of the pieces cut off from a long utterance.
        cut_bytes: Size of these pieces.
        interim: The interim transcription in progress.
        final: The final transcription of ``audio``, started at a pause or at the stop.
        final_bytes: Size of ``audio`` when ``final`` started.
        beginning: The latest transcription of ``audio`` that is done.
        shown: The last interim transcript pushed.
        shown_bytes: Size of the utterance that it covers.
        stopped: Whether the speech has stopped.
    """

    audio: bytearray
    interim_at: int
    onset_ends: int
    cut: list[asyncio.Task[Transcript]] = field(default_factory=list)
    cut_bytes: int = 0
    interim: asyncio.Task[Any] | None = None
    final: asyncio.Task[Transcript] | None = None
    final_bytes: int = 0
    beginning: Transcript | None = None
    shown: str = ""
    shown_bytes: int = 0
    stopped: bool = False


class WhisperSTT(STTService):
    """Transcribes one call with the engine that all calls share.

    Consumes audio. Pushes ``InterimTranscriptionFrame`` while the caller speaks, and exactly one
    ``TranscriptionFrame`` with ``finalized=True`` after each ``VADUserStoppedSpeakingFrame``, in
    order. Its text is empty if there were no words, as with a cough, or if the transcription
    failed, in which case an ``ErrorFrame`` has gone upstream. ``result`` of both frames is a
    :class:`~processors.stt.whisper.engine.Transcript`.

    The final transcription starts at the ``SpeechPauseFrame``, so it is usually ready by the stop.
    If the caller continues, it serves as an interim one.
    """

    def __init__(
        self,
        *,
        engine: Recogniser,
        hotwords: Sequence[str] = (),
        first_interim_secs: float = 0.2,
        onset_interval_secs: float = 0.1,
        onset_secs: float = 0.6,
        interim_interval_secs: float = 0.5,
        pre_roll_secs: float = 0.5,
        max_utterance_secs: float = 26.0,
        drain_secs: float = 2.0,
        name: str | None = None,
    ) -> None:
        """Create the recogniser of one call.

        Args:
            engine: The engine, shared by all calls.
            hotwords: Names that callers may say, the most useful first.
            first_interim_secs: Speech over the voice before the first interim transcript.
            onset_interval_secs: Speech between interim transcripts during the onset over the voice,
                in which turn taking has to decide quickly whether the caller interrupts.
            onset_secs: Length of the onset.
            interim_interval_secs: Speech between interim transcripts after the onset, and all along
                where the voice is silent.
            pre_roll_secs: Audio from before the detected onset that is transcribed, too.
            max_utterance_secs: Longer speech is transcribed in pieces of at most this length, cut
                where it is quietest; 2 to 28.
            drain_secs: Maximum wait at the end of the call for outstanding transcripts.
            name: pipecat's name for the processor.

        Raises:
            ValueError: A duration is not positive, or ``max_utterance_secs`` is out of range.
        """
        super().__init__(
            name=name,
            audio_passthrough=False,
            sample_rate=SAMPLE_RATE,
            ttfs_p99_latency=_TTFS_P99_SECS,
            settings=STTSettings(model="whisper-base", language=Language.EN),
            enable_direct_mode=True,
        )
        for setting, value in (
            ("first_interim_secs", first_interim_secs),
            ("onset_interval_secs", onset_interval_secs),
            ("onset_secs", onset_secs),
            ("interim_interval_secs", interim_interval_secs),
            ("pre_roll_secs", pre_roll_secs),
            ("drain_secs", drain_secs),
        ):
            if not value > 0:
                raise ValueError(f"{setting} is {value}: it must be more than 0")
        if not 2 <= max_utterance_secs <= MAX_SECS - 2:
            raise ValueError(f"max_utterance_secs is {max_utterance_secs}: it must be 2 to 28")
        self._engine = engine
        self._hotwords = tuple(hotwords)
        self._first_interim = _bytes(first_interim_secs)
        self._onset_interval = _bytes(onset_interval_secs)
        self._onset = _bytes(onset_secs)
        self._interval = _bytes(interim_interval_secs)
        self._pre_roll = _bytes(pre_roll_secs)
        self._max_bytes = _bytes(max_utterance_secs)
        self._drain_secs = drain_secs
        self._before = bytearray()
        self._over_voice = False
        self._utterance: _Utterance | None = None
        self._due: asyncio.Queue[_Utterance] = asyncio.Queue()
        self._delivery: asyncio.Task[None] | None = None
        self._transcriptions: set[asyncio.Task[Any]] = set()

    def can_generate_metrics(self) -> bool:
        """Reports the time from the end of speech to the final transcript, and seconds of audio."""
        return True

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Transcribe one complete utterance, 16 kHz mono s16le."""
        yield self._final_frame(await self._transcribe(audio))

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Set up the processor.

        Raises:
            ValueError: The pipeline's input is not at 16 kHz.
        """
        await super().setup(setup)
        check_input_rate(setup, SAMPLE_RATE)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Buffer audio, act on voice activity, and pass on everything but audio."""
        if isinstance(frame, InputAudioRawFrame):
            await self.take_audio(frame)
            return
        if isinstance(frame, (EndFrame, CancelFrame)):
            await self._finish(drain=isinstance(frame, EndFrame))
        await super().process_frame(frame, direction)
        match frame:
            case StartFrame():
                self._delivery = self._delivery or self.create_task(self._deliver(), "finals")
            case VADUserStartedSpeakingFrame():
                self._speech_started(frame.start_secs)
            case BotStartedSpeakingFrame() | BotStoppedSpeakingFrame():
                self._over_voice = isinstance(frame, BotStartedSpeakingFrame)
            case SpeechPauseFrame():
                await self._speech_paused()
            case VADUserStoppedSpeakingFrame():
                self._speech_stopped(frame.stop_secs)

    async def take_audio(self, frame: InputAudioRawFrame) -> None:
        """Buffer audio. The base classes' processing is not needed for it."""
        self._buffer(frame.audio)

    async def cleanup(self) -> None:
        """Cancel the processor's tasks."""
        await super().cleanup()
        await self._finish(drain=False)

    async def _handle_vad_user_stopped_speaking(self, frame: VADUserStoppedSpeakingFrame) -> None:
        """Start timing the final transcript; one always follows, so no timeout is needed."""
        self._user_speaking = False
        await self.start_ttfb_metrics(start_time=frame.timestamp - frame.stop_secs)

    def _buffer(self, audio: bytes) -> None:
        if self._muted:
            return
        utterance = self._utterance
        if utterance is None:
            before = self._before
            before += audio
            if len(before) > 3 * self._pre_roll:
                del before[: -2 * self._pre_roll]
            return
        utterance.audio += audio
        size = len(utterance.audio)
        if size >= self._max_bytes:
            self._cut(utterance)
        elif (
            size >= utterance.interim_at
            and (utterance.interim is None or utterance.interim.done())
            and self._engine.spare
        ):
            onset = size < utterance.onset_ends
            utterance.interim_at = size + (self._onset_interval if onset else self._interval)
            utterance.interim = self._spawn(self._interim(utterance, bytes(utterance.audio)))

    def _speech_started(self, start_secs: float) -> None:
        if self._utterance is None and self._delivery is not None:
            audio = self._before[-max(self._pre_roll, _bytes(start_secs + _BEFORE_ONSET_SECS)) :]
            self._before = bytearray()
            onset = len(audio) - _bytes(start_secs)
            first, length = self._first_interim, self._onset
            if not self._over_voice:
                first, length = self._interval, 0
            self._utterance = _Utterance(
                audio=audio, interim_at=onset + first, onset_ends=onset + length
            )

    async def _speech_paused(self) -> None:
        if utterance := self._utterance:
            if utterance.final and not utterance.final.done():
                await self.cancel_task(utterance.final)
            self._start_final(utterance)

    def _speech_stopped(self, stop_secs: float) -> None:
        utterance, self._utterance = self._utterance, None
        if utterance is None:
            return
        utterance.stopped = True
        # The pre-roll of the next utterance must not contain the end of this one.
        self._before = utterance.audio[-_bytes(stop_secs / 2) :]
        since_final = len(utterance.audio) - utterance.final_bytes
        if utterance.final is None or since_final > _bytes(max(stop_secs, 0.1)):
            if utterance.final:
                utterance.final.cancel()
            self._start_final(utterance)
        self._due.put_nowait(utterance)

    def _cut(self, utterance: _Utterance) -> None:
        """Cut a long utterance at the quietest point of the last seconds, and transcribe that."""
        audio = utterance.audio
        at = _quietest(bytes(audio[-min(len(audio) // 2, 6 * _BYTES_A_SEC) :]), len(audio))
        utterance.cut.append(self._spawn(self._transcribe(bytes(audio[:at]))))
        utterance.cut_bytes += at
        utterance.beginning = None
        del audio[:at]
        utterance.interim_at -= at
        utterance.onset_ends -= at
        if utterance.final:
            utterance.final.cancel()
            utterance.final = None

    def _start_final(self, utterance: _Utterance) -> None:
        utterance.final_bytes = len(utterance.audio)
        utterance.final = self._spawn(self._transcribe_rest(utterance, bytes(utterance.audio)))

    async def _transcribe_rest(
        self, utterance: _Utterance, audio: bytes, *, final: bool = True
    ) -> Transcript:
        """Transcribe an utterance since its last cut, and push that as an interim transcript."""
        cut = utterance.cut_bytes
        transcript = await self._transcribe(audio, final=final, beginning=utterance.beginning)
        if utterance.cut_bytes == cut:
            utterance.beginning = transcript
        await self._push_interim(utterance, transcript, cut + len(audio))
        return transcript

    async def _interim(self, utterance: _Utterance, audio: bytes) -> None:
        """Push an interim transcript, and after the onset pause for as long as it took."""
        transcript = await self._transcribe_rest(utterance, audio, final=False)
        size = len(utterance.audio)
        if size >= utterance.onset_ends:
            utterance.interim_at = max(utterance.interim_at, size + _bytes(transcript.delay_secs))

    async def _transcribe(
        self, audio: bytes, *, final: bool = True, beginning: Transcript | None = None
    ) -> Transcript:
        """Transcribe some audio; after an error, which is reported, the transcript is empty."""
        try:
            return await self._engine.transcribe(
                audio, hotwords=self._hotwords, final=final, beginning=beginning
            )
        except Exception as error:
            await self.push_error(f"speech could not be transcribed: {error}", exception=error)
            return Transcript()

    async def _push_interim(self, utterance: _Utterance, transcript: Transcript, upto: int) -> None:
        """Push an interim transcript, unless the speech has stopped or a longer one is shown."""
        if utterance.stopped or upto <= utterance.shown_bytes:
            return
        cut = [task.result() for task in utterance.cut if task.done() and not task.cancelled()]
        text = _joined([*cut, transcript])
        if text and text != utterance.shown:
            utterance.shown, utterance.shown_bytes = text, upto
            await self.push_frame(
                InterimTranscriptionFrame(
                    text, self._user_id, time_now_iso8601(), Language.EN, result=transcript
                )
            )

    async def _deliver(self) -> None:
        """Push each utterance's final transcript, in order."""
        while True:
            utterance = await self._due.get()
            pieces = [await task for task in utterance.cut]
            if utterance.final:
                pieces.append(await utterance.final)
            audio_bytes = utterance.cut_bytes + len(utterance.audio)
            self._stt_usage_pending_seconds += audio_bytes / _BYTES_A_SEC
            await self.emit_stt_usage_metrics()
            await self.push_frame(self._final_frame(*pieces))
            self._due.task_done()

    def _final_frame(self, *pieces: Transcript) -> TranscriptionFrame:
        frame = TranscriptionFrame(
            _joined(pieces),
            self._user_id,
            time_now_iso8601(),
            Language.EN,
            result=pieces[-1],
            finalized=True,
        )
        frame.metadata["doubt"] = round(1 - min(piece.confidence for piece in pieces), 6)
        return frame

    def _spawn(self, transcription: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = self.create_task(transcription, "decoding")
        self._transcriptions.add(task)
        task.add_done_callback(self._transcriptions.discard)
        return task

    async def _finish(self, *, drain: bool) -> None:
        """Cancel all tasks; with ``drain``, wait for outstanding transcripts first."""
        if self._delivery is None:
            return
        if drain:
            try:
                await asyncio.wait_for(self._due.join(), self._drain_secs)
            except TimeoutError:
                await self.push_error(
                    f"{self._due.qsize() + 1} transcript(s) were not ready "
                    f"{self._drain_secs} s after the call's end"
                )
        delivery, self._delivery = self._delivery, None
        self._utterance = None
        for task in (delivery, *self._transcriptions):
            await self.cancel_task(task)


def _bytes(secs: float) -> int:
    """Return the size of some audio, in whole samples."""
    return 2 * round(secs * SAMPLE_RATE)


def _joined(pieces: Sequence[Transcript]) -> str:
    return " ".join(piece.text for piece in pieces if piece.text)


def _quietest(tail: bytes, end: int) -> int:
    """Return the position, in bytes, of the quietest 100 ms in the last part of some audio."""
    step = SAMPLE_RATE // 100
    samples = np.frombuffer(tail, "<i2").astype(np.float32)
    energy = np.square(samples[: len(samples) // step * step]).reshape(-1, step).sum(axis=1)
    quiet = np.convolve(energy, np.ones(10), "valid")
    return end - len(tail) + 2 * step * (int(quiet.argmin()) + 5)
