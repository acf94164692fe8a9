"""Measures the quality and speed of Viva's recogniser against common uses of the same weights.

Run ``python -m benchmarks.stt``. Three recognisers transcribe the project's recordings in
alternation, so that other load on the machine affects them alike:

* ``viva``: :class:`processors.stt.whisper.engine.WhisperEngine` with the document's names,
* ``full window``: the same decoding in Whisper's own 30 s window,
* ``faster-whisper``: the library's ``transcribe`` as in its README, with beam 5.

Then recordings are played to the first two stages of the chain in real time, to measure the time
from the end of the words to the final transcript.

``--voices DIR`` transcribes a folder of people's recordings instead, like ``viva evaluate-voices``,
and prints two halves next to each other: every second recording of a group is for measuring only,
the others are for tuning.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger
from pipecat.frames.frames import Frame, InputAudioRawFrame, StartFrame, TranscriptionFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.tests.utils import SleepFrame, run_test

from benchmarks.recordings import SAMPLE_RATE, Recording, load, word_error_rate
from evals.commands.voices import print_groups
from evals.scoring.voices import Heard as HeardVoice
from evals.scoring.voices import VoicesError, by_group, cost, hear, read_folder
from knowledge.loading.document import load as load_document
from models.catalogue import load_whisper
from pipeline.vendors import Context
from pipeline.vendors.whisper import VENDOR
from processors.stt.whisper.engine import WhisperEngine
from processors.stt.whisper.model import MAX_SECS, WhisperModel
from processors.stt.whisper.service import WhisperSTT
from processors.vad.silero import SileroEngine
from processors.vad.voice_activity import VoiceActivity
from settings import Settings

FRAME_SECS = 0.02
SILENCE_SECS = 1.0
WORDS = ("question", "barge-in", "human")
WORDLESS = ("cough", "noise")


@dataclass(frozen=True, slots=True)
class Delay:
    """Statistics of delays, in milliseconds."""

    p50: float
    p95: float
    n: int

    @classmethod
    def summarize(cls, secs: Sequence[float]) -> "Delay":
        """Compute the statistics of delays."""
        p50, p95 = np.percentile(secs, [50, 95]) * 1000
        return cls(round(float(p50), 1), round(float(p95), 1), len(secs))


@dataclass(frozen=True, slots=True)
class Result:
    """The results of one recogniser.

    Parameters:
        wer: Word error rate by group: ``people``, ``synthetic``, and each voice.
        decode: Delays from the request to the text.
        words_from_noise: Number of recordings without words in which it heard some.
        wordless: Number of recordings without words.
        fell_back: Number of recordings that it decoded again in a longer window.
    """

    wer: dict[str, float]
    decode: Delay
    words_from_noise: int
    wordless: int
    fell_back: int


class Player(FrameProcessor):
    """Plays a recording into the chain like a microphone, followed by silence."""

    def __init__(self, pcm: bytes) -> None:
        """Prepare the recording, with silence after it."""
        super().__init__(enable_direct_mode=True)
        self._pcm = pcm + bytes(2 * round(SILENCE_SECS * SAMPLE_RATE))
        self.began = 0.0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Start playing when the chain starts."""
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame):
            self.create_task(self._play(), "play")

    async def _play(self) -> None:
        step = 2 * round(FRAME_SECS * SAMPLE_RATE)
        self.began = time.monotonic()
        for number, at in enumerate(range(0, len(self._pcm), step), start=1):
            await asyncio.sleep(self.began + number * FRAME_SECS - time.monotonic())
            await self.push_frame(InputAudioRawFrame(self._pcm[at : at + step], SAMPLE_RATE, 1))


class Listener(FrameProcessor):
    """Notes when final transcripts arrive."""

    def __init__(self) -> None:
        """Create it without transcripts."""
        super().__init__(enable_direct_mode=True)
        self.finals: list[float] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Note a final transcript and pass every frame on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            self.finals.append(time.monotonic())
        await self.push_frame(frame, direction)


Heard = tuple[str, float, bool]


def stock() -> Callable[[bytes], Heard]:
    """faster-whisper with its defaults, on as many threads as one of Viva's workers."""
    model = load_whisper()

    def transcribe(pcm: bytes) -> Heard:
        start = time.monotonic()
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32_768
        segments, _ = model.transcribe(samples, language="en", beam_size=5)
        text = " ".join(segment.text.strip() for segment in segments)
        return text, time.monotonic() - start, False

    return transcribe


def full_window(model: WhisperModel) -> Callable[[bytes], Heard]:
    """Viva's decoding without safeguards, in Whisper's own window."""

    def transcribe(pcm: bytes) -> Heard:
        start = time.monotonic()
        samples = np.frombuffer(pcm, "<i2").astype(np.float32)
        samples *= np.float32(0.9 / max(1.0, np.abs(samples).max()))
        return model.decode(samples, MAX_SECS).text, time.monotonic() - start, False

    return transcribe


async def compare(
    recordings: Sequence[Recording],
    engine: WhisperEngine,
    ear: WhisperModel,
    names: Sequence[str],
) -> dict[str, Result]:
    """Transcribe every recording with every recogniser, alternating."""

    async def viva(pcm: bytes) -> Heard:
        transcript = await engine.transcribe(pcm, hotwords=names)
        return transcript.text, transcript.delay_secs, transcript.fell_back

    others = {"full window": full_window(ear), "faster-whisper": stock()}
    heard: dict[str, list[tuple[Recording, Heard]]] = {"viva": [], **{name: [] for name in others}}
    for recording in recordings:
        pcm = recording.spoken()
        heard["viva"].append((recording, await viva(pcm)))
        for name, recognise in others.items():
            heard[name].append((recording, await asyncio.to_thread(recognise, pcm)))
        sys.stderr.write(f"\r{len(heard['viva'])}/{len(recordings)}")
    sys.stderr.write("\n")
    return {name: summed(results) for name, results in heard.items()}


def summed(results: Sequence[tuple[Recording, Heard]]) -> Result:
    """Compute the results of one recogniser."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for recording, (text, _, _) in results:
        if recording.kind in WORDS:
            person = recording.voice == "person"
            for group in ("people" if person else "synthetic", recording.voice):
                groups.setdefault(group, []).append((recording.text, text))
    groups.pop("person", None)
    noise = [text for recording, (text, _, _) in results if recording.kind in WORDLESS]
    spoken = [heard for recording, heard in results if recording.kind in WORDS]
    return Result(
        wer={group: round(word_error_rate(pairs), 4) for group, pairs in groups.items()},
        decode=Delay.summarize([secs for _, secs, _ in spoken]),
        words_from_noise=sum(bool(text) for text in noise),
        wordless=len(noise),
        fell_back=sum(fell_back for _, _, fell_back in spoken),
    )


async def live(
    recordings: Sequence[Recording], engine: WhisperEngine, names: Sequence[str]
) -> Delay:
    """Play recordings in real time; delays from the end of the words to the last transcript."""
    silero = SileroEngine.load()
    delays = []
    for number, recording in enumerate(recordings, start=1):
        player, listener = Player(recording.pcm), Listener()
        stt = WhisperSTT(engine=engine, hotwords=names)
        chain = Pipeline([player, VoiceActivity(engine=silero), stt, listener])
        await run_test(chain, frames_to_send=[SleepFrame(sleep=recording.secs + SILENCE_SECS)])
        if listener.finals:
            delays.append(listener.finals[-1] - player.began - recording.speech[1])
        sys.stderr.write(f"\rlive {number}/{len(recordings)}")
    sys.stderr.write("\n")
    return Delay.summarize(delays)


def table(results: dict[str, Result], played: Delay | None) -> str:
    """The results as rows of text."""
    groups = list(dict.fromkeys(group for result in results.values() for group in result.wer))
    head = ["", *(f"WER {group}" for group in groups), "p50 ms", "p95 ms", "noise heard as words"]
    rows = [
        [
            name,
            *(f"{100 * result.wer[group]:.1f} %" for group in groups),
            f"{result.decode.p50:.0f}",
            f"{result.decode.p95:.0f}",
            f"{result.words_from_noise} of {result.wordless}",
        ]
        for name, result in results.items()
    ]
    lines = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    if played:
        lines.append(
            f"\nIn the chain, in real time: end of words to final transcript p50 {played.p50:.0f}, "
            f"p95 {played.p95:.0f} ms ({played.n} recordings; the VAD's silence is in it)."
        )
    return "\n".join(lines)


async def measure(played: int, only: int | None) -> dict[str, Any]:
    """Run all measurements."""
    names = load_document().proper_nouns()
    ear = WhisperModel.load(workers=2, threads_per_worker=1)
    engine = WhisperEngine(ear, workers=2)
    recordings = load(kinds=(*WORDS, *WORDLESS))[:only]
    results = await compare(recordings, engine, ear, names)
    people = [recording for recording in recordings if recording.kind == "human"]
    voices = [r for r in recordings if r.kind == "question" and r.voice in {"heart", "joe"}]
    # People and questions alternate, from the whole set.
    spread = [
        r for pair in zip(people, voices[:: max(1, len(voices) // 12)], strict=False) for r in pair
    ]
    delay = await live(spread[:played], engine, names) if played else None
    engine.close()
    return {
        "recordings": len(recordings),
        "machine": {
            "cpus": os.cpu_count(),
            "load": os.getloadavg(),
            "python": platform.python_version(),
        },
        "results": results,
        "live": delay,
    }


def halves(heard: Sequence[HeardVoice]) -> dict[str, list[HeardVoice]]:
    """Split each group: every second recording is for measuring, the others for tuning."""
    seen: dict[str, int] = {}
    parts: dict[str, list[HeardVoice]] = {"tuning": [], "measuring": []}
    for outcome in heard:
        number = seen[outcome.voice.group] = seen.get(outcome.voice.group, 0) + 1
        parts["tuning" if number % 2 else "measuring"].append(outcome)
    return parts


async def measure_voices(folder: Path) -> dict[str, Any]:
    """Transcribe a folder of people's recordings with Viva's recogniser.

    Raises:
        VoicesError: The folder cannot be read.
    """
    voices = read_folder(folder)
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    engine = VENDOR.load(Context(settings, load_document()), lambda _what, _share: None)
    heard = await hear(
        engine, voices, lambda done: print(f"\r{done}/{len(voices)}", end="", file=sys.stderr)
    )
    print(file=sys.stderr)
    engine.close()
    parts = {"all": list(heard), **halves(heard)}
    return {
        "machine": {"cpus": os.cpu_count(), "load": os.getloadavg()},
        "groups": {name: by_group(part) for name, part in parts.items()},
        "cost": cost(heard),
    }


def show_voices(folder: Path, *, as_json: bool) -> None:
    """Print the results for a folder of people's recordings."""
    try:
        figures = asyncio.run(measure_voices(folder))
    except VoicesError as error:
        sys.exit(str(error))
    if as_json:
        sys.stdout.write(json.dumps(figures, default=asdict, indent=2) + "\n")
        return
    for name, groups in figures["groups"].items():
        print(f"\n{name}")
        print_groups(groups if name == "all" else groups[-2:])
    print(", ".join(f"{name} {value:g}" for name, value in figures["cost"].items()))


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--live", type=int, default=20, help="recordings to play in real time")
    parser.add_argument("--only", type=int, help="only the first N recordings, for a trial")
    parser.add_argument("--voices", type=Path, help="folder of people's recordings to transcribe")
    options = parser.parse_args()
    logger.remove()
    if options.voices:
        show_voices(options.voices, as_json=options.json)
        return
    figures = asyncio.run(measure(options.live, options.only))
    if options.json:
        sys.stdout.write(json.dumps(figures, default=asdict, indent=2) + "\n")
    else:
        sys.stdout.write(table(figures["results"], figures["live"]) + "\n")


if __name__ == "__main__":
    main()
