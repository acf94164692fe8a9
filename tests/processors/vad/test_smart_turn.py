"""Whether the caller has finished, from how they said it."""

import asyncio
import threading
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.checks import SMART_TURN_TOLERANCE
from processors.vad.smart_turn import SmartTurnEngine

AUDIO = Path(__file__).parents[2] / "audio"


def recording(name: str, *, until_secs: float | None = None) -> bytes:
    with wave.open(str(AUDIO / name)) as file:
        pcm = bytes(file.readframes(file.getnframes()))
    return pcm if until_secs is None else pcm[: 2 * round(until_secs * 16_000)]


# The references are what the model's graph gives in float arithmetic (models.references).


@pytest.mark.parametrize(
    ("name", "reference"),
    [("where-studied.wav", 0.990), ("first-compiler.wav", 0.989), ("goodbye.wav", 0.864)],
)
async def test_a_whole_question_has_finished(
    smart_turn: SmartTurnEngine, name: str, reference: float
) -> None:
    probability = await smart_turn.probability(recording(name))
    assert probability == pytest.approx(reference, abs=SMART_TURN_TOLERANCE)


@pytest.mark.parametrize(
    ("name", "until_secs", "reference"),
    [("hesitation-yale.wav", 1.06, 0.074), ("hesitation-cobol.wav", 0.74, 0.161)],
)
async def test_a_hesitation_has_not(
    smart_turn: SmartTurnEngine, name: str, until_secs: float, reference: float
) -> None:
    probability = await smart_turn.probability(recording(name, until_secs=until_secs))
    assert probability == pytest.approx(reference, abs=SMART_TURN_TOLERANCE)


async def test_bytes_and_floats_and_what_came_long_before_make_no_difference(
    smart_turn: SmartTurnEngine,
) -> None:
    pcm = recording("where-studied.wav")
    floats = np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32_768)
    verdict = await smart_turn.probability(pcm)
    assert await smart_turn.probability(floats) == verdict
    long = bytes(256_000 - len(pcm)) + pcm
    assert await smart_turn.probability(recording("kennedy.wav") + long) == verdict


async def test_a_request_cancelled_while_it_waits_is_never_run(
    smart_turn: SmartTurnEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, run = threading.Event(), []

    def judge(samples: np.ndarray[Any, np.dtype[np.float32]]) -> float:
        go.wait(60)
        run.append(len(samples))
        return 0.5

    monkeypatch.setattr(smart_turn, "_infer", judge)
    asked = [asyncio.create_task(smart_turn.probability(bytes(2 * n))) for n in (1, 2, 3)]
    await asyncio.sleep(0.05)
    asked[1].cancel()
    await asyncio.sleep(0.05)
    go.set()
    await asyncio.gather(*asked, return_exceptions=True)
    assert run == [1, 3]
    assert asked[1].cancelled()


async def test_what_is_not_speech_is_refused_by_name(smart_turn: SmartTurnEngine) -> None:
    with pytest.raises(ValueError, match="3 bytes"):
        await smart_turn.probability(b"abc")
    with pytest.raises(ValueError, match=r"shape \(0,\)"):
        await smart_turn.probability(b"")
    with pytest.raises(ValueError, match=r"shape \(2, 8\)"):
        await smart_turn.probability(np.zeros((2, 8), np.float32))
    with pytest.raises(ValueError, match="workers is 0"):
        SmartTurnEngine.load(workers=0)
