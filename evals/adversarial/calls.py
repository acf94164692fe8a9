"""Measures what callers would hear from a brain that lies.

A simulated OpenAI-compatible server on loopback answers each question with a statement. The brain
that asks it, the parser of its stream and the guardrails are those of calls.
"""

from collections.abc import Sequence

from conversation.frames import SentenceFrame, TurnFrame
from evals.adversarial.statements import Statement, document
from processors.brain.decision_run import DecisionRun, DecisionTimeouts
from processors.brain.guardrails import Phrases
from processors.brain.openai_compatible import OpenAICompatibleBrain
from simulators.model import Model, Reply
from simulators.openai import OpenAISimulator


def reply_of(statement: Statement) -> Reply:
    """The tool call with which a model says a statement."""
    if statement.kind == "message":
        return Reply("escalate", {"reason": "unsupported", "message": statement.sentence})
    return Reply(
        "respond",
        {
            "sections": list(statement.sections),
            "confidence": "high",
            "answer": statement.sentence,
        },
    )


async def spoken_over_calls(every: Sequence[Statement]) -> list[tuple[Statement, bool]]:
    """Each statement, and whether a caller would have heard it."""
    found: list[tuple[Statement, bool]] = []
    for name in dict.fromkeys(statement.document for statement in every):
        mine = [statement for statement in every if statement.document == name]
        model = Model(script=tuple(map(reply_of, mine)))
        async with OpenAISimulator(model) as server:
            brain = OpenAICompatibleBrain(
                document(name), base_url=server.url, model="simulated", api_key="any"
            )
            try:
                found += [(statement, await _is_heard(brain, statement)) for statement in mine]
            finally:
                await brain.close()
    return found


async def _is_heard(brain: OpenAICompatibleBrain, statement: Statement) -> bool:
    said: list[str] = []

    async def say(sentence: SentenceFrame) -> None:
        said.append(sentence.text)

    run = DecisionRun(
        TurnFrame(turn=1, question=statement.question),
        brain=brain,
        document=document(statement.document),
        phrases=Phrases(),
        timeouts=DecisionTimeouts(),
        say=say,
    )
    await run.decide()
    return statement.sentence in " ".join(said)
