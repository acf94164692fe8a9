"""One call to each vendor, held against its documents: here, to the simulators and a liar."""

import json
import wave
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import app
from evals.conformance import live
from ledger.money.prices import Prices
from pipeline.choice import choose
from pipeline.vendors import VENDORS, Vendor
from settings import Settings
from simulators import anthropic, deepgram, deepgram_flux
from simulators.anthropic import AnthropicSimulator
from simulators.deepgram import DeepgramSimulator
from simulators.elevenlabs import ElevenLabsSimulator, Fault
from simulators.elevenlabs_session import Session
from simulators.model import Model
from tests.conftest import AUDIO, in_virtual_time
from tests.processors.brain.deciding import DOCUMENT, KEY, RIGHT

KEYS = {
    "deepgram_api_key": KEY,
    "anthropic_api_key": KEY,
    "elevenlabs_api_key": KEY,
    "elevenlabs_voice_id": "Voice1",
}


with wave.open(str(AUDIO / "where-studied.wav")) as recording:
    SPEECH = recording.readframes(recording.getnframes())


def vendor(name: str) -> Vendor:
    return next(vendor for vendor in VENDORS if vendor.name == name)


def settings(**more: Any) -> Settings:
    return Settings(_env_file=None, **{**KEYS, **more})  # type: ignore[call-arg]


async def called(name: str, url: str, setting: str) -> live.LiveCall:
    return await live.call(vendor(name), settings(**{setting: url}), DOCUMENT, speech=SPEECH)


@in_virtual_time
async def test_claude_is_called_once_and_sends_what_is_documented() -> None:
    async with AnthropicSimulator(Model(script=(RIGHT,), api_key=KEY)) as simulator:
        call = await called("claude", simulator.url, "anthropic_base_url")
        assert len(simulator.messages) == 1
    assert (call.outcome, call.problem) == ("called respond", "")
    assert call.differences == ()
    assert call.messages > 10
    assert {exchange.status for exchange in call.exchanges} == {200}


@in_virtual_time
async def test_elevenlabs_is_called_once_and_sends_what_is_documented() -> None:
    async with ElevenLabsSimulator(keys=[KEY], realtime_factor=0.01) as simulator:
        call = await called("elevenlabs", simulator.url, "elevenlabs_base_url")
    assert call.problem == ""
    assert call.outcome.startswith("spoke for ")
    assert call.differences == ()
    assert [exchange.status for exchange in call.exchanges] == [101]


@pytest.mark.parametrize(
    ("name", "heard"), [("deepgram", "Hello there."), ("deepgram-flux", "Hello there.")]
)
@in_virtual_time
async def test_deepgram_is_called_once_and_sends_what_is_documented(name: str, heard: str) -> None:
    async with DeepgramSimulator([heard], api_key=KEY) as simulator:
        call = await called(name, simulator.url, "deepgram_base_url")
    assert call.problem == ""
    assert call.outcome == f"heard {heard!r}"
    assert call.differences == ()
    assert call.exchanges[-1].status == 101


@in_virtual_time
async def test_a_vendor_that_deviates_is_told_field_by_field_and_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Session.send

    async def deviating(self: Session, message: dict[str, Any]) -> None:
        if message.get("audio"):
            message = message | {"mood": "cheerful", "contextId": 7}
            del message["isFinal"]
        await send(self, message)

    monkeypatch.setattr(Session, "send", deviating)
    async with ElevenLabsSimulator(keys=[KEY], realtime_factor=0.01) as simulator:
        call = await called("elevenlabs", simulator.url, "elevenlabs_base_url")
    found = {difference.where: difference.what for difference, _ in call.differences}
    assert found["audio.mood"] == "this field is not documented"
    assert found["audio.contextId"] == "int instead of text"
    assert live.status([call]) != 0
    lines = live.report([call])
    assert any("audio.mood: this field is not documented" in line for line in lines)

    path = live.write([call], tmp_path)
    (kept,) = json.loads(path.read_text())["vendors"]
    assert {difference["where"] for difference in kept["differences"]} == set(found)
    audio = next(message for message in kept["exchanges"][0]["received"] if message.get("audio"))
    assert audio["audio"].endswith("characters)"), "audio is not kept"
    assert KEY not in path.read_text()


@in_virtual_time
async def test_a_vendor_that_refuses_is_told_with_what_it_said() -> None:
    async with ElevenLabsSimulator(
        keys=[KEY], faults=[Fault("error", code="quota_exceeded", message="Too much.")]
    ) as simulator:
        call = await called("elevenlabs", simulator.url, "elevenlabs_base_url")
    assert call.outcome == ""
    assert call.problem
    assert live.status([call]) == 1
    assert call.differences == (), "a refusal is documented, too"
    assert call.exchanges[0].close_code == 1008


@pytest.mark.parametrize("name", ["deepgram", "deepgram-flux"])
@in_virtual_time
async def test_a_refused_handshake_is_told_with_the_vendors_reason(name: str) -> None:
    refused = deepgram.Fault("status", code=403)
    async with DeepgramSimulator(["Hello."], api_key=KEY, faults=[refused]) as simulator:
        call = await called(name, simulator.url, "deepgram_base_url")
    assert "403" in call.problem
    assert "INSUFFICIENT_PERMISSIONS" in str(call.exchanges[0].received), "the body is kept"
    assert call.exchanges[0].received[0]["err_msg"].rstrip(".") in call.problem
    assert call.differences == (), "it is documented"


@pytest.mark.parametrize(
    ("name", "connection", "more", "found"),
    [
        (
            "deepgram",
            deepgram._NovaConnection,
            {"sentiment": "calm", "channel_index": "0"},
            {
                "Thought": "no such message is documented",
                "Results.sentiment": "this field is not documented",
                "Results.channel_index": "str instead of a list",
            },
        ),
        (
            "deepgram-flux",
            deepgram_flux.FluxConnection,
            {"mood": 1},
            {
                "Thought": "no such message is documented",
                "TurnInfo.mood": "this field is not documented",
            },
        ),
    ],
)
@in_virtual_time
async def test_what_a_recogniser_sends_otherwise_is_told(
    name: str,
    connection: Any,
    more: dict[str, Any],
    found: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    message_of = connection._message

    async def message(self: Any, event: Any) -> dict[str, Any]:
        sent: dict[str, Any] = await message_of(self, event)
        if sent["type"] in ("Results", "TurnInfo"):
            await self._socket.send_str(json.dumps({"type": "Thought", "text": "hm"}))
            sent = sent | more
        return sent

    monkeypatch.setattr(connection, "_message", message)
    async with DeepgramSimulator(["Hello there."], api_key=KEY) as simulator:
        call = await called(name, simulator.url, "deepgram_base_url")
    assert call.outcome == "heard 'Hello there.'", "they do no harm"
    assert {difference.where: difference.what for difference, _ in call.differences} == found
    assert live.status([call]) == 3


@in_virtual_time
async def test_an_event_that_claude_does_not_document_is_told_and_does_no_harm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write = anthropic._event

    async def event(stream: Any, kind: str, **rest: Any) -> None:
        if kind == "content_block_stop":
            await write(stream, "content_block_weighed", index=0)
        if kind == "message_stop":
            rest["verdict"] = "fine"
        await write(stream, kind, **rest)

    monkeypatch.setattr(anthropic, "_event", event)
    async with AnthropicSimulator(Model(script=(RIGHT,), api_key=KEY)) as simulator:
        call = await called("claude", simulator.url, "anthropic_base_url")
    assert call.outcome == "called respond"
    told = {difference.where: difference.what for difference, _ in call.differences}
    assert told == {
        "content_block_weighed": "no such message is documented",
        "message_stop.verdict": "this field is not documented",
    }
    assert live.status([call]) == 3


def test_what_it_may_cost_is_told_before_and_is_small() -> None:
    chosen = settings()
    vendors = live.callable_live(choose(chosen))
    assert [vendor.name for vendor in vendors] == ["deepgram-flux", "claude", "elevenlabs"]
    costs = live.most_cost(vendors, chosen, DOCUMENT, Prices.load())
    assert all(costs.values())
    assert sum(micros or 0 for micros in costs.values()) < 20_000, "two cents"
    unknown = settings(claude_model="claude-opus-5")
    costs = live.most_cost(vendors, unknown, DOCUMENT, Prices.load())
    assert "claude at a price that is not known" in live.in_dollars(costs)


def test_nobody_is_called_without_being_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name.upper(), value)
    asked = CliRunner().invoke(app, ["vendors", "check", "--live", "--stage", "brain"], input="n\n")
    assert asked.exit_code == 2
    assert "At most 0.00" in asked.output
    assert "Call them?" in asked.output
    nobody = CliRunner().invoke(app, ["vendors", "check", "--live", "--stage", "vad"])
    assert nobody.exit_code == 2
    assert "None of the chosen vendors" in nobody.output
