"""The embedded recogniser in the chain: one call's speech, as interim and final transcripts."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from pipecat.frames.frames import (
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
# From the end of speech to the final, with the VAD's 0.2 s in it. A guess: benchmarks/stt.py gave a
# p95 of 0.63 and 0.83 s over 16 and 20 recordings, on two cores that others were using.
_TTFS_P99_SECS = 0.9


class Recogniser(Protocol):
    """What turns audio into text: :class:`processors.stt.whisper.engine.WhisperEngine`."""

    @property
    def spare(self) -> bool:
        """Whether an interim transcription may be asked for now."""
        ...

    async def transcribe(
        self, pcm: bytes, *, hotwords: Sequence[str] = (), final: bool = True
    ) -> Transcript:
        """Hear what is said in 16 kHz mono 16-bit audio of at most 30 s."""
        ...


@dataclass(eq=False, slots=True)
class _Utterance:
    """One stretch of speech, from the VAD's start to its stop, and what is known of it."""

    audio: bytearray
    interim_at: int
    onset_ends: int
    cut: list[asyncio.Task[Transcript]] = field(default_factory=list)
    cut_bytes: int = 0
    interim: asyncio.Task[Any] | None = None
    guess: asyncio.Task[Transcript] | None = None
    guess_bytes: int = 0
    shown: str = ""
    shown_bytes: int = 0
    stopped: bool = False


class WhisperSTT(STTService):
    """Transcribes one call with the engine that all calls share.

    Audio stops here. While the caller speaks, ``InterimTranscriptionFrame`` go downstream; after
    each ``VADUserStoppedSpeakingFrame`` follows exactly one ``TranscriptionFrame`` with
    ``finalized=True``, in order, with the text of that stretch of speech. Its text is empty when
    the speech held no words: it was a cough, or the decoding failed, and then an ``ErrorFrame``
    has gone upstream. ``result`` of either frame is the
    :class:`~processors.stt.whisper.engine.Transcript`.

    The final decoding begins at the ``SpeechPauseFrame``, so that it is usually done when the
    speech has stopped. If the caller goes on, its text is an interim one.
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
        """Listen to one call.

        Args:
            engine: The recogniser.
            hotwords: Names that may be said, the most useful first.
            first_interim_secs: Speech before the first interim transcript.
            onset_interval_secs: Speech between one interim transcript and the next at first, when
                it may have to be known soon whether the voice must stop.
            onset_secs: How long "at first" is.
            interim_interval_secs: Speech between one interim transcript and the next after that.
            pre_roll_secs: Audio kept from before the VAD was certain of speech.
            max_utterance_secs: Speech is decoded in pieces of at most this, cut where it is
                quietest; at most 28.
            drain_secs: How long the end of the call waits for transcripts that are due.
            name: pipecat's name for the processor.

        Raises:
            ValueError: A duration is not positive, or ``max_utterance_secs`` not within 2 to 28.
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
        self._utterance: _Utterance | None = None
        self._due: asyncio.Queue[_Utterance] = asyncio.Queue()
        self._delivery: asyncio.Task[None] | None = None
        self._decodings: set[asyncio.Task[Any]] = set()

    def can_generate_metrics(self) -> bool:
        """Time from the end of speech to the final transcript, and seconds of audio."""
        return True

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Transcribe one utterance of 16 kHz mono 16-bit audio, for whoever has one whole."""
        yield self._final(await self._decode(audio))

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Check the audio's rate.

        Raises:
            ValueError: The pipeline's input is not at 16 kHz.
        """
        await super().setup(setup)
        check_input_rate(setup, SAMPLE_RATE)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Keep audio, follow the voice activity, and pass on what is not audio."""
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
            case SpeechPauseFrame():
                await self._speech_paused()
            case VADUserStoppedSpeakingFrame():
                self._speech_stopped(frame.stop_secs)

    async def take_audio(self, frame: InputAudioRawFrame) -> None:
        """Keep audio; nothing of the base classes is needed for it."""
        self._hear(frame.audio)

    async def cleanup(self) -> None:
        """Leave no task behind."""
        await super().cleanup()
        await self._finish(drain=False)

    async def _handle_vad_user_stopped_speaking(self, frame: VADUserStoppedSpeakingFrame) -> None:
        """Time the final transcript; as one always comes, none of pipecat's timeouts is needed."""
        self._user_speaking = False
        await self.start_ttfb_metrics(start_time=frame.timestamp - frame.stop_secs)

    def _hear(self, audio: bytes) -> None:
        if self._muted:
            return
        utterance = self._utterance
        if utterance is None:
            before = self._before
            before += audio
            if len(before) > 2 * self._pre_roll:
                del before[: -self._pre_roll]
            return
        utterance.audio += audio
        heard = len(utterance.audio)
        if heard >= self._max_bytes:
            self._cut(utterance)
        elif (
            heard >= utterance.interim_at
            and (utterance.interim is None or utterance.interim.done())
            and self._engine.spare
        ):
            first = heard < utterance.onset_ends
            utterance.interim_at = heard + (self._onset_interval if first else self._interval)
            utterance.interim = self._begin(self._interim(utterance, bytes(utterance.audio)))

    def _speech_started(self, start_secs: float) -> None:
        if self._utterance is None and self._delivery is not None:
            audio = self._before[-self._pre_roll :]
            self._before = bytearray()
            onset = len(audio) - _bytes(start_secs)
            self._utterance = _Utterance(
                audio=audio,
                interim_at=onset + self._first_interim,
                onset_ends=onset + self._onset,
            )

    async def _speech_paused(self) -> None:
        if utterance := self._utterance:
            if utterance.guess and not utterance.guess.done():
                await self.cancel_task(utterance.guess)
            self._guess(utterance)

    def _speech_stopped(self, stop_secs: float) -> None:
        utterance, self._utterance = self._utterance, None
        if utterance is None:
            return
        utterance.stopped = True
        # The next onset's pre-roll must not hold the end of these words.
        self._before = utterance.audio[-_bytes(stop_secs / 2) :]
        since_guess = len(utterance.audio) - utterance.guess_bytes
        if utterance.guess is None or since_guess > _bytes(max(stop_secs, 0.1)):
            if utterance.guess:
                utterance.guess.cancel()
            self._guess(utterance)
        self._due.put_nowait(utterance)

    def _cut(self, utterance: _Utterance) -> None:
        """Decode what has been said so far, up to where the last seconds were quietest."""
        audio = utterance.audio
        at = _quietest(bytes(audio[-min(len(audio) // 2, 6 * _BYTES_A_SEC) :]), len(audio))
        utterance.cut.append(self._begin(self._decode(bytes(audio[:at]))))
        utterance.cut_bytes += at
        del audio[:at]
        utterance.interim_at -= at
        utterance.onset_ends -= at
        if utterance.guess:
            utterance.guess.cancel()
            utterance.guess = None

    def _guess(self, utterance: _Utterance) -> None:
        utterance.guess_bytes = len(utterance.audio)
        utterance.guess = self._begin(self._heard(utterance, bytes(utterance.audio)))

    async def _heard(
        self, utterance: _Utterance, audio: bytes, *, final: bool = True
    ) -> Transcript:
        """Decode what has been said since the last cut, and show it if it is still news."""
        upto = utterance.cut_bytes + len(audio)
        heard = await self._decode(audio, final=final)
        await self._show(utterance, heard, upto)
        return heard

    async def _interim(self, utterance: _Utterance, audio: bytes) -> None:
        """Show what has been said so far; later on, rest: the machine may have finals to make."""
        heard = await self._heard(utterance, audio, final=False)
        now = len(utterance.audio)
        if now >= utterance.onset_ends:
            utterance.interim_at = max(utterance.interim_at, now + _bytes(heard.delay_secs))

    async def _decode(self, audio: bytes, *, final: bool = True) -> Transcript:
        """Hear a stretch of audio; a failure is told, and has no words."""
        try:
            return await self._engine.transcribe(audio, hotwords=self._hotwords, final=final)
        except Exception as error:
            await self.push_error(f"speech could not be transcribed: {error}", exception=error)
            return Transcript()

    async def _show(self, utterance: _Utterance, heard: Transcript, upto: int) -> None:
        """Push an interim transcript, unless the speech has stopped or more of it is shown."""
        if utterance.stopped or upto <= utterance.shown_bytes:
            return
        cut = [task.result() for task in utterance.cut if task.done() and not task.cancelled()]
        text = _joined([*cut, heard])
        if text and text != utterance.shown:
            utterance.shown, utterance.shown_bytes = text, upto
            await self.push_frame(
                InterimTranscriptionFrame(
                    text, self._user_id, time_now_iso8601(), Language.EN, result=heard
                )
            )

    async def _deliver(self) -> None:
        """Push each utterance's final transcript, in the order in which they were spoken."""
        while True:
            utterance = await self._due.get()
            pieces = [await task for task in utterance.cut]
            if utterance.guess:
                pieces.append(await utterance.guess)
            audio_bytes = utterance.cut_bytes + len(utterance.audio)
            self._stt_usage_pending_seconds += audio_bytes / _BYTES_A_SEC
            await self.emit_stt_usage_metrics()
            await self.push_frame(self._final(pieces[-1], _joined(pieces)))
            self._due.task_done()

    def _final(self, heard: Transcript, text: str | None = None) -> TranscriptionFrame:
        return TranscriptionFrame(
            heard.text if text is None else text,
            self._user_id,
            time_now_iso8601(),
            Language.EN,
            result=heard,
            finalized=True,
        )

    def _begin(self, decoding: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = self.create_task(decoding, "decoding")
        self._decodings.add(task)
        task.add_done_callback(self._decodings.discard)
        return task

    async def _finish(self, *, drain: bool) -> None:
        """Let what is due be delivered, if there is time for it, and end every task."""
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
        for task in (delivery, *self._decodings):
            await self.cancel_task(task)


def _bytes(secs: float) -> int:
    """Whole samples of so many seconds, in bytes."""
    return 2 * round(secs * SAMPLE_RATE)


def _joined(pieces: Sequence[Transcript]) -> str:
    return " ".join(piece.text for piece in pieces if piece.text)


def _quietest(tail: bytes, end: int) -> int:
    """Where the quietest 100 ms of the last part of some audio are, in bytes from its start."""
    step = SAMPLE_RATE // 100
    samples = np.frombuffer(tail, "<i2").astype(np.float32)
    energy = np.square(samples[: len(samples) // step * step]).reshape(-1, step).sum(axis=1)
    quiet = np.convolve(energy, np.ones(10), "valid")
    return end - len(tail) + 2 * step * (int(quiet.argmin()) + 5)
