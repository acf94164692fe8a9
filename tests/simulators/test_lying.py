"""Whole decisions against a model that lies, over both vendors' protocols."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from conversation.frames import DecisionFrame, SentenceFrame, TurnFrame
from knowledge.check.recital import recites
from knowledge.loading.document import load
from processors.brain.claude import ClaudeBrain
from processors.brain.contract import Brain
from processors.brain.decision_run import DecisionRun, DecisionTimeouts
from processors.brain.fixed_sentences import fixed_sentences
from processors.brain.guardrails import Phrases
from processors.brain.openai_compatible import OpenAICompatibleBrain
from simulators.anthropic import AnthropicSimulator
from simulators.lying import LIES, LyingBrain
from simulators.model import Model
from simulators.openai import OpenAISimulator
from tests.conftest import with_instant_engines
from tests.simulators.honest import Quoting

DOCUMENT = load()
QUESTION = "Where did she study?"
Endpoint = Callable[[Brain], AbstractAsyncContextManager[Brain]]
HONEST = "She earned her PhD in mathematics from Yale University in 1934."


async def decided(brain: Brain) -> DecisionFrame:
    async def say(_: SentenceFrame) -> None:
        pass

    turn = TurnFrame(turn=1, question=QUESTION)
    run = DecisionRun(
        turn,
        brain=brain,
        document=DOCUMENT,
        phrases=Phrases(),
        timeouts=DecisionTimeouts(),
        say=say,
    )
    return await run.decide()


@asynccontextmanager
async def openai(brain: Brain) -> AsyncIterator[Brain]:
    async with OpenAISimulator(Model(brain=brain)) as server:
        asking = OpenAICompatibleBrain(
            DOCUMENT, base_url=server.url, model="simulated", api_key="any"
        )
        yield asking
        await asking.close()


@asynccontextmanager
async def anthropic(brain: Brain) -> AsyncIterator[Brain]:
    async with AnthropicSimulator(Model(brain=brain)) as server:
        given: dict[str, Any] = {"api_key": "any", "base_url": server.url}
        asking = await asyncio.to_thread(ClaudeBrain.load, DOCUMENT, **given)
        yield asking
        await asking.close()


@pytest.mark.parametrize("vendor", [openai, anthropic])
@with_instant_engines
async def test_whatever_a_model_says_only_the_document_is_heard(vendor: Endpoint) -> None:
    lying = LyingBrain(Quoting("education", HONEST), DOCUMENT)
    async with vendor(lying) as brain:
        heard = [await decided(brain) for _ in LIES]
    assert [told.kind for told in lying.told] == [lie.kind for lie in LIES]
    phrases = Phrases()
    fixed = fixed_sentences(DOCUMENT.title, DOCUMENT.persona.name, ())
    said = (*fixed, phrases.rest_uncertain, phrases.unsupported, phrases.sensitive)
    sensitive = [topic.refusal for topic in DOCUMENT.sensitive]
    education = (DOCUMENT.section("education"),)
    for told, decision in zip(lying.told, heard, strict=True):
        rest = decision.text
        for known in (*said, *sensitive):
            rest = rest.replace(known, "") if known else rest
        rest = rest.strip()
        assert not rest or recites(rest, education, DOCUMENT, QUESTION), (told, decision.text)


@with_instant_engines
async def test_what_was_said_before_the_lie_stands_and_the_rest_is_not_confirmed() -> None:
    after = tuple(lie for lie in LIES if lie.kind == "after the truth")
    lying = LyingBrain(Quoting("education", HONEST), DOCUMENT, after)
    async with openai(lying) as brain:
        decision = await decided(brain)
    assert decision.text == f"{HONEST} {Phrases().rest_uncertain}"
    (failed,) = [check for check in decision.checks if not check.passed]
    assert failed.name == "support"
    assert "hated" in failed.detail
