"""Hearing that the caller speaks: silero windows, a small state machine, pipecat's VAD frames."""

import asyncio
import time
from collections import deque
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

from conversation.frames import EndOfTurnFrame, SpeechPauseFrame
from models.inference import SAMPLE_RATE
from processors.audio import forward_audio
from processors.vad.silero import WINDOW_SAMPLES, WINDOW_SECS, SileroEngine
from processors.vad.smart_turn import MAX_SECS, SmartTurnEngine

_S16 = np.dtype("<i2")
_SCALE = np.float32(1 / 32_768)
_MAX_BYTES = int(MAX_SECS * 2 * SAMPLE_RATE)
# What the turn model hears before the onset was certain: 0.5 s, as pipecat gives it.
_PRE_ROLL_BYTES = int(0.5 * 2 * SAMPLE_RATE)
# Speech after 3 s of silence is a new turn, whoever took the last one.
_NEW_TURN_BYTES = int(3.0 * 2 * SAMPLE_RATE)


class Speech(Enum):
    """What a window did to the caller's speech."""

    STARTED = auto()
    PAUSED = auto()
    RESUMED = auto()
    STOPPED = auto()


class SpeechGate:
    """From the probability of each window to when speech starts, pauses and stops.

    Durations are taken to the nearest whole window of 32 ms, and at least one. In silence, a
    window at or above ``start_threshold`` is speech, one below ``stop_threshold`` begins the
    count again, and one between the two leaves it. In speech, only what is below
    ``stop_threshold`` is silence.
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
        """Check and take over the settings.

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
        self._start, self._pause, self._stop = (
            max(1, round(secs / WINDOW_SECS)) for secs in (start_secs, pause_secs, stop_secs)
        )
        self._start_threshold = start_threshold
        self._stop_threshold = stop_threshold
        self._run = 0
        self.speaking = False

    @property
    def start_secs(self) -> float:
        """How much speech it really takes to start."""
        return self._start * WINDOW_SECS

    @property
    def pause_secs(self) -> float:
        """How much silence it really takes to pause."""
        return self._pause * WINDOW_SECS

    @property
    def stop_secs(self) -> float:
        """How much silence it really takes to stop."""
        return self._stop * WINDOW_SECS

    @property
    def undecided(self) -> bool:
        """Whether speech or silence may just have begun: the next windows decide."""
        return self._run > 0

    def feed(self, probability: float) -> tuple[Speech, ...]:
        """Take the next window.

        Args:
            probability: That it holds speech, 0 to 1.

        Returns:
            What happened, in order; nearly always nothing.
        """
        return self._silence_or_word(probability) if self.speaking else self._onset(probability)

    def stop(self) -> tuple[Speech, ...]:
        """Say that no more audio is coming for now: speech that goes on, stops."""
        paused = self._run >= self._pause
        self._run = 0
        if not self.speaking:
            return ()
        self.speaking = False
        return (Speech.STOPPED,) if paused else (Speech.PAUSED, Speech.STOPPED)

    def _onset(self, probability: float) -> tuple[Speech, ...]:
        if probability >= self._start_threshold:
            self._run += 1
            if self._run == self._start:
                self.speaking = True
                self._run = 0
                return (Speech.STARTED,)
        elif probability < self._stop_threshold:
            self._run = 0
        return ()

    def _silence_or_word(self, probability: float) -> tuple[Speech, ...]:
        if probability >= self._stop_threshold:
            paused = self._run >= self._pause
            self._run = 0
            return (Speech.RESUMED,) if paused else ()
        self._run += 1
        if self._run == self._stop:
            # A pause as long as the stop has not been told yet.
            told = self._pause < self._stop
            self.speaking = False
            self._run = 0
            return (Speech.STOPPED,) if told else (Speech.PAUSED, Speech.STOPPED)
        return (Speech.PAUSED,) if self._run == self._pause else ()


class VoiceActivity(FrameProcessor):
    """Tells the rest of the chain when the caller starts, pauses and stops.

    Every frame goes on at once, and what it caused follows it downstream:
    ``VADUserStartedSpeakingFrame``, ``SpeechPauseFrame`` once a pause,
    ``VADUserStoppedSpeakingFrame``, and with a turn model ``EndOfTurnFrame`` as soon as its
    verdict is known after the stop. The model starts at the pause, so that the verdict is usually
    there when the speech has stopped; if the caller goes on it is thrown away.

    There is no loudness gate: a caller is heard in digital silence and in noise alike.
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
        name: str | None = None,
    ) -> None:
        """Listen to one call.

        Args:
            engine: The model that all calls share.
            start_secs: Speech before the caller counts as speaking.
            stop_secs: Silence before the caller counts as having stopped.
            pause_secs: Silence before a pause; if not given, 0.096 or ``stop_secs``, the shorter.
            start_threshold: Probability at which a window is speech.
            stop_threshold: Probability under which a window of speech is silence.
            turn_model: Judges each stop, if given.
            audio_idle_secs: When no audio at all comes for so long (a muted microphone, a stalled
                socket) speech that was going on stops, within twice that time.
            name: pipecat's name for the processor.

        Raises:
            ValueError: A setting is out of its range; see :class:`SpeechGate`.
        """
        super().__init__(name=name, enable_direct_mode=True)
        if not audio_idle_secs > 0:
            raise ValueError(f"audio_idle_secs is {audio_idle_secs}: it must be more than 0")
        self._gate = SpeechGate(
            start_secs=start_secs,
            stop_secs=stop_secs,
            pause_secs=min(0.096, stop_secs) if pause_secs is None else pause_secs,
            start_threshold=start_threshold,
            stop_threshold=stop_threshold,
        )
        self._stream = engine.stream()
        self._window: npt.NDArray[np.float32] = np.zeros(WINDOW_SAMPLES, np.float32)
        self._filled = 0
        self._heard = 0
        self._audio_idle_secs = audio_idle_secs
        self._watch: asyncio.Task[Any] | None = None
        self._turn_model = turn_model
        self._turn_audio = TurnAudio()
        self._stopped: asyncio.Future[float] | None = None
        self._verdict: asyncio.Task[Any] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass every frame on, and then say what the audio in it changed."""
        if isinstance(frame, InputAudioRawFrame):
            await self.take_audio(frame)
            return
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, UserStoppedSpeakingFrame):
            self._turn_audio.taken = True
        elif isinstance(frame, (EndFrame, CancelFrame)):
            await self._drop_tasks()

    async def cleanup(self) -> None:
        """Leave no task behind."""
        await super().cleanup()
        await self._drop_tasks()

    async def _drop_tasks(self) -> None:
        await self._drop_verdict()
        if self._watch:
            await self.cancel_task(self._watch)
            self._watch = None

    async def take_audio(self, frame: InputAudioRawFrame) -> None:
        """Hand audio on, and say what it changed."""
        await forward_audio(self, frame)
        audio = frame.audio
        if frame.sample_rate != SAMPLE_RATE or frame.num_channels != 1 or len(audio) % 2:
            raise ValueError(
                f"audio is {frame.num_channels} channel(s) at {frame.sample_rate} Hz, "
                f"{len(audio)} bytes: it must be 16-bit mono at {SAMPLE_RATE} Hz"
            )
        self._heard += 1
        if self._turn_model:
            self._turn_audio.hear(audio)
        samples = np.frombuffer(audio, _S16)
        filled, window = self._filled, self._window
        while len(samples) >= (room := WINDOW_SAMPLES - filled):
            np.multiply(samples[:room], _SCALE, out=window[filled:])
            samples = samples[room:]
            filled = self._filled = 0
            gate = self._gate
            probability = await self._stream.speech_probability(window, urgent=gate.undecided)
            for event in gate.feed(probability):
                await self._tell(event)
        if len(samples):
            self._filled = filled + len(samples)
            np.multiply(samples, _SCALE, out=window[filled : self._filled])

    async def _tell(self, event: Speech) -> None:
        match event:
            case Speech.STARTED:
                await self._drop_verdict()
                self._turn_audio.start()
                self._watch = self._watch or self.create_task(self._watch_audio(), "audio")
                await self.push_frame(VADUserStartedSpeakingFrame(start_secs=self._gate.start_secs))
            case Speech.PAUSED:
                if self._turn_model:
                    self._stopped = asyncio.get_running_loop().create_future()
                    self._verdict = self.create_task(
                        self._judge(self._turn_model, self._stopped), "verdict"
                    )
                await self.push_frame(SpeechPauseFrame(pause_secs=self._gate.pause_secs))
            case Speech.RESUMED:
                await self._drop_verdict()
            case Speech.STOPPED:
                self._turn_audio.stop()
                await self.push_frame(VADUserStoppedSpeakingFrame(stop_secs=self._gate.stop_secs))
                if self._stopped and not self._stopped.done():
                    self._stopped.set_result(time.monotonic())

    async def _judge(self, model: SmartTurnEngine, stopped: asyncio.Future[float]) -> None:
        try:
            # The model was taught on speech that had stopped; it hears what that will be like.
            rest = round((self._gate.stop_secs - self._gate.pause_secs) * SAMPLE_RATE)
            probability = await model.probability(self._turn_audio.speech() + bytes(2 * rest))
        except Exception as error:  # the turn has other ways to end
            await self.push_error(f"the turn model failed: {error}", exception=error)
            return
        judged_at = time.monotonic()
        stopped_at = await stopped
        await self.push_frame(
            EndOfTurnFrame(probability=probability, delay_secs=max(0.0, judged_at - stopped_at))
        )

    async def _drop_verdict(self) -> None:
        if self._verdict:
            await self.cancel_task(self._verdict)
            self._verdict = None

    async def _watch_audio(self) -> None:
        while self._gate.speaking:
            heard = self._heard
            await asyncio.sleep(self._audio_idle_secs)
            if self._heard == heard:
                for event in self._gate.stop():
                    await self._tell(event)
        self._watch = None


class TurnAudio:
    """The last 8 s of what the caller said in the turn that is going on, and half a second before.

    A turn may hold several stretches of speech. It ends when it is taken, or with a long silence.
    """

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self.taken = True
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self._since_stop = 0

    def hear(self, audio: bytes) -> None:
        """Take the next s16le audio, whatever is in it."""
        self._frames.append(audio)
        self._bytes += len(audio)
        self._since_stop += len(audio)
        self._keep(_MAX_BYTES)

    def start(self) -> None:
        """Speech has started: with a new turn, forget all but what led to it."""
        if self.taken or self._since_stop > _NEW_TURN_BYTES:
            self.taken = False
            self._keep(_PRE_ROLL_BYTES)

    def stop(self) -> None:
        """Speech has stopped."""
        self._since_stop = 0

    def speech(self) -> bytes:
        """The turn so far."""
        return b"".join(self._frames)

    def _keep(self, most: int) -> None:
        while self._frames and self._bytes - len(self._frames[0]) >= most:
            self._bytes -= len(self._frames.popleft())
