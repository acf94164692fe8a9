"""A model is made to call a tool, whatever its endpoint refuses and however it writes the call."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from evals.forced_call import ForcedCallError, ForcedCallModel, Given, Tool, described_by
from pipeline.vendors.openai import DIALECTS_FILE
from processors.brain.openai_compatible import Dialect, Dialects
from settings import Settings
from simulators.model import Fault, Model, Reply
from simulators.openai import OpenAISimulator

SPEAK = Tool(
    "speak",
    "Say something.",
    {
        "type": "object",
        "properties": {"say": {"type": "string"}, "hang_up": {"type": "boolean"}},
        "required": ["say", "hang_up"],
        "additionalProperties": False,
    },
)
HELLO = {"say": "Hello.", "hang_up": True}
WRITTEN = '{"say": "Hello.", "hang_up": true}'


async def given(vendor: OpenAISimulator, times: int = 1) -> Sequence[Given]:
    model = ForcedCallModel(
        SPEAK, base_url=vendor.url, model="simulated", max_tokens=64, timeout_secs=5.0
    )
    try:
        asked = [{"role": "user", "content": "Hello, I am an AI."}]
        return [await model.call("You call.", asked, seed=7) for _ in range(times)]
    finally:
        await model.close()


async def test_a_call_is_forced_and_counted() -> None:
    async with OpenAISimulator(Model(script=(Reply("speak", HELLO),))) as vendor:
        (call,) = await given(vendor)
    assert call.fields == HELLO
    assert call.used.output_tokens > 0
    body = vendor.requests[0].body
    assert (body["tool_choice"], body["seed"], body["temperature"]) == ("required", 7, 0)


@pytest.mark.parametrize(
    ("refused", "named", "form", "kept"),
    [
        (("tools",), True, "json_schema", True),
        (("tools",), False, "json_schema", True),
        (("tools", "response_format"), True, None, True),
        (("temperature", "tool_choice"), True, None, False),
    ],
)
async def test_what_an_endpoint_refuses_is_left_out(
    refused: tuple[str, ...], named: bool, form: str | None, kept: bool
) -> None:
    written = Model(script=(Reply("", text=WRITTEN),))
    async with OpenAISimulator(written, rejects=refused, names_rejected=named) as vendor:
        (call,) = await given(vendor)
    assert call.fields == HELLO
    body = vendor.requests[-1].body
    assert not (set(refused) - {"tool_choice"}) & body.keys()
    assert (body.get("response_format") or {}).get("type") == form
    assert ("seed" in body) is kept


async def test_a_model_that_answers_in_words_is_asked_by_a_schema_the_next_time() -> None:
    script = (Reply("", text="Hello."), Reply("", text=f"<think>No.</think>{WRITTEN}"))
    async with OpenAISimulator(Model(script=script)) as vendor:
        words, call = await given(vendor, times=2)
    assert (words.fields, words.text) == (None, "Hello.")
    assert call.fields == HELLO
    body = vendor.requests[1].body
    assert body["response_format"]["json_schema"]["schema"] == SPEAK.parameters
    assert body["messages"][0]["content"].endswith("with the fields say and hang_up.")


async def test_a_model_whose_form_the_brain_s_probe_found_is_asked_in_it(tmp_path: Path) -> None:
    async with OpenAISimulator(Model(script=(Reply("", text=WRITTEN),))) as vendor:
        found = replace(Dialect(), form="schema")
        Dialects(tmp_path / DIALECTS_FILE).write(vendor.url, "simulated", found)
        endpoint = {"brain_base_url": vendor.url, "brain_model": "simulated", "data_dir": tmp_path}
        settings = Settings(_env_file=None, **endpoint)  # type: ignore[call-arg, arg-type]
        model = described_by(settings, SPEAK, model="", max_tokens=64, timeout_secs=5.0)
        assert (await model.call("You call.", [])).fields == HELLO
        await model.close()
    (asked,) = vendor.requests
    assert asked.body["response_format"]["type"] == "json_schema"


async def test_an_endpoint_that_refuses_the_key_is_told() -> None:
    async with OpenAISimulator(Model(faults=(Fault("status", status=401),))) as vendor:
        with pytest.raises(ForcedCallError, match="simulated: Error code: 401"):
            await given(vendor)
    assert len(vendor.requests) == 1


@pytest.mark.parametrize(
    "text",
    [
        f"Sure:\n```json\n{WRITTEN}\n```",
        '<tool_call>{"name": "speak", "arguments": {"say": "Hello.", "hang_up": true}}</tool_call>',
        "{'say': 'Hello.', 'hang_up': True,}",
        'First I thought of {"say": "Hi.", "hang_up": false}, but: ' + WRITTEN,
        'speak(say="Hello.", hang_up=True)',
    ],
)
def test_a_call_is_read_from_whatever_is_written(text: str) -> None:
    assert SPEAK.read(text) == HELLO


@pytest.mark.parametrize("text", ["", "Hello.", "{}", '{"verdict": "pass"}', "{" * 5000])
def test_a_text_without_a_call_has_none(text: str) -> None:
    assert SPEAK.read(text) is None
