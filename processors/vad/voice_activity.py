"""Voice activity detection: a state machine over silero's probabilities gives pipecat's frames."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from enum import Enum, auto
from typing import Any

import numpy as np
import numpy.typing as npt
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from conversation.far_end import FarEnd
from conversation.frames import (
    EndOfTurnFrame,
    PauseVerdictFrame,
    SecondVoiceFrame,
    SpeechPauseFrame,
)
from models.inference import SAMPLE_RATE
from processors.audio import forward_audio
from processors.vad.caller_level import CallerLevel
from processors.vad.echo import EchoDetector
from processors.vad.second_voice import SecondVoice
from processors.vad.silero import WINDOW_SAMPLES, WINDOW_SECS, SileroEngine
from processors.vad.smart_turn import MAX_SECS, SmartTurnEngine

_S16 = np.dtype("<i2")
_SCALE = np.float32(1 / 32_768)
_MAX_BYTES = int(MAX_SECS * 2 * SAMPLE_RATE)
# Audio from before the detected onset that the turn model is given: 0.5 s, as in pipecat.
_PRE_ROLL_BYTES = int(0.5 * 2 * SAMPLE_RATE)
# Speech after 3 s of silence is a new turn, even if nothing downstream ended the previous one.
_NEW_TURN_BYTES = int(3.0 * 2 * SAMPLE_RATE)

_ECHO_WINDOWS = 3
"""Windows between two looks at whether what is heard is still an echo only."""
_MOST_LATE_SECS = 0.5
"""The longest that somebody counts as having spoken over an echo before they are told from it."""


class SpeechEvent(Enum):
    """A change in the caller's speech."""

    STARTED = auto()
    PAUSED = auto()
    RESUMED = auto()
    STOPPED = auto()


class SpeechDetector:
    """Turns the probability of each window into the start, pauses and stop of speech.

    Durations are rounded to whole windows of 32 ms, at least one. In silence, a window at or above
    ``start_threshold`` counts as speech, one below ``stop_threshold`` restarts the count, and one
    in between leaves the count as it is. In speech, a window below ``stop_threshold`` counts as
    silence, and any other restarts the count.
    """

    def __init__(
        self,
        *,
        start_secs: float = 0.096,
        stop_secs: float = 0.2,
        pause_secs: float = 0.096,
        start_threshold: float = 0.5,
        stop_threshold: float = 0.35,
    ) -> None:
        """Start in silence.

        Args:
            start_secs: Speech before :attr:`SpeechEvent.STARTED`.
            stop_secs: Silence before :attr:`SpeechEvent.STOPPED`.
            pause_secs: Silence before :attr:`SpeechEvent.PAUSED`.
            start_threshold: Probability from which a window in silence counts as speech.
            stop_threshold: Probability below which a window in speech counts as silence.

        Raises:
            ValueError: A duration is not positive, a threshold not within 0 to 1, the pause
                longer than the stop, or the stop threshold above the start threshold.
        """
        for name, value in (
            ("start_secs", start_secs),
            ("stop_secs", stop_secs),
            ("pause_secs", pause_secs),
        ):
            if not value > 0:
                raise ValueError(f"{name} is {value}: it must be more than 0")
        if pause_secs > stop_secs:
            raise ValueError(
                f"pause_secs is {pause_secs}: it must be at most stop_secs={stop_secs}"
            )
        if not 0 < stop_threshold <= start_threshold < 1:
            raise ValueError(
                f"start_threshold is {start_threshold} and stop_threshold {stop_threshold}: "
                "they must be 0 < stop_threshold <= start_threshold < 1"
            )
        self._start_windows, self._pause_windows, self._stop_windows = (
            max(1, round(secs / WINDOW_SECS)) for secs in (start_secs, pause_secs, stop_secs)
        )
        self._start_threshold = start_threshold
        self._stop_threshold = stop_threshold
        self._run = 0  # windows of speech while silent, of silence while speaking
        self.speaking = False

    @property
    def start_secs(self) -> float:
        """Speech before a start, rounded to whole windows."""
        return self._start_windows * WINDOW_SECS

    @property
    def pause_secs(self) -> float:
        """Silence before a pause, rounded to whole windows."""
        return self._pause_windows * WINDOW_SECS

    @property
    def stop_secs(self) -> float:
        """Silence before a stop, rounded to whole windows."""
        return self._stop_windows * WINDOW_SECS

    @property
    def undecided(self) -> bool:
        """Whether a change may be under way, which the next windows decide."""
        return self._run > 0

    @property
    def least_windows(self) -> int:
        """How many windows the next event takes at least, so that one fewer may wait."""
        if self._run:
            return 1
        return self._pause_windows if self.speaking else self._start_windows

    def feed(self, probability: float) -> tuple[SpeechEvent, ...]:
        """Process the next window.

        Args:
            probability: The window's probability of speech, 0 to 1.

        Returns:
            The events it causes, in order; usually none.
        """
        return self._in_speech(probability) if self.speaking else self._in_silence(probability)

    def stop(self) -> tuple[SpeechEvent, ...]:
        """End any speech in progress, because audio has stopped."""
        paused = self._run >= self._pause_windows
        self._run = 0
        if not self.speaking:
            return ()
        self.speaking = False
        return (SpeechEvent.STOPPED,) if paused else (SpeechEvent.PAUSED, SpeechEvent.STOPPED)

    def _in_silence(self, probability: float) -> tuple[SpeechEvent, ...]:
        if probability >= self._start_threshold:
            self._run += 1
            if self._run == self._start_windows:
                self.speaking = True
                self._run = 0
                return (SpeechEvent.STARTED,)
        elif probability < self._stop_threshold:
            self._run = 0
        return ()

    def _in_speech(self, probability: float) -> tuple[SpeechEvent, ...]:
        if probability >= self._stop_threshold:
            paused = self._run >= self._pause_windows
            self._run = 0
            return (SpeechEvent.RESUMED,) if paused else ()
        self._run += 1
        if self._run == self._stop_windows:
            # With a pause as long as the stop, both events are due now.
            paused = self._pause_windows < self._stop_windows
            self.speaking = False
            self._run = 0
            return (SpeechEvent.STOPPED,) if paused else (SpeechEvent.PAUSED, SpeechEvent.STOPPED)
        return (SpeechEvent.PAUSED,) if self._run == self._pause_windows else ()


class VoiceActivity(FrameProcessor):
    """Detects when the caller starts, pauses and stops speaking.

    Forwards every frame at once; the frames it causes follow it downstream:
    ``VADUserStartedSpeakingFrame``, one ``SpeechPauseFrame`` per pause,
    ``VADUserStoppedSpeakingFrame``, and with a turn model an ``EndOfTurnFrame`` after the stop. The
    turn model starts at the pause, so its result is usually ready by the stop, and then precedes it
    as a ``PauseVerdictFrame``; if the caller resumes, the result is discarded.

    There is no volume threshold: speech is detected in digital silence and in noise alike. If what
    the loudspeaker plays is known, its echo is no speech: the start is held back while all that the
    microphone hears is the voice, or, over the voice and in pauses of the caller, somebody softer
    than they are. A ``SecondVoiceFrame`` then says if a second voice takes turns.
    """

    def __init__(
        self,
        *,
        engine: SileroEngine,
        start_secs: float = 0.096,
        stop_secs: float = 0.2,
        pause_secs: float | None = None,
        start_threshold: float = 0.5,
        stop_threshold: float = 0.35,
        turn_model: SmartTurnEngine | None = None,
        audio_idle_secs: float = 1.0,
        far_end: FarEnd | None = None,
        name: str | None = None,
    ) -> None:
        """Create the stage of one call.

        Args:
            engine: The silero model, shared by all calls.
            start_secs: Speech before the caller counts as speaking.
            stop_secs: Silence before the caller counts as having stopped.
            pause_secs: Silence before a pause; by default 0.096 or ``stop_secs``, if shorter.
            start_threshold: Probability from which a window in silence counts as speech.
            stop_threshold: Probability below which a window in speech counts as silence.
            turn_model: Judges at each stop whether the turn is over; ``None`` for no judgement.
            audio_idle_secs: When no audio arrives for this long (a muted microphone, a stalled
                socket), speech in progress stops, after at most twice this time.
            far_end: What the loudspeaker plays; ``None`` if that is not known, or has no echo.
            name: pipecat's name for the processor.

        Raises:
            ValueError: An argument is out of range; see :class:`SpeechDetector`.
        """
        super().__init__(name=name, enable_direct_mode=True)
        if not audio_idle_secs > 0:
            raise ValueError(f"audio_idle_secs is {audio_idle_secs}: it must be more than 0")
        self._detector = SpeechDetector(
            start_secs=start_secs,
            stop_secs=stop_secs,
            pause_secs=min(0.096, stop_secs) if pause_secs is None else pause_secs,
            start_threshold=start_threshold,
            stop_threshold=stop_threshold,
        )
        self._stream = engine.stream()
        self._window: npt.NDArray[np.float32] = np.zeros(WINDOW_SAMPLES, np.float32)
        self._filled = 0  # samples in the window
        self._pieces = 0  # pieces of audio received
        self._audio_idle_secs = audio_idle_secs
        self._watch: asyncio.Task[Any] | None = None
        self._echo = EchoDetector(far_end) if far_end else None
        self._level = CallerLevel(far_end) if far_end else None
        self._second_voice = SecondVoice(far_end) if far_end else None
        self._held: int | None = None  # windows since a start that is held back
        self._far = False  # it is held back because it is too soft for the caller
        self._turn_model = turn_model
        self._turn_audio = TurnAudio()
        self._stopped: asyncio.Future[float] | None = None
        self._prediction: asyncio.Task[Any] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Forward a frame, then push what its audio caused."""
        if isinstance(frame, InputAudioRawFrame):
            await self.take_audio(frame)
            return
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, UserStoppedSpeakingFrame):
            self._turn_audio.ended = True
        elif isinstance(frame, (EndFrame, CancelFrame)):
            await self._cancel_tasks()

    async def cleanup(self) -> None:
        """Cancel the processor's tasks."""
        await super().cleanup()
        await self._cancel_tasks()

    async def _cancel_tasks(self) -> None:
        await self._cancel_prediction()
        if self._watch:
            await self.cancel_task(self._watch)
            self._watch = None

    async def take_audio(self, frame: InputAudioRawFrame) -> None:
        """Forward audio, then push what it caused.

        Raises:
            ValueError: The audio is not 16-bit mono at 16 kHz.
        """
        await forward_audio(self, frame)
        audio = frame.audio
        if frame.sample_rate != SAMPLE_RATE or frame.num_channels != 1 or len(audio) % 2:
            raise ValueError(
                f"audio is {frame.num_channels} channel(s) at {frame.sample_rate} Hz, "
                f"{len(audio)} bytes: it must be 16-bit mono at {SAMPLE_RATE} Hz"
            )
        self._pieces += 1
        if self._turn_model:
            self._turn_audio.append(audio)
        if self._echo:
            self._echo.take_audio(audio)
        if self._second_voice:
            self._second_voice.take_audio(audio)
        samples = np.frombuffer(audio, _S16)
        filled, window = self._filled, self._window
        while len(samples) >= (room := WINDOW_SAMPLES - filled):
            np.multiply(samples[:room], _SCALE, out=window[filled:])
            samples = samples[room:]
            filled = self._filled = 0
            await self._take_window(window)
        if len(samples):
            self._filled = filled + len(samples)
            np.multiply(samples, _SCALE, out=window[filled : self._filled])

    async def _take_window(self, window: npt.NDArray[np.float32]) -> None:
        """Take a window; what it decides is known at once, and otherwise it may wait."""
        stream = self._stream
        await self._feed(stream.known())
        if self._level:
            self._level.take(window)
        stream.add(window)
        decides = self._held is not None or stream.waiting >= self._detector.least_windows
        if decides or stream.must_infer:
            await self._feed(await stream.inferred())

    async def _feed(self, probabilities: Sequence[float]) -> None:
        for later, probability in zip(range(len(probabilities))[::-1], probabilities, strict=True):
            if self._level:
                self._level.judge(probability, later)
            for event in self._detector.feed(probability):
                await self._hear(event)
            if self._held is not None:
                await self._hold(self._held + 1)

    async def _hear(self, event: SpeechEvent) -> None:
        """Handle an event, unless what is heard is an echo, or somebody far away."""
        if event is SpeechEvent.STARTED and self._is_nobody():
            self._held = 0
        elif self._held is None:
            await self._handle(event)
        elif event is SpeechEvent.STOPPED:
            self._held = None

    def _is_nobody(self) -> bool:
        self._far = bool(self._level and self._level.is_far())
        return self._far or bool(self._echo and self._echo.is_echo())

    async def _hold(self, windows: int) -> None:
        """Hold the start back, until somebody else is heard."""
        self._held = windows
        due = self._far or windows % _ECHO_WINDOWS == 0
        if due and not self._detector.undecided and not self._is_nobody():
            self._held = None
            await self._handle(SpeechEvent.STARTED, late_secs=windows * WINDOW_SECS)

    async def _handle(self, event: SpeechEvent, *, late_secs: float = 0.0) -> None:
        detector = self._detector
        match event:
            case SpeechEvent.STARTED:
                await self._cancel_prediction()
                self._turn_audio.start()
                if self._level:
                    self._level.start()
                if self._second_voice:
                    self._second_voice.start()
                self._watch = self._watch or self.create_task(self._watch_audio(), "audio")
                start_secs = detector.start_secs + min(late_secs, _MOST_LATE_SECS)
                await self.push_frame(VADUserStartedSpeakingFrame(start_secs=start_secs))
            case SpeechEvent.PAUSED:
                if self._turn_model:
                    self._stopped = asyncio.get_running_loop().create_future()
                    self._prediction = self.create_task(
                        self._predict_end(self._turn_model, self._stopped), "verdict"
                    )
                await self.push_frame(SpeechPauseFrame(pause_secs=detector.pause_secs))
            case SpeechEvent.RESUMED:
                await self._cancel_prediction()
            case SpeechEvent.STOPPED:
                self._turn_audio.stop()
                if self._level:
                    self._level.stop()
                await self.push_frame(VADUserStoppedSpeakingFrame(stop_secs=detector.stop_secs))
                if self._stopped and not self._stopped.done():
                    self._stopped.set_result(time.monotonic())
                if self._second_voice and self._second_voice.stop():
                    await self.push_frame(SecondVoiceFrame())

    async def _predict_end(self, model: SmartTurnEngine, stopped: asyncio.Future[float]) -> None:
        try:
            # The model was trained on speech up to its stop: add the silence that is still to come.
            rest = round((self._detector.stop_secs - self._detector.pause_secs) * SAMPLE_RATE)
            probability = await model.probability(self._turn_audio.speech() + bytes(2 * rest))
        except Exception as error:  # turn taking can end the turn without it
            await self.push_error(f"the turn model failed: {error}", exception=error)
            return
        predicted_at = time.monotonic()
        if not stopped.done():
            await self.push_frame(PauseVerdictFrame(probability=probability))
        stopped_at = await stopped
        await self.push_frame(
            EndOfTurnFrame(probability=probability, delay_secs=max(0.0, predicted_at - stopped_at))
        )

    async def _cancel_prediction(self) -> None:
        if self._prediction:
            await self.cancel_task(self._prediction)
            self._prediction = None

    async def _watch_audio(self) -> None:
        while self._detector.speaking:
            pieces = self._pieces
            await asyncio.sleep(self._audio_idle_secs)
            if self._pieces == pieces:
                await self._feed(await self._stream.inferred())
                for event in self._detector.stop():
                    await self._hear(event)
        self._watch = None


class TurnAudio:
    """The last 8 s of audio of the caller's current turn, from half a second before its onset.

    A turn may contain several stretches of speech. It ends when downstream says so
    (:attr:`ended`), or with 3 s of silence.
    """

    def __init__(self) -> None:
        """Start without audio."""
        self.ended = True
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self._since_stop = 0

    def append(self, audio: bytes) -> None:
        """Append the next audio, s16le at 16 kHz, speech or not."""
        self._frames.append(audio)
        self._bytes += len(audio)
        self._since_stop += len(audio)
        self._trim(_MAX_BYTES)

    def start(self) -> None:
        """Note that speech has started; if that is a new turn, drop all but the pre-roll."""
        if self.ended or self._since_stop > _NEW_TURN_BYTES:
            self.ended = False
            self._trim(_PRE_ROLL_BYTES)

    def stop(self) -> None:
        """Note that speech has stopped."""
        self._since_stop = 0

    def speech(self) -> bytes:
        """Return the turn so far, s16le at 16 kHz."""
        return b"".join(self._frames)

    def _trim(self, max_bytes: int) -> None:
        while self._frames and self._bytes - len(self._frames[0]) >= max_bytes:
            self._bytes -= len(self._frames.popleft())
