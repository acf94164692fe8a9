"""Measures whom voice activity takes for the caller: echo, double talk, people behind the caller.

    python -m benchmarks.floor DIR [--only N] [--json]

DIR is a folder of people's recordings, as ``viva evaluate-voices`` takes it. The embedded voice is
played through simulated loudspeakers and rooms, and into the microphone come, at their own time:
nobody (echo), one of the recordings over an echo (double talk), or, after the caller has said the
first half of theirs, its other half (kept) or somebody of another group, 15 or 20 dB softer (far),
over the voice without an echo. A start within a second counts for who must be heard, any start for
who must not. Nobody is recognised: words, which decide too, are not counted. Intervals are
Wilson's, at 95 %.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr
from loguru import logger
from pipecat.frames.frames import Frame, InputAudioRawFrame, StartFrame, VADUserStartedSpeakingFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.tests.utils import run_test

from client.wav import INPUT_RATE, OUTPUT_RATE, speech_end_secs
from conversation.far_end import FarEnd
from evals.scoring.statistics import wilson
from evals.scoring.voices import Voice, VoicesError, read_folder
from processors.tts.hibari.engine import HibariEngine
from processors.vad.silero import SileroEngine
from processors.vad.voice_activity import VoiceActivity

Samples = npt.NDArray[np.float32]

ECHO_DB = (-20, -30, -40, -50, -60)
FAR_DB = (15, 20)
NOISE_DBFS = (-75, -60)
DELAYS_SECS = (0.03, 0.2)
REVERBERATION_SECS = 0.3
SPEECH_DBFS = -26.0
"""Level of callers, and of the voice before its echo."""

ENROLLED_SECS = 1.0
"""Least speech from which somebody is enrolled as the caller here."""

WITHIN_SECS = 1.0
LEAD_SECS = 3.0
PAUSE_SECS = 2.5
STEP_SECS = 0.032
SPOKEN = (
    "Hello, I'm Viva, an AI. You can ask me anything about Grace Hopper. "
    "She earned her PhD in mathematics from Yale University in 1934, and taught at Vassar College. "
    "Her superior at Harvard University was Howard Aiken, who had conceived the Mark I computer. "
    "From 1967 to 1977 she directed the Navy Programming Languages Group."
)


@dataclass(frozen=True, slots=True)
class Row:
    """How many of so many cases had a start, with its interval."""

    what: str
    started: int
    of: int
    ci95: tuple[float, float]


class Line(FrameProcessor):
    """Plays a microphone's audio as fast as it is heard, and the voice by the audio's own clock."""

    def __init__(self, microphone: Samples, voice: Samples, voice_at: float) -> None:
        super().__init__(enable_direct_mode=True)
        self._microphone, self._voice, self._voice_at = microphone, voice, voice_at
        self.secs = 0.0
        self.far_end = FarEnd(lambda: self.secs, sample_rate=OUTPUT_RATE)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Start with the pipeline."""
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame):
            await self._play()

    async def _play(self) -> None:
        size, piece = round(STEP_SECS * INPUT_RATE), round(STEP_SECS * OUTPUT_RATE)
        for at in range(0, len(self._microphone) - size, size):
            begin = round((self.secs - self._voice_at) * OUTPUT_RATE)
            if 0 <= begin < len(self._voice):
                self.far_end.play(_pcm(self._voice[begin : begin + piece]), self.secs)
            self.secs += STEP_SECS
            heard = _pcm(self._microphone[at : at + size])
            await self.push_frame(InputAudioRawFrame(heard, INPUT_RATE, 1))


class Starts(FrameProcessor):
    """Notes when somebody is taken for the caller."""

    def __init__(self, line: Line) -> None:
        super().__init__(enable_direct_mode=True)
        self._line = line
        self.at: list[float] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Note a start, and pass every frame on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self.at.append(self._line.secs)
        await self.push_frame(frame, direction)


async def starts(
    engine: SileroEngine, microphone: Samples, voice: Samples, voice_at: float
) -> list[float]:
    """When voice activity takes somebody for the caller, in seconds of the microphone's audio."""
    line = Line(microphone, voice, voice_at)
    noted = Starts(line)
    chain = Pipeline([line, VoiceActivity(engine=engine, far_end=line.far_end), noted])

    await run_test(chain, frames_to_send=[])
    return noted.at


def _pcm(samples: Samples) -> bytes:
    return (np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes()


def level(samples: Samples, dbfs: float) -> Samples:
    """Bring the loud tenths of a second of some audio to a level."""
    frames = samples[: len(samples) // 1_600 * 1_600].reshape(-1, 1_600)
    power = np.square(frames).mean(axis=1)
    active = power[power > power.max() / 100].mean()
    return np.asarray(samples * np.float32(10 ** (dbfs / 20) / np.sqrt(active)), np.float32)


def room(voice: Samples, delay_secs: float, seed: int) -> Samples:
    """What a microphone hears of a loudspeaker in a room, at 16 kHz and the voice's own level."""
    rng = np.random.default_rng(seed)
    size = round(REVERBERATION_SECS * INPUT_RATE)
    tail = rng.normal(size=size) * 10 ** (-3 * np.arange(size) / size) * 0.2
    tail[0] = 1.0
    dry = soxr.resample(voice, OUTPUT_RATE, INPUT_RATE)
    wet = np.convolve(dry, tail.astype(np.float32))[: len(dry)]
    return np.concatenate([np.zeros(round(delay_secs * INPUT_RATE), np.float32), wet])


def noise(size: int, dbfs: float, seed: int) -> Samples:
    """White noise."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.normal(size=size) * 10 ** (dbfs / 20), np.float32)


def mixed(*parts: tuple[float, Samples]) -> Samples:
    """Sounds added, each at its own time in seconds."""
    size = max(round(at * INPUT_RATE) + len(samples) for at, samples in parts)
    total = np.zeros(size + INPUT_RATE // 2, np.float32)
    for at, samples in parts:
        begin = round(at * INPUT_RATE)
        total[begin : begin + len(samples)] += samples
    return total + noise(len(total), NOISE_DBFS[0], 0)


async def echo(engine: SileroEngine, voice: Samples) -> list[Row]:
    """False starts while nobody but the voice is heard."""
    rows = []
    for echo_db in ECHO_DB:
        count = cases = 0
        for seed, delay in enumerate(DELAYS_SECS):
            heard = room(voice, delay, seed) * np.float32(10 ** (echo_db / 20))
            for dbfs in NOISE_DBFS:
                microphone = heard + noise(len(heard), dbfs, seed)
                count += len(await starts(engine, microphone, voice, 0.0))
                cases += 1
        secs = round(cases * len(voice) / OUTPUT_RATE)
        rows.append(Row(f"starts by an echo at {echo_db} dB, in {secs} s", count, secs, (0.0, 0.0)))
    return rows


async def double_talk(engine: SileroEngine, voices: Sequence[Voice], voice: Samples) -> list[Row]:
    """Callers who speak over an echo, noticed in time."""
    rows = []
    for echo_db in ECHO_DB[:3]:
        heard = room(voice, DELAYS_SECS[0], 0) * np.float32(10 ** (echo_db / 20))
        noticed = 0
        for caller in voices:
            samples, onset, _ = _speech(caller)
            microphone = mixed((0.0, heard), (LEAD_SECS, samples))
            began = LEAD_SECS + onset
            found = await starts(engine, microphone, voice, 0.0)
            noticed += any(began <= at <= began + WITHIN_SECS for at in found)
        rows.append(_row(f"callers noticed over an echo at {echo_db} dB", noticed, len(voices)))
    return rows


async def near_and_far(engine: SileroEngine, voices: Sequence[Voice], voice: Samples) -> list[Row]:
    """Callers kept, and people behind them taken for the caller, over the voice."""
    kept = tried = behind_callers = 0
    far = dict.fromkeys(FAR_DB, 0)
    for number, caller in enumerate(voices):
        samples, onset, end = _speech(caller)
        if end - onset < ENROLLED_SECS:
            continue
        half = round((onset + end) / 2 * INPUT_RATE)
        at = LEAD_SECS + end + PAUSE_SECS
        if end - onset >= 2.0:
            tried += 1
            rest = samples[half:]
            began = at + _onset(rest)
            microphone = mixed((LEAD_SECS, samples[:half]), (at, rest))
            found = await starts(engine, microphone, voice, at - 1)
            kept += any(began <= when <= began + WITHIN_SECS for when in found)
        others = [other for other in voices if other.group != caller.group] or voices
        other, _, _ = _speech(others[7 * number % len(others)])
        for softer in FAR_DB:
            behind = other * np.float32(10 ** (-softer / 20))
            microphone = mixed((LEAD_SECS, samples), (at, behind))
            found = await starts(engine, microphone, voice, at - 1)
            far[softer] += any(when > at for when in found)
        behind_callers += 1
    return [
        _row("callers kept over the voice", kept, tried),
        *(
            _row(f"people {softer} dB softer taken for the caller", far[softer], behind_callers)
            for softer in FAR_DB
        ),
    ]


def _speech(voice: Voice) -> tuple[Samples, float, float]:
    samples = np.frombuffer(voice.pcm, "<i2").astype(np.float32) / np.float32(32_768)
    return level(samples, SPEECH_DBFS), _onset(samples), speech_end_secs(voice.pcm)


def _onset(samples: Samples) -> float:
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    power = np.square(frames).mean(axis=1)
    return float(np.flatnonzero(power > power.max() / 100)[0]) / 100


def _row(what: str, started: int, of: int) -> Row:
    return Row(what, started, of, wilson(started, of) if of else (0.0, 1.0))


async def spoken() -> Samples:
    """The embedded voice."""
    engine = await asyncio.to_thread(HibariEngine.load)
    pcm = b"".join([chunk async for chunk in engine.synthesise(SPOKEN)])
    engine.close()
    return level(np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32_768), SPEECH_DBFS)


async def measure(folder: Path, only: int = 1) -> list[Row]:
    """Measure with every so many-th recording of a folder that has a text.

    Raises:
        VoicesError: The folder cannot be read.
    """
    voices = [voice for voice in read_folder(folder) if voice.text and any(voice.pcm)][::only]
    engine, voice = SileroEngine.load(), await spoken()
    rows = []
    for part in (
        echo(engine, voice),
        double_talk(engine, voices, voice),
        near_and_far(engine, voices, voice),
    ):
        rows += await part
        print(f"{len(rows)} figures", file=sys.stderr, flush=True)
    return rows


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The results as rows of text."""
    yield "| what | measured | 95 % interval |"
    yield "| --- | --- | --- |"
    for row in rows:
        if row.ci95 == (0.0, 0.0):
            yield f"| {row.what} | {row.started} | |"
        else:
            low, high = (100 * end for end in row.ci95)
            yield f"| {row.what} | {row.started} of {row.of} | {low:.1f} to {high:.1f} % |"


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="recordings with an index.tsv")
    parser.add_argument("--only", type=int, default=1, help="only every so many-th recording")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    logger.remove()
    try:
        rows = asyncio.run(measure(options.folder, options.only))
    except VoicesError as error:
        sys.exit(str(error))
    if options.json:
        sys.stdout.write(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(table(rows)) + "\n")


if __name__ == "__main__":
    main()
