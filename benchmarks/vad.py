"""Measures the cost of a 32 ms window in the voice activity detector, by batch size.

viva bench vad [--json]
"""

import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.scripted import AUDIO
from benchmarks.side import machine, spread
from client.wav import read_wav
from processors.vad.silero import WINDOW_SAMPLES, SileroEngine, SileroStream

BATCHES = (1, 2, 4, 8, 16, 32, 64)


def measure(
    batches: Sequence[int] = BATCHES, *, windows: int = 200, repeat: int = 5
) -> dict[str, Any]:
    """Microseconds per window: for the inference with its copies, and for pipecat's analyser."""
    speech = np.frombuffer(read_wav(AUDIO / "long-question.wav"), np.int16) / np.float32(32_768)
    count = len(speech) // WINDOW_SAMPLES
    pieces = speech[: count * WINDOW_SAMPLES].astype(np.float32).reshape(count, WINDOW_SAMPLES)
    engine = SileroEngine.load(max_batch=max(batches))
    rows = []
    for size in batches:
        streams = [engine.stream() for _ in range(size)]
        _infer(engine, streams, pieces[0])  # the first run of a size prepares the session
        rounds = max(1, windows // size)
        runs = []
        for _ in range(repeat):
            begun = time.perf_counter()
            for number in range(rounds):
                _infer(engine, streams, pieces[number % count])
            runs.append((time.perf_counter() - begun) / rounds / size * 1e6)
        rows.append({"batch": size, "us_per_window": spread(runs)})
    return {
        "benchmark": "vad",
        **machine(),
        "viva": {"by_batch": rows},
        "pipecat": {"us_per_window": spread([_pipecat(pieces, windows) for _ in range(repeat)])},
    }


def _infer(engine: SileroEngine, streams: Sequence[SileroStream], window: Any) -> None:
    for stream in streams:
        stream.add(window)
    engine.infer()


def _pipecat(pieces: Any, windows: int) -> float:
    """The inference of pipecat's analyser, without the thread that it uses for each message."""
    from pipecat.audio.vad.silero import SileroVADAnalyzer

    analyzer = SileroVADAnalyzer(sample_rate=16_000)
    analyzer.set_sample_rate(16_000)
    audio = [(piece * 32_767).astype(np.int16).tobytes() for piece in pieces]
    analyzer.voice_confidence(audio[0])
    taken = []
    for number in range(windows):
        begun = time.perf_counter()
        analyzer.voice_confidence(audio[number % len(audio)])
        taken.append(time.perf_counter() - begun)
    return statistics.fmean(taken) * 1e6


def table(result: dict[str, Any]) -> list[list[str]]:
    """The results as rows of text."""
    rows = [["system", "windows together", "us a window"]]
    rows += [
        ["viva", str(row["batch"]), f"{row['us_per_window']['median']:.1f}"]
        for row in result["viva"]["by_batch"]
    ]
    rows.append(["pipecat", "1", f"{result['pipecat']['us_per_window']['median']:.1f}"])
    return rows
