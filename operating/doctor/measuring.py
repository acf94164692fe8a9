"""One turn of a call without a microphone: what each embedded model takes for it.

The embedded voice asks a question, and the engines hear, answer and speak it as they would in a
call, one after another.
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
"""Called with what is being done, in words."""

QUESTION = "Where did you study, and what did you do after that?"
ANSWER = "That is a question for a person. I have written it down, and you will be told."
"""What is spoken where the brain is not measured."""

INPUT_RATE = 16_000
PAUSE_SECS = 2.0
"""Time in a turn in which nobody speaks: before the answer, and before the next question."""

CARRYING_CPU = 0.01
"""Share of a core for carrying a call's sound and frames (`viva bench density`: 0.4 to 0.7 %)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on a job is too late, in seconds.

    Parameters:
        slow: Callers notice it.
        late: A call cannot be held.
    """

    slow: float
    late: float


@dataclass(slots=True)
class Speed:
    """What one model takes for one turn of a call.

    Parameters:
        model: The model.
        job: What one job is for, in words.
        limits: How long it may take.
        threads: How many jobs are done at once.
        setting: The setting of that number; empty where there is none.
        jobs: How many jobs a turn has.
        wall: Seconds that each measured job took.
        cpu: Seconds of processor that it took.
        note: What else is worth saying.
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
        """One job, as a rule."""
        return float(np.median(self.wall))

    @property
    def cpu_secs(self) -> float:
        """Processor for one job, as a rule."""
        return float(np.median(self.cpu))

    @property
    def turn_cpu_secs(self) -> float:
        """Processor for a turn."""
        return self.jobs * self.cpu_secs

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure the job that is done in the block."""
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)

    @property
    def state(self) -> State:
        """Whether it is in time; only what would be late on an idle machine too is a problem."""
        if self.cpu_secs > self.limits.late:
            return "problem"
        return "warning" if self.wall_secs > self.limits.slow else "ok"


@dataclass(frozen=True, slots=True)
class Turn:
    """A measured turn.

    Parameters:
        secs: How long it is in a call.
        speeds: What each embedded model took.
    """

    secs: float
    speeds: Sequence[Speed]

    @property
    def cpu_share(self) -> float:
        """Share of a core that one call takes."""
        return sum(speed.turn_cpu_secs for speed in self.speeds) / self.secs + CARRYING_CPU


async def measure(
    settings: Settings, document: Document, vendors: Sequence[Vendor], tell: Tell
) -> Turn:
    """Hold one turn with the engines that calls would use, each on its own.

    Args:
        settings: The settings.
        document: What is asked about.
        vendors: The embedded vendors that are chosen.
        tell: Told of progress.
    """
    context = Context(settings, document)
    loaded: dict[str, Any] = {}
    voice = next(one for one in VENDORS if one.name == "hibari")
    for vendor in dict.fromkeys((*vendors, voice)):
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
        loaded: The engines by their vendors' names; hibari's is always there, and asks.
        tell: Told of progress.
    """

    def __init__(self, settings: Settings, loaded: Mapping[str, Any], tell: Tell) -> None:
        self._settings = settings
        self._loaded = loaded
        self._tell = tell
        self._speeds: list[Speed] = []

    async def turn(self, names: Sequence[str]) -> Turn:
        """Hold one turn with the vendors of these names."""
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
        return Turn(secs, self._speeds)

    async def _take(self, speed: Speed, job: Callable[[], Awaitable[Any]], times: int) -> Any:
        """Do a job several times, and give its result."""
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
        """A question's answer, from the document's own sentences."""
        from processors.brain.contract import Question

        brain = self._loaded["extractive"]
        speed = Speed("MiniLM", "to retrieve an answer", Limits(0.1, 1.0))
        question = Question(QUESTION)
        found = await self._take(speed, lambda: asyncio.to_thread(brain.reply, question), 5)
        self._speeds.append(speed)
        return str(found.arguments.get("answer") or found.arguments.get("message") or ANSWER)

    async def _recognise(self, question: Samples) -> None:
        """A question's final transcript, and the interim ones that come while it is spoken."""
        engine, threads = (
            self._loaded["whisper"],
            self._settings.of(WhisperSettings).whisper_workers,
        )
        secs = len(question) / INPUT_RATE
        limits = Limits(1.0, self._settings.transcript_timeout_secs)
        final = Speed("whisper", f"to hear {secs:.1f} s", limits, threads, "WHISPER_WORKERS")
        heard = await self._take(final, lambda: engine.transcribe(question), 3)
        final.note = f"heard “{heard.text}”"
        interim = Speed("whisper, interim", "to hear half of it", limits)
        half = question[: len(question) // 2]
        await self._take(interim, lambda: engine.transcribe(half, final=False), 2)
        # As WhisperSTT asks for them: soon after the onset, then twice a second.
        interim.jobs = 2 + max(0, math.floor((secs - 0.6) / 0.5))
        self._speeds += [final, interim]

    async def _speak(self, answer: str) -> Speed:
        """An answer, a second of which is a job."""
        threads = self._settings.of(HibariSettings).hibari_workers
        limits = Limits(0.7, 1.0)
        speed = Speed("hibari", "to speak for 1 s", limits, threads, "HIBARI_WORKERS")
        pcm = b"".join(await self._take(speed, lambda: self._say(answer), 2))
        speed.jobs = len(pcm) / 2 / self._loaded["hibari"].sample_rate
        speed.wall = [secs / speed.jobs for secs in speed.wall]
        speed.cpu = [secs / speed.jobs for secs in speed.cpu]
        return speed

    async def _detect(self, question: Samples, turn_secs: float) -> None:
        """Voice activity in every window of a turn, and the verdicts on its end."""
        from processors.vad.silero import WINDOW_SAMPLES, WINDOW_SECS

        engine = self._loaded["silero"]
        stream = engine.silero.stream()
        vad = Speed("silero", "to hear 32 ms", Limits(WINDOW_SECS / 4, WINDOW_SECS))
        windows = question[: len(question) // WINDOW_SAMPLES * WINDOW_SAMPLES]

        async def hear() -> None:
            for window in windows.reshape(-1, WINDOW_SAMPLES):
                await stream.speech_probability(window, urgent=True)

        await self._take(vad, hear, 2)
        number = len(windows) // WINDOW_SAMPLES
        vad.wall = [secs / number for secs in vad.wall]
        vad.cpu = [secs / number for secs in vad.cpu]
        vad.jobs = turn_secs / WINDOW_SECS
        limits, threads = Limits(0.25, 1.0), self._settings.of(SileroSettings).turn_workers
        end = Speed("smart-turn", "to judge the end", limits, threads, "TURN_WORKERS")
        likely = await self._take(end, lambda: engine.smart_turn.probability(question), 3)
        end.note = f"finished: {likely:.2f}"
        # A question has a pause in it as a rule, on which a verdict is asked for, too.
        end.jobs = 2
        self._speeds += [vad, end]


def _as_heard(pcm: bytes) -> Samples:
    """What the voice says (16-bit, at its own rate) as callers' sound is handed to engines."""
    from processors.tts.hibari_engine import SAMPLE_RATE

    samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32_768.0
    return np.asarray(soxr.resample(samples, SAMPLE_RATE, INPUT_RATE), np.float32)
