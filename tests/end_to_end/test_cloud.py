"""The cloud stack over all its real clients, against the simulators of its vendors.

The calls are held in virtual time; the sockets are real.
"""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import BaseTestServer, TestServer
from sqlmodel import select

from client.caller import Caller, HeardCall
from conversation.records import MICROS, Used
from knowledge.loading.document import Document
from ledger.log import query
from ledger.money.prices import Prices
from ledger.money.worst_case import compute_worst_case
from ledger.store.database import Database
from ledger.store.tables import SpendDay
from pipeline.choice import choose
from pipeline.engines import Engines
from server import Server
from settings import Settings
from simulators.simulate import Simulators
from tests.conftest import AUDIO, in_virtual_time

CloudFactory = Callable[..., Any]

STUDIED = "Where did she study mathematics?"
COMPILER = "What was the first compiler?"


@pytest.fixture
def cloud(engines: Engines, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> CloudFactory:
    """A server on the cloud stack, and the simulators that it uses."""

    @asynccontextmanager
    async def serve(
        *heard: str, **overrides: Any
    ) -> AsyncIterator[tuple[Simulators, BaseTestServer]]:
        simulators = Simulators(
            engines.document,
            whisper=engines.loaded["whisper"],
            hibari=engines.loaded["hibari"],
            brain=engines.loaded["extractive"],
            heard=heard,
        )
        async with simulators:
            for name, value in simulators.environment.items():
                monkeypatch.setenv(name, value)
            settings = Settings(_env_file=None, data_dir=data_dir, auth="off", **overrides)  # type: ignore[call-arg]
            choices = choose(settings)
            loaded = dict(engines.loaded)
            for choice in choices.values():
                for vendor in choice.vendors:
                    if vendor.kind == "cloud":
                        loaded |= (await _load(settings, engines, vendor.name)).items()
            ours = dataclasses.replace(engines, settings=settings, choices=choices, loaded=loaded)
            server = Server(settings, engines.document, choices, engines=ours)
            async with TestServer(server.app()) as listening:
                yield simulators, listening

    return serve


async def _load(settings: Settings, engines: Engines, name: str) -> dict[str, Any]:
    from pipeline.vendors import VENDORS, Context

    (vendor,) = (vendor for vendor in VENDORS if vendor.name == name)
    context = Context(settings, engines.document)
    loaded = await asyncio.to_thread(vendor.load, context, lambda _label, _share: None)
    return {name: loaded}


async def call(listening: BaseTestServer, *files: str, **options: Any) -> HeardCall:
    url = str(listening.make_url("/call")).replace("http", "ws", 1)
    return await Caller(url, [AUDIO / name for name in files], **options).call()


@in_virtual_time
async def test_with_every_key_set_a_call_runs_on_the_production_stack(
    cloud: CloudFactory,
) -> None:
    async with cloud(STUDIED, COMPILER) as (simulators, listening):
        heard = await call(listening, "where-studied.wav", "first-compiler.wav")
    for turn in heard.turns:
        assert turn.decision == "respond"
        assert turn.heard_text == turn.answer
    assert any("education" in section for section in heard.turns[0].sections)

    (listen,) = simulators.deepgram.requests
    query = dict(listen.query)
    assert sum(key == "keyterm" for key, _ in listen.query) > 10, "the document's names"
    assert listen.path == "/v2/listen"
    assert query["model"] == "flux-general-en"
    assert query["eager_eot_threshold"] == "0.5"

    for request in simulators.anthropic.messages:
        body = request.body
        assert body["model"] == "claude-haiku-5-5"
        assert body["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
        assert {tool["name"] for tool in body["tools"]} == {"respond", "escalate"}
        assert all(tool["eager_input_streaming"] for tool in body["tools"])
        assert body["system"][-1]["cache_control"]["type"] == "ephemeral"
    asked = json.dumps([request.body["messages"] for request in simulators.anthropic.messages])
    assert STUDIED in asked

    speech = simulators.elevenlabs.requests[0]
    assert speech.query["model_id"] == "eleven_flash_v2_5"
    assert speech.query["output_format"] == "pcm_24000"


@in_virtual_time
async def test_nova_is_asked_for_as_the_owner_asked_and_its_turns_are_judged(
    cloud: CloudFactory,
) -> None:
    async with cloud(STUDIED, stt="deepgram") as (simulators, listening):
        heard = await call(listening, "where-studied.wav")
    assert [turn.decision for turn in heard.turns] == ["respond"]
    (listen,) = simulators.deepgram.requests
    query = dict(listen.query)
    assert listen.path == "/v1/listen"
    assert query["model"] == "nova-3"
    assert query["language"] == "en-GB"
    assert query["endpointing"] == "150"
    assert query["utterance_end_ms"] == "1000"
    assert query["interim_results"] == "true"
    assert query.get("smart_format", "false") == "false"


@in_virtual_time
async def test_any_openai_style_endpoint_can_decide(cloud: CloudFactory) -> None:
    async with cloud(STUDIED, brain="openai") as (simulators, listening):
        heard = await call(listening, "where-studied.wav")
    (turn,) = heard.turns
    assert turn.decision == "respond"
    assert turn.heard_text == turn.answer
    assert simulators.openai.requests
    assert not simulators.anthropic.messages


@pytest.mark.thorough
@in_virtual_time
async def test_stages_are_chosen_one_by_one(cloud: CloudFactory) -> None:
    async with cloud(stt="whisper", tts="hibari") as (simulators, listening):
        heard = await call(listening, "where-studied.wav")
    assert heard.turns[0].decision == "respond"
    assert simulators.anthropic.messages
    assert not simulators.deepgram.requests
    assert not simulators.elevenlabs.requests


@pytest.mark.thorough
@in_virtual_time
async def test_when_the_voice_fails_in_mid_call_the_embedded_one_goes_on(
    cloud: CloudFactory,
) -> None:
    async with cloud(STUDIED, COMPILER, tts="elevenlabs,hibari") as (simulators, listening):
        async with asyncio.TaskGroup() as group:
            calling = group.create_task(call(listening, "where-studied.wav", "first-compiler.wav"))
            while not simulators.anthropic.messages:
                await asyncio.sleep(0.02)
            await simulators.elevenlabs.__aexit__(None, None, None)
        heard = calling.result()
    for turn in heard.turns:
        assert turn.decision == "respond"
        assert turn.heard_text == turn.answer
    switched = [
        message["data"]
        for _, message in heard.messages
        if message["type"] == "server-message" and message["data"]["type"] == "failover"
    ]
    assert [(failover["failed"], failover["vendor"]) for failover in switched] == [
        ("elevenlabs", "hibari")
    ]


@pytest.mark.thorough
@in_virtual_time
async def test_one_request_for_the_whole_answer_speaks_it_too(cloud: CloudFactory) -> None:
    async with cloud(STUDIED, tts_mode="whole") as (_, listening):
        heard = await call(listening, "where-studied.wav")
    (turn,) = heard.turns
    assert turn.heard_text == turn.answer


@in_virtual_time
async def test_what_a_call_used_and_cost_is_in_the_ledger_to_the_micro_dollar(
    cloud: CloudFactory, database_url: str, tmp_path: Path
) -> None:
    database = {} if database_url.startswith("sqlite") else {"database_url": database_url}
    async with cloud(STUDIED, COMPILER, **database) as (_, listening):
        heard = await call(listening, "where-studied.wav", "first-compiler.wav")
    url = database_url if database else f"sqlite:///{tmp_path / 'viva.db'}"
    ledger = Database.from_url(url)
    turns, (one,), (day,) = (
        query.list_turns(ledger),
        query.list_calls(ledger),
        query.daily_spend(ledger),
    )
    assert [turn["decision"] for turn in turns] == ["respond", "respond"]
    for turn, told in zip(turns, heard.turns, strict=True):
        assert turn["stt_model"] == "flux-general-en"
        assert turn["brain_model"] == "claude-haiku-5-5"
        assert turn["tts_model"] == "eleven_flash_v2_5"
        assert turn["heard_text"] == told.heard_text
        assert turn["output_tokens"] > 10
        assert turn["cache_read_tokens"] > 4096, "the prefix was warmed while the greeting played"
        assert turn["characters"] >= len(told.answer)
        assert turn["audio_seconds"] > 1
        assert min(turn[f"{stage}_cost"] for stage in ("stt", "brain", "tts")) > 0
        # What the caller itself heard after its last word, within its own clock's steps.
        assert told.e2e_latency_ms is not None
        assert turn["e2e_latency"] == pytest.approx(told.e2e_latency_ms / 1000, abs=0.25)
    assert turns[0]["cache_write_tokens"] > 4096, "the warm-up is the first turn's"
    assert sum(turn["cost"] for turn in turns) == one["cost"] == day["spent"]
    with ledger.reading() as session:
        (kept,) = session.exec(select(SpendDay)).all()
    assert (kept.spent, kept.held) == (one["cost"], 0)
    ledger.close()


@pytest.mark.thorough
@in_virtual_time
async def test_a_call_for_which_there_is_no_money_is_refused_before_the_microphone(
    cloud: CloudFactory,
) -> None:
    async with cloud(STUDIED, daily_spend_cap_usd=Decimal("0.25")) as (simulators, listening):
        async with asyncio.TaskGroup() as group:
            calling = group.create_task(call(listening, "where-studied.wav"))
            while not simulators.deepgram.requests:
                await asyncio.sleep(0.02)
            refused = await call(listening, "where-studied.wav")
        (turn,) = calling.result().turns
    assert refused.ended == "budget"
    kinds = [message["data"]["type"] for _, message in refused.messages]
    assert kinds == ["end"], "not even admitted"
    assert turn.decision == "respond", "the call that was let in goes on"


@in_virtual_time
async def test_a_call_that_has_used_up_its_money_ends_in_words(
    cloud: CloudFactory, engines: Engines
) -> None:
    cap = Decimal(money_for_one_turn(engines.document)) / MICROS
    async with cloud(STUDIED, COMPILER, call_spend_cap_usd=cap) as (_, listening):
        heard = await call(listening, "where-studied.wav", "first-compiler.wav")
    assert heard.ended == "call_budget"
    assert heard.turns[0].decision == "respond"
    said = [
        message["data"]["text"]
        for _, message in heard.messages
        if message.get("data", {}).get("type") == "sentence"
    ]
    assert "all this call may cost" in said[-1]


def money_for_one_turn(document: Document) -> int:
    """A cap that leaves a call its greeting and one turn, but no second one, in micro-dollars."""
    keys = ("deepgram", "anthropic", "elevenlabs")
    settings = Settings(_env_file=None, **{f"{key}_api_key": "k" for key in keys})  # type: ignore
    choices, prices = choose(settings), Prices.for_settings(settings)
    worst = compute_worst_case(settings, document, choices, prices)
    voice = choices["tts"].vendor
    greeted = Used(characters=len(document.persona.greeting))
    # The worst turn must still be affordable after the greeting, and not after any answer to it.
    return worst.turn + prices.cost(voice.name, voice.model_of(settings), greeted) + 2_000
