"""Callers of a process whose voice takes longer than they would have it."""

import asyncio
import dataclasses
import time
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from evals.replay import virtual_time
from pipeline.engines import Engines
from processors.tts.hibari.engine import HibariEngine
from tests.conftest import ServerFactory, in_virtual_time
from tests.lateness import in_time
from tests.operating.test_draining import Scene, scene

MAX_LAG_SECS = 0.2
SENTENCE_SECS = 0.5
GIVE_UP_SECS = 60.0
SETTINGS = {"max_lag_secs": MAX_LAG_SECS, "silence_prompt_secs": 600.0, "call_secs": 600.0}


class Laboured:
    """A voice that takes its time over every sentence."""

    def __init__(self, model: Any) -> None:
        self.sentence_secs = SENTENCE_SECS
        self._model = model

    def phonemize(self, sentence: str) -> Any:
        time.sleep(self.sentence_secs)
        return self._model.phonemize(sentence)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


@pytest.fixture
def engines(engines: Engines) -> Engines:
    """The engines, with a slow voice that has one thread."""
    model = Laboured(engines.loaded["hibari"]._model)
    voice = HibariEngine(model=model, voice="heart", workers=1, cache_size=16)
    return dataclasses.replace(engines, loaded={**engines.loaded, "hibari": voice})


def real_time() -> Any:
    """Threads that wait for each other take the time that they really take."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, virtual_time.VirtualTimeLoop)
    return loop.real_time()


async def metrics(at: Scene) -> dict[str, float]:
    _, text = await at.get("/metrics")
    return {
        ",".join([sample.name.removeprefix("viva_"), *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def long_waits(seen: dict[str, float], engine: str) -> float:
    """How often work waited longer for an engine's thread than callers are let to."""
    of_engine = f"engine_wait_seconds_bucket,{engine}"
    return seen[f"{of_engine},+Inf"] - seen[f"{of_engine},0.25"]


@pytest.mark.real_time
@in_virtual_time
async def test_a_third_caller_is_turned_away_while_the_voice_is_late_for_two(
    serving: ServerFactory, engines: Engines
) -> None:
    voice = engines.loaded["hibari"]
    async with scene(serving, **SETTINGS) as at:
        assert voice.pool.p99 == 0.0
        assert long_waits(await metrics(at), "hibari") == 0
        with real_time():
            first, second = await at.call(), await at.call()
            async with asyncio.timeout(GIVE_UP_SECS):
                while (await at.get("/readyz"))[0] == 200:
                    await asyncio.sleep(0.05)
            _, body = await at.get("/readyz")
            assert "Work for hibari waits" in body
            assert "ms for a thread; calls are accepted again below 100 ms." in body
            third = await at.call()
            assert third.ended == "capacity"
            async with asyncio.timeout(GIVE_UP_SECS):
                while voice.pool.pending:
                    await asyncio.sleep(0.05)
            seen = await metrics(at)
        assert voice.pool.p99 > MAX_LAG_SECS
        assert long_waits(seen, "hibari") > 0
        assert seen["engine_wait_seconds_count,whisper"] == 0
        with in_time():
            assert at.server._lag.p99 < MAX_LAG_SECS
        assert seen["taking_calls"] == 0.0
        await asyncio.sleep(12.0)
        assert (await at.get("/readyz"))[0] == 200
        fourth = await at.call()
        assert [caller.open for caller in (first, second, fourth)] == [True] * 3
        for caller in (first, second, fourth):
            caller.hang_up()
        await at.over()


@pytest.mark.real_time
@in_virtual_time
async def test_one_caller_alone_never_makes_the_voice_late(serving: ServerFactory) -> None:
    async with scene(serving, **SETTINGS) as at:
        with real_time():
            first = await at.call()
            async with asyncio.timeout(GIVE_UP_SECS):
                while not (heard := first.heard_bytes):
                    await asyncio.sleep(0.05)
                while await asyncio.sleep(2 * SENTENCE_SECS, heard) != first.heard_bytes:
                    heard = first.heard_bytes
            seen = await metrics(at)
            second = await at.call()
        assert long_waits(seen, "hibari") == 0
        assert seen["taking_calls"] == 1.0
        assert second.open
        for caller in (first, second):
            caller.hang_up()
        await at.over()


@in_virtual_time
async def test_a_ceiling_holds_however_much_the_engines_could_take(
    serving: ServerFactory, engines: Engines
) -> None:
    engines.loaded["hibari"]._model.sentence_secs = 0.0
    async with scene(serving, max_calls=2, **SETTINGS) as at:
        callers = [await at.call() for _ in range(3)]
        assert [caller.ended for caller in callers] == ["", "", "capacity"]
        assert (await at.get("/readyz"))[0] == 200
        assert (await metrics(at))["taking_calls"] == 0.0
        callers[0].hang_up()
        await asyncio.sleep(1.0)
        assert (await at.call()).open
        await at.server._drain(at.listening.app)
        await at.over()
