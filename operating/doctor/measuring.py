"""Measures the embedded models with one turn of a call, without a microphone.

The embedded voice asks a question; the engines hear, answer and speak it as in a call, one after
another.
"""

import asyncio
import math
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr

from knowledge.loading.document import Document
from operating.doctor.finding import State
from pipeline.vendors import VENDORS, Context, Vendor
from pipeline.vendors.hibari import HibariSettings
from pipeline.vendors.silero import SileroSettings
from pipeline.vendors.whisper import WhisperSettings
from settings import Settings

Samples = npt.NDArray[np.float32]

Tell = Callable[[str], None]
"""Called with progress messages."""

QUESTION = "Where did you study, and what did you do after that?"
ANSWER = "That is a question for a person. I have written it down, and you will be told."
"""Spoken if no brain is measured."""

INPUT_RATE = 16_000
PAUSE_SECS = 2.0
"""Silence in a turn: before the answer, and before the next question."""

CARRYING_CPU = 0.01
"""Share of a core for a call's audio and frames (`viva bench density` measured 0.4 to 0.7 %)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on the time of a job, in seconds.

    Parameters:
        slow: Callers notice.
        late: Calls do not work.
    """

    slow: float
    late: float


@dataclass(slots=True)
class Speed:
    """Measurements of one model in one turn.

    Parameters:
        model: The model.
        job: Purpose of one job, as text.
        limits: Limits on its time.
        threads: Jobs done concurrently.
        setting: The setting of that number; empty if there is none.
        jobs: Jobs in a turn.
        wall: Elapsed seconds of each measured job.
        cpu: Processor seconds of each measured job.
        note: A remark.
    """

    model: str
    job: str
    limits: Limits
    threads: int = 1
    setting: str = ""
    jobs: float = 1.0
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    note: str = ""

    @property
    def wall_secs(self) -> float:
        """Median elapsed time of a job."""
        return float(np.median(self.wall))

    @property
    def cpu_secs(self) -> float:
        """Median processor time of a job."""
        return float(np.median(self.cpu))

    @property
    def turn_cpu_secs(self) -> float:
        """Processor time of a turn."""
        return self.jobs * self.cpu_secs

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure the job done within the block."""
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)

    @property
    def state(self) -> State:
        """The state of its speed; only what would be late on an idle machine too is a problem."""
        if self.cpu_secs > self.limits.late:
            return "problem"
        return "warning" if self.wall_secs > self.limits.slow else "ok"


@dataclass(frozen=True, slots=True)
class MeasuredTurn:
    """Measurements of a turn.

    Parameters:
        secs: Its length in a call.
        speeds: Measurements of each embedded model.
    """

    secs: float
    speeds: Sequence[Speed]

    @property
    def cpu_share(self) -> float:
        """Share of a core that one call needs."""
        return sum(speed.turn_cpu_secs for speed in self.speeds) / self.secs + CARRYING_CPU


async def measure(
    settings: Settings, document: Document, vendors: Sequence[Vendor], tell: Tell
) -> MeasuredTurn:
    """Measure one turn with the engines that calls would use, each alone.

    Args:
        settings: The settings.
        document: The document.
        vendors: The chosen embedded vendors.
        tell: Called with progress messages.
    """
    context = Context(settings, document, stores=False)
    loaded: dict[str, Any] = {}
    voice = next(vendor for vendor in VENDORS if vendor.name == "hibari")
    for vendor in {vendor.name: vendor for vendor in (*vendors, voice)}.values():
        tell(f"loading {vendor.label}")
        loaded[vendor.name] = await asyncio.to_thread(vendor.load, context, lambda *_: None)
    try:
        measuring = _Measuring(settings, loaded, tell)
        return await measuring.turn([vendor.name for vendor in vendors])
    finally:
        for engine in loaded.values():
            for part in (engine, getattr(engine, "smart_turn", None)):
                if (close := getattr(part, "close", None)) is not None:
                    close()


class _Measuring:
    """Measures the engines, one job at a time.

    Parameters:
        settings: The settings.
        loaded: The engines by vendor name; hibari's is always present, since it asks.
        tell: Called with progress messages.
    """

    def __init__(self, settings: Settings, loaded: Mapping[str, Any], tell: Tell) -> None:
        self._settings = settings
        self._loaded = loaded
        self._tell = tell
        self._speeds: list[Speed] = []

    async def turn(self, names: Sequence[str]) -> MeasuredTurn:
        """Measure one turn with the named vendors."""
        question = _as_heard(b"".join(await self._say(QUESTION)))
        secs = len(question) / INPUT_RATE
        answer = await self._decide() if "extractive" in names else ANSWER
        if "whisper" in names:
            await self._recognise(question)
        spoken = await self._speak(answer)
        if "hibari" in names:
            self._speeds.append(spoken)
        secs += spoken.jobs + PAUSE_SECS
        if "silero" in names:
            await self._detect(question, secs)
        return MeasuredTurn(secs, self._speeds)

    async def _take(self, speed: Speed, job: Callable[[], Awaitable[Any]], times: int) -> Any:
        """Run a job several times, and return its result."""
        self._tell(f"measuring {speed.model}")
        result = None
        for _ in range(times):
            with speed.measured():
                result = await job()
        return result

    async def _say(self, text: str) -> list[bytes]:
        sentences = re.split(r"(?<=[.!?])\s+", text)
        speech = self._loaded["hibari"].synthesise
        return [part for sentence in sentences async for part in speech(sentence)]

    async def _decide(self) -> str:
        """Answer a question from the document's sentences."""
        from processors.brain.contract import Question

        brain = self._loaded["extractive"]
        speed = Speed("MiniLM", "to retrieve an answer", Limits(0.1, 1.0))
        question = Question(QUESTION)
        found = await self._take(speed, lambda: asyncio.to_thread(brain.reply, question), 5)
        self._speeds.append(speed)
        return str(found.arguments.get("answer") or found.arguments.get("message") or ANSWER)

    async def _recognise(self, question: Samples) -> None:
        """Transcribe a question, with the interim transcripts requested while it is spoken."""
        engine, threads = (
            self._loaded["whisper"],
            self._settings.for_vendor(WhisperSettings).whisper_workers,
        )
        secs = len(question) / INPUT_RATE
        limits = Limits(1.0, self._settings.transcript_timeout_secs)
        final = Speed("whisper", f"to transcribe {secs:.1f} s", limits, threads, "WHISPER_WORKERS")
        heard = await self._take(final, lambda: engine.transcribe(question), 3)
        final.note = f"heard “{heard.text}”"
        interim = Speed("whisper, interim", "to transcribe half of it", limits)
        half = question[: len(question) // 2]
        await self._take(interim, lambda: engine.transcribe(half, final=False), 2)
        # As WhisperSTT requests them: soon after the onset, then twice a second.
        interim.jobs = 2 + max(0, math.floor((secs - 0.6) / 0.5))
        self._speeds += [final, interim]

    async def _speak(self, answer: str) -> Speed:
        """Speak an answer; one second of it is a job."""
        threads = self._settings.for_vendor(HibariSettings).hibari_workers
        limits = Limits(0.7, 1.0)
        speed = Speed("hibari", "to speak for 1 s", limits, threads, "HIBARI_WORKERS")
        pcm = b"".join(await self._take(speed, lambda: self._say(answer), 2))
        speed.jobs = len(pcm) / 2 / self._loaded["hibari"].sample_rate
        speed.wall = [secs / speed.jobs for secs in speed.wall]
        speed.cpu = [secs / speed.jobs for secs in speed.cpu]
        return speed

    async def _detect(self, question: Samples, turn_secs: float) -> None:
        """Voice activity in every window of a turn, and end-of-turn predictions."""
        from processors.vad.silero import WINDOW_SAMPLES, WINDOW_SECS

        engine = self._loaded["silero"]
        stream = engine.silero.stream()
        vad = Speed("silero", "to classify 32 ms", Limits(WINDOW_SECS / 4, WINDOW_SECS))
        windows = question[: len(question) // WINDOW_SAMPLES * WINDOW_SAMPLES]

        async def hear() -> None:
            for window in windows.reshape(-1, WINDOW_SAMPLES):
                await stream.speech_probability(window)

        await self._take(vad, hear, 2)
        number = len(windows) // WINDOW_SAMPLES
        vad.wall = [secs / number for secs in vad.wall]
        vad.cpu = [secs / number for secs in vad.cpu]
        vad.jobs = turn_secs / WINDOW_SECS
        limits, threads = Limits(0.25, 1.0), self._settings.for_vendor(SileroSettings).turn_workers
        end = Speed("smart-turn", "to predict the end of turn", limits, threads, "TURN_WORKERS")
        likely = await self._take(end, lambda: engine.smart_turn.probability(question), 3)
        end.note = f"finished: {likely:.2f}"
        # A question usually has one pause, which needs a prediction, too.
        end.jobs = 2
        self._speeds += [vad, end]


def _as_heard(pcm: bytes) -> Samples:
    """The voice's output (16-bit, at its own rate) as engines receive callers' audio."""
    from processors.tts.hibari.engine import SAMPLE_RATE

    samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32_768.0
    return np.asarray(soxr.resample(samples, SAMPLE_RATE, INPUT_RATE), np.float32)
