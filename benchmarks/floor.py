"""Measures to whom the floor is given: echo, double talk, people behind the caller, listeners.

    python -m benchmarks.floor DIR [--only N] [--what PART ...] [--json]

DIR is a folder of people's recordings, as ``viva evaluate-voices`` takes it. Voice activity, the
recogniser, the turn model and turn taking hear a microphone in virtual time, in which their work
takes its processor time, while the embedded voice speaks until it is interrupted:

* ``echo``: nobody speaks, and nothing cancels the echo of the voice in simulated rooms; nor that of
  what real devices recorded of a far end (``dialogue/*farend*.wav``), played as the voice;
* ``double``: one of the recordings over such an echo, and real devices' double talk over one;
* ``behind``: somebody of another group, 15 or 20 dB softer, over the voice, and after the words of
  a caller; and the caller's own second half;
* ``listeners``: what is said alone and within 0.6 s in meetings with labels (``dialogue/*.rttm``),
  at several moments; and callers who speak over the voice as they speak to the end.

Intervals are at 95 %: Wilson's, and where somebody is heard several times, by the bootstrap over
the recordings.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr
from loguru import logger
from pipecat.frames.frames import (
    BotSpeakingFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    StartFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.tests.utils import run_test

from client.wav import INPUT_RATE, OUTPUT_RATE, read_wav, speech_end_secs
from conversation.far_end import FarEnd
from conversation.frames import TurnFrame
from conversation.turns import Conversation
from evals.corpus.people import brief
from evals.replay import virtual_time
from evals.scoring.metrics.words import normalised
from evals.scoring.statistics import Values, interval, mean, wilson
from evals.scoring.voices import Voice, VoicesError, read_folder
from processors.stt.whisper.engine import WhisperEngine
from processors.stt.whisper.service import WhisperSTT
from processors.tts.hibari.engine import HibariEngine
from processors.turns.processor import TurnTaking
from processors.vad.silero import SileroEngine
from processors.vad.smart_turn import SmartTurnEngine
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
"""How long after somebody has spoken over the voice it may still stop for them."""

LEAD_SECS = 1.5
AFTER_SECS = 2.0
"""Silence at the end, in which a turn ends."""

PAUSE_SECS = 2.5
JOIN_SECS = 0.4
"""How long after the caller's last word somebody behind them speaks."""

STEP_SECS = 0.032
MOMENTS_SECS = (0.9, 1.7, 2.6, 3.4, 4.3)
"""When, after the voice began, something brief is said, and at two levels."""

SOFTER_DB = (0, 6)
SPOKEN = (
    "Hello, I'm Viva, an AI. You can ask me anything about Grace Hopper.",
    "She earned her PhD in mathematics from Yale University in 1934, and taught at Vassar College.",
    "Her superior at Harvard University was Howard Aiken, who had conceived the Mark I computer.",
    "From 1967 to 1977 she directed the Navy Programming Languages Group.",
)


@dataclass(frozen=True, slots=True)
class Row:
    """How often something happened, with its interval."""

    what: str
    count: int
    of: int
    ci95: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Passage:
    """What the voice says: its words, and their sound at 24 kHz."""

    text: str
    samples: Samples


@dataclass(frozen=True, slots=True)
class Scene:
    """What is to be heard.

    Parameters:
        microphone: Without the echo.
        passages: What the voice says.
        voice_at: When it begins, in seconds.
        echo: What the microphone hears of it.
    """

    microphone: Samples
    passages: Sequence[Passage] = ()
    voice_at: float = 0.0
    echo: Samples | None = None


Tell = Callable[[Frame], Awaitable[None]]


@dataclass(slots=True)
class Floor:
    """What became of the floor.

    Parameters:
        stopped: When the voice was stopped, in seconds of the microphone's audio; ``None`` if not.
        questions: What was taken for the caller's questions.
    """

    stopped: float | None = None
    questions: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Ears:
    """The engines that hear."""

    silero: SileroEngine
    turn_model: SmartTurnEngine
    recogniser: WhisperEngine

    @classmethod
    def load(cls) -> "Ears":
        """Load them."""
        return cls(SileroEngine.load(), SmartTurnEngine.load(), WhisperEngine.load())

    def close(self) -> None:
        """Release their threads."""
        self.turn_model.close()
        self.recogniser.close()


def joined(passages: Sequence[Passage]) -> Samples:
    """The sound of all of them."""
    return np.concatenate([np.zeros(0, np.float32), *(passage.samples for passage in passages)])


class Line(FrameProcessor):
    """Plays the microphone, with the voice's echo while that speaks, and the voice itself."""

    def __init__(self, scene: Scene, conversation: Conversation, tell: Tell) -> None:
        super().__init__(enable_direct_mode=True)
        self._scene, self._conversation, self._tell = scene, conversation, tell
        self._echo = np.zeros(len(scene.microphone), np.float32)
        if scene.echo is not None:
            begin = round(scene.voice_at * INPUT_RATE)
            left = max(0, len(self._echo) - begin)
            self._echo[begin : begin + len(scene.echo)] = scene.echo[:left]
        self._voice = joined(scene.passages)
        self._begins = np.cumsum([0, *(len(passage.samples) for passage in scene.passages)])
        self.secs = 0.0
        self.stopped = False
        self.far_end = FarEnd(conversation.clock, sample_rate=OUTPUT_RATE)

    def stop(self) -> None:
        """Let the voice fall silent, and its echo after the room's."""
        self.stopped = True
        self._conversation.playback.interrupt(self._conversation.clock())
        self.far_end.stop(self._conversation.clock())
        self._echo[round((self.secs + DELAYS_SECS[-1]) * INPUT_RATE) :] = 0.0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Start with the pipeline."""
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame):
            await self._play()

    async def _play(self) -> None:
        size = round(STEP_SECS * INPUT_RATE)
        microphone = self._scene.microphone
        for at in range(0, len(microphone) - size, size):
            await self._speak(round((self.secs - self._scene.voice_at) * OUTPUT_RATE))
            await asyncio.sleep(STEP_SECS)
            self.secs += STEP_SECS
            heard = _pcm((microphone + self._echo)[at : at + size])
            await self.push_frame(InputAudioRawFrame(heard, INPUT_RATE, 1))

    async def _speak(self, begin: int) -> None:
        step = round(STEP_SECS * OUTPUT_RATE)
        if self.stopped or not len(self._voice) or begin <= -step:
            return
        now = self._conversation.clock()
        piece = self._voice[max(0, begin) : begin + step]
        if len(piece):
            for passage, start in zip(self._scene.passages, self._begins, strict=False):
                if begin <= start < begin + step:
                    self._conversation.playback.begin_sentence(0, passage.text)
            self.far_end.play(_pcm(piece), now)
            self._conversation.playback.send(len(piece), now)
        if begin <= 0:
            await self._tell(BotStartedSpeakingFrame())
            await self._tell(BotSpeakingFrame())
        elif begin >= len(self._voice) > begin - step:
            await self._tell(BotStoppedSpeakingFrame())


class Listener(FrameProcessor):
    """Notes when the voice is to stop, and what is asked."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)
        self.floor = Floor()
        self.line: Line | None = None

    async def tell(self, frame: Frame) -> None:
        """Tell the stages what the voice does."""
        await self.push_frame(frame, FrameDirection.UPSTREAM)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Note a frame, and pass it on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, TurnFrame):
            self.floor.questions.append(frame.question)
        elif isinstance(frame, InterruptionFrame) and self.line and not self.line.stopped:
            self.floor.stopped = self.line.secs
            self.line.stop()
            await self.tell(BotStoppedSpeakingFrame())
        await self.push_frame(frame, direction)


async def floor(ears: Ears, scene: Scene) -> Floor:
    """Let the stages hear a microphone while the voice speaks."""
    conversation, listener = Conversation(), Listener()
    line = listener.line = Line(scene, conversation, listener.tell)
    conversation.far_end = line.far_end
    chain = Pipeline(
        [
            line,
            VoiceActivity(engine=ears.silero, turn_model=ears.turn_model, far_end=line.far_end),
            WhisperSTT(engine=ears.recogniser),
            TurnTaking(conversation),
            listener,
        ]
    )
    await run_test(chain, frames_to_send=[])
    return listener.floor


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
    total = np.zeros(size + round(AFTER_SECS * INPUT_RATE), np.float32)
    for at, samples in parts:
        begin = round(at * INPUT_RATE)
        total[begin : begin + len(samples)] += samples
    return total + noise(len(total), NOISE_DBFS[0], 0)


async def echoes(ears: Ears, folder: Path, _: Sequence[Voice], say: Sequence[Passage]) -> list[Row]:
    """How often the voice stops for its own echo, while nobody else is heard."""
    far_ends = [
        [Passage("", _levelled_wav(path, OUTPUT_RATE))]
        for path in sorted((folder / "dialogue").glob("*farend*.wav"))
    ]
    rows = []
    for what, voices in (
        ("the embedded voice", [[passage] for passage in say]),
        ("what devices recorded of a far end", far_ends),
    ):
        for echo_db in ECHO_DB if voices else ():
            stopped = []
            for number, passages in enumerate(voices):
                for seed, delay in enumerate(DELAYS_SECS):
                    echo = room(passages[0].samples, delay, seed) * _factor(echo_db)
                    dbfs = NOISE_DBFS[(number + seed) % 2]
                    silence = noise(len(echo) + round(AFTER_SECS * INPUT_RATE), dbfs, seed)
                    found = await floor(ears, Scene(silence, passages, echo=echo))
                    stopped.append(found.stopped is not None or bool(found.questions))
            rows.append(_row(f"stopped by an echo of {what} at {echo_db} dB", stopped))
    return rows


async def double_talk(
    ears: Ears, folder: Path, voices: Sequence[Voice], say: Sequence[Passage]
) -> list[Row]:
    """Callers who speak over an echo, for whom the voice stops."""
    rows = []
    for echo_db in ECHO_DB[:3]:
        echo = room(joined(say), DELAYS_SECS[0], 0) * _factor(echo_db)
        heard = []
        for caller in voices:
            samples, _, end = _speech(caller)
            found = await floor(ears, Scene(mixed((LEAD_SECS, samples)), say, echo=echo))
            heard.append(_within(found, LEAD_SECS + end))
        rows.append(_row(f"stopped for callers over an echo at {echo_db} dB", heard))
    devices = []
    for path in sorted((folder / "dialogue").glob("*doubletalk*.wav")):
        pair = path.with_name(path.name.replace("doubletalk", "farend_singletalk"))
        if not pair.exists():
            continue
        passage = Passage("", _levelled_wav(pair, OUTPUT_RATE))
        echo = room(passage.samples, DELAYS_SECS[0], 0) * _factor(ECHO_DB[1])
        talk = _levelled_wav(path, INPUT_RATE)
        found = await floor(ears, Scene(mixed((0.0, talk)), [passage], echo=echo))
        devices.append(found.stopped is not None)
    return [*rows, _row("stopped for devices' double talk", devices)] if devices else rows


async def behind(ears: Ears, _: Path, voices: Sequence[Voice], say: Sequence[Passage]) -> list[Row]:
    """Callers kept, and people behind them who stop the voice or say a part of the question."""
    kept: list[bool] = []
    stopped: dict[int, list[bool]] = {softer: [] for softer in FAR_DB}
    joined: dict[int, list[bool]] = {softer: [] for softer in FAR_DB}
    for number, caller in enumerate(voices):
        samples, onset, end = _speech(caller)
        if end - onset < ENROLLED_SECS:
            continue
        half = round((onset + end) / 2 * INPUT_RATE)
        at = LEAD_SECS + end + PAUSE_SECS
        if end - onset >= 2 * ENROLLED_SECS:
            rest = samples[half:]
            found = await floor(
                ears, Scene(mixed((LEAD_SECS, samples[:half]), (at, rest)), say, at - 1)
            )
            kept.append(_within(found, at + len(rest) / INPUT_RATE, since=at))
        others = [other for other in voices if other.group != caller.group] or voices
        other, _, _ = _speech(others[7 * number % len(others)])
        alone = await floor(ears, Scene(mixed((LEAD_SECS, samples))))
        for softer in FAR_DB:
            far = other * _factor(-softer)
            found = await floor(ears, Scene(mixed((LEAD_SECS, samples), (at, far)), say, at - 1))
            stopped[softer].append(found.stopped is not None)
            found = await floor(
                ears, Scene(mixed((LEAD_SECS, samples), (LEAD_SECS + end + JOIN_SECS, far)))
            )
            joined[softer].append(_longer(found.questions, alone.questions))
    return [
        _row("stopped for the caller over the voice", kept),
        *(_row(f"stopped for people {db} dB softer", stopped[db]) for db in FAR_DB),
        *(
            _row(f"words of people {db} dB softer taken for the caller's", joined[db])
            for db in FAR_DB
        ),
    ]


async def listeners(
    ears: Ears, folder: Path, voices: Sequence[Voice], say: Sequence[Passage]
) -> list[Row]:
    """What is said briefly by listeners, and callers for whom the voice must stop."""
    went_on: list[bool] = []
    whose: list[int] = []
    for number, samples in enumerate(brief(folder / "dialogue")):
        sound = level(samples / np.float32(32_768), SPEECH_DBFS)
        for moment in MOMENTS_SECS:
            for softer in SOFTER_DB:
                microphone = mixed((moment, sound * _factor(-softer)))
                found = await floor(ears, Scene(microphone, say))
                went_on.append(found.stopped is None)
                whose.append(number)
    heard = []
    for caller in voices:
        samples, onset, end = _speech(caller)
        found = await floor(ears, Scene(mixed((LEAD_SECS, samples)), say))
        heard.append(_within(found, LEAD_SECS + end, since=LEAD_SECS + onset))
    rows = [_row("stopped for callers over the voice", heard)]
    return [_row("went on over what listeners say", went_on, whose), *rows] if went_on else rows


PARTS: Mapping[str, Callable[..., Any]] = {
    "echo": echoes,
    "double": double_talk,
    "behind": behind,
    "listeners": listeners,
}


def _within(found: Floor, end: float, *, since: float = 0.0) -> bool:
    return found.stopped is not None and since <= found.stopped <= end + WITHIN_SECS


def _longer(questions: Sequence[str], alone: Sequence[str]) -> bool:
    """Whether more was taken for the caller's words than when they are alone."""
    said, own = (len(normalised(" ".join(texts)).split()) for texts in (questions, alone))
    return said > own


def _factor(decibels: float) -> np.float32:
    return np.float32(10 ** (decibels / 20))


def _levelled_wav(path: Path, rate: int) -> Samples:
    samples = np.frombuffer(read_wav(path), "<i2").astype(np.float32) / np.float32(32_768)
    return level(np.asarray(soxr.resample(samples, INPUT_RATE, rate), np.float32), SPEECH_DBFS)


def _speech(voice: Voice) -> tuple[Samples, float, float]:
    samples = np.frombuffer(voice.pcm, "<i2").astype(np.float32) / np.float32(32_768)
    return level(samples, SPEECH_DBFS), _onset(samples), speech_end_secs(voice.pcm)


def _onset(samples: Samples) -> float:
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    power = np.square(frames).mean(axis=1)
    return float(np.flatnonzero(power > power.max() / 100)[0]) / 100


def _row(what: str, happened: Sequence[bool], whose: Sequence[int] = ()) -> Row:
    count, of = sum(happened), len(happened)
    ci95 = wilson(count, of) if of else (0.0, 1.0)
    if whose and 0 < count < of:
        values = Values(np.array(happened, np.float64), np.ones(of), np.array(whose, np.int64))
        ci95 = interval(values, list(whose), mean) or ci95
    return Row(what, count, of, ci95)


async def spoken() -> list[Passage]:
    """What the embedded voice says."""
    engine = await asyncio.to_thread(HibariEngine.load)
    passages = []
    for text in SPOKEN:
        pcm = b"".join([chunk async for chunk in engine.synthesise(text)])
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32_768)
        passages.append(Passage(text, level(samples, SPEECH_DBFS)))
    engine.close()
    return passages


async def measure(
    folder: Path, only: int = 1, parts: Sequence[str] = tuple(PARTS)
) -> AsyncIterator[Row]:
    """Measure with every so many-th recording of a folder that has a text.

    Raises:
        VoicesError: The folder cannot be read.
    """
    voices = [voice for voice in read_folder(folder) if voice.text and any(voice.pcm)][::only]
    ears, say = Ears.load(), await spoken()
    for part in parts:
        for row in await PARTS[part](ears, folder, voices, say):
            yield row
    ears.close()


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The results as rows of text."""
    yield "| what | measured | 95 % interval |"
    yield "| --- | --- | --- |"
    for row in rows:
        low, high = (100 * end for end in row.ci95)
        yield f"| {row.what} | {row.count} of {row.of} | {low:.1f} to {high:.1f} % |"


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="recordings with an index.tsv")
    parser.add_argument("--only", type=int, default=1, help="only every so many-th recording")
    parser.add_argument("--what", nargs="+", choices=PARTS, default=list(PARTS), help="only these")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    logger.remove()

    async def rows() -> list[Row]:
        found = []
        async for row in measure(options.folder, options.only, options.what):
            print(f"{row.what}: {row.count} of {row.of}", file=sys.stderr, flush=True)
            found.append(row)
        return found

    try:
        found = virtual_time.run(rows(), counted=True, counted_by=virtual_time.cpu_clock)
    except VoicesError as error:
        sys.exit(str(error))
    if options.json:
        sys.stdout.write(json.dumps([asdict(row) for row in found], indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(table(found)) + "\n")


if __name__ == "__main__":
    main()
