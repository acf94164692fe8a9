"""The simulators send what the vendors' documents say, message by message, and nothing else."""

import json
from typing import Any

import pytest

from simulators.anthropic import AnthropicSimulator
from simulators.elevenlabs_wire import refuse
from simulators.grammar import GRAMMARS
from simulators.model import Fault as ModelFault
from simulators.model import Model
from tests.processors.stt import test_deepgram_captured as deepgram_captured
from tests.simulators.test_language_models import ASKED, HEADERS, SAID, post


def told(vendor: str, message: Any) -> list[str]:
    """In what a message differs from what is documented."""
    return [
        f"{difference.where}: {difference.what}" for difference in GRAMMARS[vendor].check(message)
    ]


# What is different is said.

TURN = deepgram_captured.turn("EndOfTurn", "two schools", 1.5, 0.9)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, []),
        ({"mood": "cheerful"}, ["TurnInfo.mood: this field is not documented"]),
        ({"turn_index": None}, ["TurnInfo.turn_index: NoneType instead of a whole number"]),
        ({"transcript": 7}, ["TurnInfo.transcript: int instead of text"]),
        ({"type": "TurnNews"}, ["TurnNews: no such message is documented"]),
        ({"words": [{"word": "two"}]}, ["TurnInfo.words.0.confidence: this field is documented, "
                                         "and missing"]),
    ],
)  # fmt: skip
def test_a_message_that_is_not_as_documented_is_told_with_its_field(
    change: dict[str, Any], said: list[str]
) -> None:
    assert told("deepgram-flux", TURN | change) == said


def test_an_event_of_another_name_and_what_is_no_object_are_told() -> None:
    (said,) = told("deepgram-flux", TURN | {"event": "MiddleOfTurn"})
    assert said.startswith("TurnInfo.event: Input should be 'Update'")
    assert told("claude", [1]) == ["message: list instead of an object"]


# What the simulators send.


@pytest.mark.parametrize("model", ["claude-haiku-5-5", "claude-haiku-4-5"])
async def test_anthropics_events_are_as_documented(model: str) -> None:
    async with AnthropicSimulator(Model(script=(SAID,), api_key="k")) as vendor:
        url = f"{vendor.url}/v1/messages"
        _, text, _ = await post(url, ASKED | {"stream": True, "model": model}, HEADERS)
        whole = [(await post(url, ASKED | {"model": model}, HEADERS))[1]]
        whole.append((await post(url, ASKED, {"anthropic-version": "2026-10-21"}))[1])
        whole.append((await post(f"{url}/count_tokens", ASKED, HEADERS))[1])
    streamed = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    assert len(streamed) > 5
    for message in [*streamed, *whole]:
        assert told("claude", message) == [], message


async def test_an_error_in_the_middle_of_a_stream_is_as_documented() -> None:
    overloaded = ModelFault("error", 0, after_chars=5)
    async with AnthropicSimulator(Model(script=(SAID,), faults=(overloaded,))) as vendor:
        body = ASKED | {"stream": True}
        status, text, _ = await post(f"{vendor.url}/v1/messages", body, HEADERS)
    assert status == 200, "it had begun well"
    last = json.loads(text.splitlines()[-2].removeprefix("data: "))
    assert last["error"]["type"] == "overloaded_error"
    assert told("claude", last) == []


async def test_elevenlabs_refusals_are_as_documented() -> None:
    for status in (401, 402, 403, 404, 429, 500, 503):
        body = json.loads(refuse(status).text or "")
        assert told("elevenlabs", body) == [], body
        assert body["detail"]["code"] == body["detail"]["status"]


def test_what_was_captured_of_deepgram_is_as_documented_but_for_what_is_bare() -> None:
    checked = 0
    for name, (_, messages) in deepgram_captured.SEEN.items():
        for _, message in messages:
            if isinstance(message, str) or message.get("type") is None:
                continue  # "bare": captured, and documented nowhere
            vendor = "deepgram-flux" if message["type"] == "TurnInfo" else "deepgram"
            if message["type"] not in GRAMMARS[vendor].messages:
                kind = message["type"]  # One of tomorrow's, made up.
                assert told(vendor, message) == [f"{kind}: no such message is documented"]
                continue
            # The captures here leave out which model it was.
            told_of = [
                difference for difference in told(vendor, message) if "model_info" not in difference
            ]
            assert told_of == [], (name, message)
            checked += 1
    assert checked > 10
