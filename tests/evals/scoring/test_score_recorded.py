"""A call that was really held and recorded, in virtual time, has the facts that its chain saw."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from evals.replay import virtual_time
from evals.scoring.calls import Run
from evals.scoring.facts import Facts
from evals.scoring.matching import MatchedCall, match
from evals.scoring.metrics import barge_in, floor, latency, takeover
from evals.scoring.metrics.metric import Metric
from evals.scoring.truth import CallTruth, Utterance
from recording.recorder import RecordingTarget
from recording.writer import InlineWriter
from tests.chain import ScriptedCall
from tests.evals.scoring.recorded import backchannel, bargein, question

MM_HM_AT = 2.7
BARGE_AT = 3.8


@pytest.fixture
def call(tmp_path: Path) -> tuple[Facts, MatchedCall]:
    """A question, "mm-hm" over its answer, and then a second question over it."""

    async def held() -> list[float]:
        loop = asyncio.get_running_loop()
        start = loop.time()
        moments: list[float] = []

        async def until(at: float) -> None:
            await asyncio.sleep(start + at - loop.time())
            moments.append(loop.time() - start)

        async with ScriptedCall(target=RecordingTarget(InlineWriter(), tmp_path)) as call:
            await until(1.0)
            await call.ask("Where did she study?")
            await until(MM_HM_AT)
            await call.speak_over("mm-hm", interim_secs=0.15)
            await call.fall_silent("mm-hm")
            await until(BARGE_AT)
            await call.speak_over("and after that?")
            await asyncio.sleep(0.5)
            await call.fall_silent("and after that?")
            await asyncio.sleep(6.0)
        return moments

    virtual_time.run(held())
    (facts,) = Run.read(tmp_path).calls
    asked: tuple[Utterance, ...] = (
        question(1.0 - 0.096, 1.6, "Where did she study?", decision="respond"),
        backchannel(MM_HM_AT - 0.096, MM_HM_AT + 0.15),
        bargein(BARGE_AT - 0.096, BARGE_AT + 0.55, "And after that?"),
    )
    return facts, match(facts, CallTruth(facts.name, "", (), "", asked))


def metrics(module: Any, call: MatchedCall) -> dict[str, Metric]:
    return {metric.name: metric for metric in module.measure([call])}


def test_its_turns_are_as_they_were_held(call: tuple[Facts, MatchedCall]) -> None:
    facts, matched = call
    assert [turn.question for turn in facts.turns] == ["Where did she study?", "and after that?"]
    assert [heard.answer and heard.answer.number for heard in matched.heard] == [1, None, 2]
    assert [voice.cut for voice in facts.voice] == [True, False]
    assert facts.reason == "hangup"


def test_its_latency_is_what_the_voice_was_heard_at(call: tuple[Facts, MatchedCall]) -> None:
    facts, matched = call
    first = facts.turns[0]
    assert first.begins is not None
    assert first.begins - first.at == pytest.approx(first.record["e2e_latency"], abs=0.021)
    assert metrics(latency, matched)["e2e_latency_p50"].value is not None
    assert metrics(takeover, matched)["smooth_takeover"].value == 1.0


def test_mm_hm_was_talked_through_and_the_barge_in_stopped_the_voice(
    call: tuple[Facts, MatchedCall],
) -> None:
    facts, matched = call
    heard = matched.heard
    assert [utterance.over is not None for utterance in heard] == [False, True, True]
    assert metrics(floor, matched)["backchannel_selectivity"].value == 1.0
    assert metrics(floor, matched)["yield_rate"].value == 1.0
    stop = metrics(barge_in, matched)["stop_time"].value
    assert stop is not None
    # It is understood 0.25 s after the onset was noticed, 0.096 s late: the voice ends with that.
    assert stop == pytest.approx(0.346, abs=0.03)
    assert facts.interruptions[0] == pytest.approx(BARGE_AT + 0.25, abs=0.03)
    duck = metrics(barge_in, matched)["duck_time"].value
    assert duck == pytest.approx(0.096, abs=0.01)
