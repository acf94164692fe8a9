"""A caller's turn becomes one decision: streamed, checked, spoken, and gone when interrupted."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from conversation.frames import (
    Check,
    DecisionFrame,
    EndCallFrame,
    EscalationFrame,
    Exchange,
    SentenceFrame,
    TurnFrame,
    Usage,
)
from conversation.turns import Conversation
from evals.replay.virtual_time import run
from knowledge.loading.document import Document, Line, Persona, Section, SensitiveTopic
from processors.brain.contract import (
    ArgumentsDelta,
    BrainError,
    BrainEvent,
    Question,
    ToolStart,
    UsageReport,
)
from processors.brain.guardrails import Phrases
from processors.brain.responder import Aborted, GroundedResponder
from processors.brain.small_talk import reply
from tests.conftest import with_instant_engines


def section(id: str, title: str, first_line: int, *statements: str) -> Section:
    heading = Line(number=first_line, text=title, kind="heading", section=id)
    lines = tuple(
        Line(number=first_line + 1 + at, text=text, kind="item", section=id)
        for at, text in enumerate(statements)
    )
    return Section(id=id, title=title, level=2, lines=(heading, *lines))


DOCUMENT = Document(
    title="Ada Example",
    subtitle="Engineer",
    language="en",
    sections=(
        section(
            "work", "Work", 10,
            "Joined Initech in 1943 as a junior engineer.",
            "Wrote the A-0 compiler at Initech in 1952.",
        ),
        section("study", "Study", 20, "Took a Ph.D. in mathematics at Yale in 1934."),
    ),
    persona=Persona(name="Viva", greeting="Hello, I'm Viva, an AI.", voice="heart"),
    sensitive=(
        SensitiveTopic(name="salary", phrases=("salary",), refusal="I don't talk about pay."),
        SensitiveTopic(name="age", phrases=("how old", "years old")),
    ),
    sources=(),
    name="ada.md",
    sha256="",
)  # fmt: skip
PHRASES = Phrases()
SPENT = Usage(input_tokens=900, output_tokens=40)
FIRST = "She joined Initech in 1943."
SECOND = "Her Ph.D. is from Yale."


def arguments(
    answer: str, *, sections: Sequence[str] = ("work", "study"), confidence: str = "high"
) -> str:
    return json.dumps({"sections": [*sections], "confidence": confidence, "answer": answer})


def respond(answer: str, **rest: Any) -> list[BrainEvent]:
    """A whole answer, in pieces of a few characters, as vendors send them."""
    return [ToolStart("respond"), *pieces(arguments(answer, **rest)), UsageReport(SPENT)]


def escalate(message: str, reason: str = "unsupported") -> list[BrainEvent]:
    source = json.dumps({"reason": reason, "message": message})
    return [ToolStart("escalate"), *pieces(source), UsageReport(SPENT)]


def pieces(source: str, size: int = 5) -> list[BrainEvent]:
    return [ArgumentsDelta(source[at : at + size]) for at in range(0, len(source), size)]


class Pause:
    """A step of a script at which a brain waits until the test goes on."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.over = asyncio.Event()


Step = BrainEvent | Exception | Pause | float | object


class ScriptedBrain:
    """Plays one script an attempt: events, waits in seconds, pauses, and errors to raise."""

    name = "scripted"

    def __init__(self, *scripts: Sequence[Step]) -> None:
        self.scripts = scripts
        self.asked: list[Question] = []
        self.running = 0
        self.sent = 0

    def decide(self, question: Question) -> AsyncIterator[BrainEvent]:
        self.asked.append(question)
        return self._play(self.scripts[min(len(self.asked), len(self.scripts)) - 1])

    async def _play(self, script: Sequence[Step]) -> AsyncIterator[Any]:
        self.running += 1
        try:
            for step in script:
                match step:
                    case Exception():
                        raise step
                    case Pause():
                        step.reached.set()
                        await step.over.wait()
                    case float():
                        await asyncio.sleep(step)
                    case _:
                        await asyncio.sleep(0)
                        self.sent += 1
                        yield step
        finally:
            self.running -= 1


class Ear(FrameProcessor):
    """An end of the chain: keeps what arrives, in order; with queues, as a voice would."""

    def __init__(self, *, queues: bool = False) -> None:
        super().__init__(enable_direct_mode=not queues)
        self.heard: list[Frame] = []
        self.grown = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.heard.append(frame)
        self.grown.set()
        await self.push_frame(frame, direction)


class Chain:
    """A grounded responder in a real pipeline.

    What follows it sees its frames as they are pushed or, with queues, as pipecat queues them.
    """

    def __init__(self, brain: ScriptedBrain, *, queues: bool = False, **settings: Any) -> None:
        self.brain = brain
        self.conversation = Conversation()
        self.caller = GroundedResponder(
            self.conversation, brain=brain, document=DOCUMENT, **settings
        )
        self.mouth, self.ear = Ear(), Ear(queues=queues)
        self.worker = PipelineWorker(
            Pipeline([self.mouth, self.caller, self.ear]),
            enable_rtvi=False,
            enable_turn_tracking=False,
            cancel_on_idle_timeout=False,
        )

    async def send(self, *frames: Frame) -> None:
        for frame in frames:
            if isinstance(frame, TurnFrame) and not frame.speculation:
                while self.conversation.number < frame.turn:
                    self.conversation.begin_turn(frame.question, time.monotonic(), None)
            await self.worker.queue_frame(frame)

    async def ask(self, question: str = "Where did she work?", turn: int = 1) -> DecisionFrame:
        """Put a question and wait for its decision."""
        await self.send(TurnFrame(turn=turn, question=question))
        decision = await self.until(DecisionFrame, lambda frame: frame.turn == turn)
        assert isinstance(decision, DecisionFrame)
        return decision

    async def until(
        self, kind: type[Any], is_it: Callable[[Any], bool] = lambda _: True, *, up: bool = False
    ) -> Any:
        end = self.mouth if up else self.ear
        async with asyncio.timeout(60):
            while True:
                end.grown.clear()
                for frame in end.heard:
                    if isinstance(frame, kind) and is_it(frame):
                        return frame
                await end.grown.wait()

    @property
    def ours(self) -> list[Frame]:
        """What the caller itself has pushed."""
        kinds = (
            LLMFullResponseStartFrame, SentenceFrame, LLMFullResponseEndFrame,
            EscalationFrame, DecisionFrame,
        )  # fmt: skip
        return [frame for frame in self.ear.heard if isinstance(frame, kinds)]

    @property
    def said(self) -> list[str]:
        return [frame.text for frame in self.ear.heard if isinstance(frame, SentenceFrame)]


@asynccontextmanager
async def chain(brain: ScriptedBrain, **settings: Any) -> AsyncIterator[Chain]:
    line = Chain(brain, **settings)
    runner = WorkerRunner(handle_sigint=False)
    started = asyncio.Event()
    line.worker.add_event_handler("on_pipeline_started", lambda *_: started.set())
    before = asyncio.all_tasks()
    await runner.add_workers(line.worker)
    running = asyncio.create_task(runner.run())
    try:
        await asyncio.wait_for(started.wait(), 5)
        yield line
        await line.send(EndFrame())
    except BaseException:
        await line.worker.cancel()
        raise
    finally:
        await asyncio.wait_for(running, 5)
    await asyncio.sleep(0)
    left = {task for task in asyncio.all_tasks() - before if not task.done()}
    assert not left, "a task was left behind"
    assert brain.running == 0, "a brain was left running"


def kinds(frames: Sequence[Frame]) -> list[type[Frame]]:
    return [type(frame) for frame in frames]


def check(decision: DecisionFrame, name: str) -> Check:
    return next(check for check in decision.checks if check.name == name)


@with_instant_engines
async def test_an_answer_is_spoken_by_the_sentence_and_cited() -> None:
    brain = ScriptedBrain(respond(f"{FIRST} {SECOND}"))
    history = (Exchange(question="Hello?", answer="Hello."),)
    async with chain(brain) as line:
        await line.send(TurnFrame(turn=3, question="Where did she work?", history=history))
        decision = await line.until(DecisionFrame)
    assert kinds(line.ours) == [
        LLMFullResponseStartFrame,
        SentenceFrame,
        SentenceFrame,
        LLMFullResponseEndFrame,
        DecisionFrame,
    ]
    first, second = (frame for frame in line.ours if isinstance(frame, SentenceFrame))
    assert (first.text, first.turn, first.sections, first.lines) == (FIRST, 3, ("work",), (11,))
    assert (second.text, second.sections, second.lines) == (SECOND, ("study",), (21,))
    assert decision.turn == 3
    assert decision.decision == "respond"
    assert decision.sections == ("work", "study")
    assert decision.lines == (11, 21)
    assert decision.confidence == "high"
    assert decision.text == f"{FIRST} {SECOND}"
    assert decision.reason == ""
    assert decision.usage == SPENT
    assert decision.brain == "scripted"
    assert decision.ttft_secs is not None
    assert 0 <= decision.ttft_secs < 1
    assert [check.name for check in decision.checks] == [
        "question", "sensitive", "decision", "sections", "confidence", "support",
    ]  # fmt: skip
    assert all(check.passed and not check.detail for check in decision.checks)
    assert brain.asked == [Question(text="Where did she work?", history=history)]


@with_instant_engines
async def test_a_sentence_is_spoken_while_the_rest_is_still_arriving() -> None:
    pause = Pause()
    source = arguments(f"{FIRST} {SECOND}")
    at = source.index("Ph.D")
    brain = ScriptedBrain(
        [ToolStart("respond"), *pieces(source[:at]), pause, *pieces(source[at:])]
    )  # fmt: skip
    async with chain(brain) as line:
        await line.send(TurnFrame(turn=1, question="Where?"))
        await pause.reached.wait()
        await line.until(SentenceFrame)
        assert line.said == [FIRST]
        pause.over.set()
        await line.until(DecisionFrame)
    assert line.said == [FIRST, SECOND]


@with_instant_engines
async def test_the_last_sentence_does_not_wait_for_the_call_to_close() -> None:
    pause = Pause()
    source = arguments(FIRST)
    brain = ScriptedBrain([ToolStart("respond"), *pieces(source[:-1]), pause, *pieces("}")])
    async with chain(brain) as line:
        await line.send(TurnFrame(turn=1, question="Where?"))
        await pause.reached.wait()
        await line.until(SentenceFrame)
        pause.over.set()
        decision = await line.until(DecisionFrame)
    assert all(check.passed for check in decision.checks)


@with_instant_engines
async def test_low_confidence_opens_with_a_hedge() -> None:
    brain = ScriptedBrain(respond(FIRST, confidence="low"))
    async with chain(brain) as line:
        decision = await line.ask()
        await line.ask(turn=2)
    hedges = line.said[0], line.said[2]
    assert set(hedges) == set(PHRASES.hedges)
    assert line.said[1] == line.said[3] == FIRST
    assert decision.text == f"{hedges[0]} {FIRST}"
    assert decision.confidence == "low"


@with_instant_engines
async def test_markdown_is_not_read_out() -> None:
    brain = ScriptedBrain(respond("# Work\n- **She** joined `Initech` in 1943.\n- _A-0_ was hers."))
    async with chain(brain) as line:
        await line.ask()
    assert line.said == ["Work", FIRST, "A-0 was hers."]


@with_instant_engines
async def test_a_brain_that_escalates_is_spoken_and_a_person_is_told() -> None:
    brain = ScriptedBrain(escalate("I don't know that. A person will follow up.", "off_topic"))
    async with chain(brain) as line:
        decision = await line.ask("Who won the match?")
    assert kinds(line.ours) == [
        LLMFullResponseStartFrame,
        SentenceFrame,
        LLMFullResponseEndFrame,
        EscalationFrame,
        DecisionFrame,
    ]
    escalation = await line.until(EscalationFrame)
    assert (escalation.turn, escalation.reason) == (1, "off_topic")
    assert escalation.question == "Who won the match?"
    assert decision.text == PHRASES.off_topic
    assert (decision.decision, decision.reason) == ("escalate", "off_topic")
    assert decision.confidence is None
    assert decision.usage == SPENT


@with_instant_engines
async def test_a_name_that_was_misheard_is_asked_back() -> None:
    brain = ScriptedBrain(escalate("I don't know that."), respond(FIRST, sections=["work"]))
    misheard = "What did she do at Inetek?"
    async with chain(brain) as line:
        await line.send(TurnFrame(turn=1, question=misheard, doubt=0.2))
        asked = await line.until(DecisionFrame)
        history = (Exchange(misheard, asked.text),)
        await line.send(TurnFrame(turn=2, question="Yes.", history=history))
        answered = await line.until(DecisionFrame, lambda frame: frame.turn == 2)
        await line.send(TurnFrame(turn=3, question="No.", history=history))
        denied = await line.until(DecisionFrame, lambda frame: frame.turn == 3)
    assert asked.text == "Did you say Initech?"
    assert (asked.decision, asked.sections, asked.confidence) == ("respond", (), "low")
    assert asked.usage == SPENT
    assert not any(isinstance(frame, EscalationFrame) for frame in line.ear.heard)
    assert [question.text for question in brain.asked] == [misheard, "What did she do at Initech?"]
    assert answered.text == FIRST
    assert denied.text == "Could you spell the name for me?"


@with_instant_engines
async def test_what_was_typed_was_not_misheard() -> None:
    async with chain(ScriptedBrain(escalate("I don't know that."))) as line:
        decision = await line.ask("What did she do at Inetek?")
    assert decision.text == PHRASES.unsupported


@with_instant_engines
async def test_a_sensitive_question_never_reaches_a_brain() -> None:
    brain = ScriptedBrain(respond(FIRST))
    async with chain(brain) as line:
        pay = await line.ask("What was her salary?")
        age = await line.ask("How old is she?", turn=2)
    assert brain.asked == []
    assert line.said == ["I don't talk about pay.", PHRASES.sensitive]
    for decision, topic in ((pay, "salary"), (age, "age")):
        assert (decision.decision, decision.reason) == ("escalate", "sensitive")
        assert check(decision, "sensitive").detail == f"the question is about {topic}"
        assert decision.ttft_secs is None
        assert decision.usage == Usage()


@with_instant_engines
async def test_a_question_of_no_words_is_unclear() -> None:
    brain = ScriptedBrain(respond(FIRST))
    async with chain(brain) as line:
        decision = await line.ask(" … ")
    assert brain.asked == []
    assert decision.reason == "unclear"
    assert line.said == [PHRASES.unclear]


REFUSED = {
    "an unknown section": (respond(FIRST, sections=["work", "made-up"]), "sections", "'made-up'"),
    "a name not cited": (respond("She worked at Globex."), "support", "Globex"),
    "a fact from elsewhere": (respond(SECOND, sections=["work"]), "support", "Yale"),
    "a fact without a citation": (respond(FIRST, sections=[]), "sections", "none cited"),
}


@pytest.mark.parametrize("name", REFUSED)
@with_instant_engines
async def test_what_the_document_does_not_say_is_never_spoken(name: str) -> None:
    script, failed, why = REFUSED[name]
    brain = ScriptedBrain(script)
    async with chain(brain) as line:
        decision = await line.ask()
    assert line.said == [PHRASES.unsupported]
    assert (decision.decision, decision.reason) == ("escalate", "unsupported")
    assert decision.sections == ()
    assert decision.lines == ()
    assert not check(decision, failed).passed
    assert why in check(decision, failed).detail
    assert len(brain.asked) == 1, "a refused answer is not asked for again"


@with_instant_engines
async def test_what_cannot_be_confirmed_is_said_in_the_documents_words() -> None:
    script = respond(f"She joined Initech in 1944. {SECOND}")
    brain = ScriptedBrain(script)
    async with chain(brain) as line:
        decision = await line.ask("When did she join Initech?")
    assert line.said == ["Joined Initech in 1943 as a junior engineer."]
    assert (decision.decision, decision.confidence) == ("respond", "medium")
    assert decision.lines == (11,)
    assert "1944" in check(decision, "support").detail
    assert check(decision, "wording").passed
    assert brain.sent < len(script)
    assert EscalationFrame not in kinds(line.ours)


@with_instant_engines
async def test_the_documents_words_are_not_said_of_what_was_not_asked() -> None:
    async with chain(ScriptedBrain(respond("She joined Initech in 1944."))) as line:
        decision = await line.ask("Did she work at Globex?")
    assert line.said == [PHRASES.unsupported]
    assert decision.decision == "escalate"


@with_instant_engines
async def test_an_unsupported_sentence_ends_the_answer_and_the_inference() -> None:
    script = respond(f"{FIRST} She left in 1999. {SECOND}")
    brain = ScriptedBrain(script)
    async with chain(brain) as line:
        decision = await line.ask()
    assert line.said == [FIRST, PHRASES.rest_uncertain]
    assert decision.decision == "respond"
    assert decision.text == " ".join(line.said)
    assert "1999" in check(decision, "support").detail
    assert brain.sent < len(script)
    assert EscalationFrame not in kinds(line.ours)


@with_instant_engines
async def test_a_sensitive_answer_is_not_spoken() -> None:
    brain = ScriptedBrain(respond("Her salary at Initech was good."))
    async with chain(brain) as line:
        decision = await line.ask("What did she get at Initech?")
    assert line.said == ["I don't talk about pay."]
    assert decision.reason == "sensitive"
    assert check(decision, "sensitive").detail == "the answer is about salary"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Hello.", "Hello! I'm an AI that answers from a document."),
        ("Thank you!", "You're welcome."),
        ("Who are you?", "I'm Viva, an AI."),
    ],
)
@with_instant_engines
async def test_small_talk_needs_no_citation(question: str, answer: str) -> None:
    brain = ScriptedBrain(respond(answer, sections=[]))
    async with chain(brain) as line:
        decision = await line.ask(question)
    assert decision.decision == "respond"
    assert decision.text == answer


@pytest.mark.parametrize("answer", ["", "Good day! She was at Globex once.", "Hi."])
@with_instant_engines
async def test_small_talk_is_a_fixed_sentence_whatever_the_brain_says(answer: str) -> None:
    brain = ScriptedBrain(respond(answer, sections=[]))
    async with chain(brain) as line:
        decision = await line.ask("Hello!")
    assert decision.decision == "respond"
    assert decision.text == reply("greeting", DOCUMENT)
    failed = [check.detail for check in decision.checks if not check.passed]
    first = answer.partition(" She")[0]
    assert failed == ([f"not a fixed sentence: {first!r}"] if first else [])


@with_instant_engines
async def test_what_is_no_speech_is_refused_by_a_check_of_its_own() -> None:
    brain = ScriptedBrain(respond(f"{FIRST} I'm a real person. {SECOND}"))
    async with chain(brain) as line:
        decision = await line.ask()
    assert line.said == [FIRST, PHRASES.rest_uncertain]
    assert "real person" in check(decision, "persona").detail


@with_instant_engines
async def test_an_answer_has_an_end() -> None:
    brain = ScriptedBrain(respond(" ".join([FIRST] * 9)))
    async with chain(brain) as line:
        decision = await line.ask()
    assert line.said == [FIRST] * 8 + [PHRASES.rest_uncertain]
    assert check(decision, "length").detail == "more than 8 sentences"


@with_instant_engines
async def test_a_bare_yes_does_not_pass_as_small_talk() -> None:
    brain = ScriptedBrain(respond("Yes, she did.", sections=[]))
    async with chain(brain) as line:
        decision = await line.ask("Did she work at Globex?")
    assert line.said == [PHRASES.unsupported]
    assert check(decision, "sections").detail == "none cited for 'Yes, she did.'"


@with_instant_engines
async def test_the_message_of_an_escalation_may_state_nothing() -> None:
    brain = ScriptedBrain(escalate("She worked at Globex, I think.", "off_topic"))
    async with chain(brain) as line:
        decision = await line.ask()
    assert line.said == [PHRASES.off_topic]
    assert decision.reason == "off_topic"
    assert "Globex" in check(decision, "fixed").detail


FAULTS: dict[str, tuple[Sequence[Step], str]] = {
    "nothing": ([], "no tool call"),
    "only its usage": ([UsageReport(SPENT)], "no tool call"),
    "free text": (["It was in 1943."], "str instead of a tool call"),
    "arguments without a call": (pieces(arguments(FIRST)), "arguments before a tool call"),
    "an unknown tool": ([ToolStart("search"), *pieces("{}")], "unknown tool 'search'"),
    "two calls at once": (
        [ToolStart("respond"), ToolStart("escalate"), *pieces(arguments(FIRST))],
        "a second tool call, 'escalate'",
    ),
    "what is not JSON": (
        [ToolStart("respond"), *pieces("in 1943")],
        "at character 0: expected '{', found 'i'",
    ),
    "half a call": (
        [ToolStart("respond"), *pieces('{"sections": ["work"], "confi')],
        "expected the rest of the call, found its end",
    ),
    "no sections": (
        [ToolStart("respond"), *pieces('{"confidence": "high", "answer": "In 1943."}')],
        "expected a key 'sections'",
    ),
    "a confidence of its own": (
        respond(FIRST, confidence="certain"),
        "'certain' is none of high, medium, low",
    ),
    "an empty answer": (respond(" \n"), "an empty answer"),
    "an error": ([BrainError("the vendor is overloaded")], "the vendor is overloaded"),
    "an error nobody thought of": ([KeyError("choices")], "KeyError: 'choices'"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
@with_instant_engines
async def test_a_brain_that_fails_is_asked_once_more_then_a_person_is(name: str) -> None:
    script, why = FAULTS[name]
    brain = ScriptedBrain(script)
    async with chain(brain) as line:
        decision = await line.ask()
        error = await line.until(ErrorFrame, up=True)
    assert len(brain.asked) == 2
    assert line.said == [PHRASES.fault]
    assert (decision.decision, decision.reason) == ("escalate", "fault")
    assert EscalationFrame in kinds(line.ours)
    failed = {check.name: check.detail for check in decision.checks if not check.passed}
    assert why in failed.pop("attempt")
    assert why in failed["decision"]
    assert why in error.error


@with_instant_engines
async def test_the_second_attempt_may_succeed_and_both_are_paid_for() -> None:
    brain = ScriptedBrain(
        [UsageReport(SPENT), ToolStart("escalate"), BrainError("reset by peer")], respond(FIRST)
    )
    async with chain(brain) as line:
        decision = await line.ask()
    assert line.said == [FIRST]
    assert decision.decision == "respond"
    assert decision.usage == Usage(input_tokens=1800, output_tokens=80)
    assert not check(decision, "attempt").passed
    assert all(check.passed for check in decision.checks if check.name != "attempt")


@with_instant_engines
async def test_a_permanent_failure_is_not_asked_again() -> None:
    brain = ScriptedBrain([BrainError("the key was refused", permanent=True)])
    async with chain(brain) as line:
        decision = await line.ask()
    assert len(brain.asked) == 1
    assert decision.reason == "fault"


@with_instant_engines
async def test_a_failure_after_words_were_spoken_ends_the_answer_honestly() -> None:
    source = arguments(f"{FIRST} {SECOND}")
    begun = [ToolStart("respond"), *pieces(source[: source.index("Yale")])]
    brain = ScriptedBrain([*begun, BrainError("reset by peer")])
    async with chain(brain) as line:
        decision = await line.ask()
    assert len(brain.asked) == 1
    assert line.said == [FIRST, PHRASES.rest_uncertain]
    assert decision.decision == "respond"
    assert check(decision, "decision").detail == "reset by peer"


@with_instant_engines
async def test_a_second_call_after_a_whole_answer_is_not_spoken() -> None:
    brain = ScriptedBrain([*respond(FIRST), *respond(SECOND)])
    async with chain(brain) as line:
        decision = await line.ask()
    assert line.said == [FIRST]
    assert check(decision, "decision").detail == "a second tool call, 'respond'"


@pytest.mark.parametrize("ending", [BrainError("reset by peer"), 60.0])
def test_an_answer_stands_when_only_its_usage_is_lost(ending: Step) -> None:
    async def scenario() -> tuple[DecisionFrame, float]:
        async with chain(brain) as line:
            asked = time.monotonic()
            decision = await line.ask()
            return decision, time.monotonic() - asked

    brain = ScriptedBrain([ToolStart("respond"), *pieces(arguments(FIRST)), ending])
    decision, waited = run(scenario())
    assert waited < 1.1
    assert decision.text == FIRST
    assert all(check.passed for check in decision.checks)


def test_a_brain_that_does_not_begin_in_time_is_given_up() -> None:
    async def scenario() -> tuple[DecisionFrame, float]:
        async with chain(brain) as line:
            asked = time.monotonic()
            decision = await line.ask()
            return decision, time.monotonic() - asked

    brain = ScriptedBrain([UsageReport(SPENT), Pause()])
    decision, waited = run(scenario())
    assert len(brain.asked) == 2
    assert waited == pytest.approx(2 * 3.0, abs=0.01)
    assert decision.text == f"{PHRASES.looking} {PHRASES.fault}"
    assert check(decision, "decision").detail == "no sign of a first token within 6.0 s"


@pytest.mark.parametrize("begun", [False, True])
def test_a_brain_that_does_not_finish_in_time_is_given_up(begun: bool) -> None:
    async def scenario() -> tuple[DecisionFrame, list[str], float]:
        async with chain(brain) as line:
            asked = time.monotonic()
            decision = await line.ask()
            return decision, line.said, time.monotonic() - asked

    source = arguments(f"{FIRST} {SECOND}")
    first = pieces(source[: source.index("Yale")]) if begun else []
    brain = ScriptedBrain([0.5, ToolStart("respond"), *first, Pause()])
    decision, said, waited = run(scenario())
    assert len(brain.asked) == 1
    assert waited == pytest.approx(12.0, abs=0.01)
    assert decision.ttft_secs == pytest.approx(0.5, abs=0.01)
    unheard = [PHRASES.looking, PHRASES.fault]
    assert said == ([FIRST, PHRASES.rest_uncertain] if begun else unheard)
    assert check(decision, "decision").detail == "no sign of the whole decision within 12.0 s"


@with_instant_engines
async def test_an_interruption_aborts_the_inference_at_once() -> None:
    pause = Pause()
    begun = respond(f"{FIRST} {SECOND}")[:-4]
    brain = ScriptedBrain([UsageReport(SPENT), *begun, pause, *pieces("x")])
    aborted: list[Aborted] = []
    async with chain(brain, on_aborted=aborted.append) as line:
        await line.send(TurnFrame(turn=1, question="Where?"))
        await pause.reached.wait()
        assert brain.running == 1
        await line.send(InterruptionFrame())
        await line.until(InterruptionFrame)
        await asyncio.sleep(0)
        assert brain.running == 0
        assert kinds(line.ours) == [LLMFullResponseStartFrame, SentenceFrame]
        assert aborted == [Aborted(1, "scripted", SPENT, wasted=False)]
        brain.scripts = (respond(SECOND),)
        await line.ask(turn=2)
    assert line.said == [FIRST, SECOND]


@with_instant_engines
async def test_a_new_turn_replaces_the_one_before_it() -> None:
    pause = Pause()
    brain = ScriptedBrain([ToolStart("respond"), pause], respond(SECOND))
    aborted: list[Aborted] = []
    async with chain(brain, on_aborted=aborted.append) as line:
        await line.send(TurnFrame(turn=1, question="Where did she"))
        await pause.reached.wait()
        decision = await line.ask("Where did she study?", turn=2)
    assert decision.turn == 2
    assert aborted == [Aborted(1, "scripted", Usage(), wasted=False)]
    assert kinds(line.ours) == [
        LLMFullResponseStartFrame,
        LLMFullResponseEndFrame,
        LLMFullResponseStartFrame,
        SentenceFrame,
        LLMFullResponseEndFrame,
        DecisionFrame,
    ]


@with_instant_engines
async def test_the_end_of_a_call_waits_for_its_last_turn_and_a_cancelled_call_does_not() -> None:
    brain = ScriptedBrain([0.02, *respond(FIRST)])
    async with chain(brain) as line:
        await line.send(TurnFrame(turn=1, question="Where?"), EndCallFrame(reason="cap"))
        await line.until(EndCallFrame)
    heard = kinds(line.ear.heard)
    assert heard.index(DecisionFrame) < heard.index(EndCallFrame)

    pause = Pause()
    brain = ScriptedBrain([ToolStart("respond"), pause])
    async with chain(brain) as line:
        await line.send(TurnFrame(turn=1, question="Where?"))
        await pause.reached.wait()
        await line.worker.cancel()
    assert kinds(line.ours) == [LLMFullResponseStartFrame]


def test_a_brain_that_will_not_end_holds_up_no_interruption() -> None:
    class Stubborn(ScriptedBrain):
        async def _play(self, script: Sequence[Step]) -> AsyncIterator[Any]:
            for _ in range(3):
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(5)
            for step in script:
                yield step

    async def scenario() -> None:
        async with chain(brain, first_token_timeout_secs=60.0) as line:
            await line.send(TurnFrame(turn=1, question="Where?"))
            await asyncio.sleep(1)
            interrupted = time.monotonic()
            await line.send(InterruptionFrame())
            await line.until(InterruptionFrame)
            assert time.monotonic() - interrupted < 0.01
            await asyncio.sleep(20)
        assert kinds(line.ours) == [LLMFullResponseStartFrame]

    brain = Stubborn(respond(FIRST))
    run(scenario())


SCRIPTS: list[Sequence[Step]] = [
    respond(f"{FIRST} {SECOND} {FIRST} {SECOND}"),
    respond(f"{FIRST} {SECOND}", confidence="low"),
    respond(f"{FIRST} She left in 1999. {SECOND}"),
    escalate("I don't know that. A person will follow up."),
    [ToolStart("respond"), BrainError("reset by peer")],
]


@given(data=st.data())
def test_nothing_of_a_turn_comes_after_its_interruption(data: st.DataObject) -> None:
    script = data.draw(st.sampled_from(SCRIPTS))
    steps = data.draw(st.integers(0, 2 * len(script) + 10))
    replaced = data.draw(st.booleans())

    async def scenario() -> None:
        brain = ScriptedBrain(script)
        async with chain(brain, queues=True) as line:
            await line.send(TurnFrame(turn=1, question="Where?"))
            for _ in range(steps):
                await asyncio.sleep(0)
            if replaced:
                await line.send(TurnFrame(turn=2, question="Where?"))
            await line.send(InterruptionFrame())
            await line.until(InterruptionFrame)
            old = len(line.ear.heard)
            brain.scripts = (respond(SECOND),)
            brain.asked.clear()
            decision = await line.ask(turn=3)
            after = line.ear.heard[old:]
        assert decision.text == SECOND
        turns = (SentenceFrame, DecisionFrame, EscalationFrame)
        assert {frame.turn for frame in after if isinstance(frame, turns)} == {3}
        spoken = (LLMFullResponseStartFrame, SentenceFrame, LLMFullResponseEndFrame)
        assert kinds([frame for frame in after if isinstance(frame, spoken)])[:2] == [*spoken[:2]]

    run(scenario())


@pytest.mark.parametrize("blank", [{"fault": " "}, {"hedges": ()}, {"hedges": ("Well,", "")}])
def test_phrases_are_never_silence(blank: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"Phrases\.{next(iter(blank))} is .*must contain words"):
        Phrases(**blank)
