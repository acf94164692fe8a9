"""Decides one turn: reads a brain's stream, checks it and passes it on sentence by sentence.

It is independent of pipecat's processors: each sentence that passes the guardrails goes to ``say``
at once, and cancelling the task that runs it aborts the brain.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from loguru import logger

from conversation.frames import Confidence, DecisionFrame, SentenceFrame, TurnFrame, Usage
from conversation.observer import CallObserver, Unobserved
from knowledge.loading.document import Document
from knowledge.loading.section import Section
from processors.brain.contract import (
    ArgumentsDelta,
    Brain,
    BrainError,
    BrainEvent,
    Question,
    Repaired,
    Tool,
    ToolStart,
    UsageReport,
)
from processors.brain.guardrails import Guardrails, MalformedError, Phrases, RefusalError
from processors.brain.misheard import SPELL_IT, denied, in_full, in_full_before, question_back
from processors.brain.reported import reported
from processors.brain.sentences import SentenceStream, plain_text
from processors.brain.tool_call import (
    ConfidenceKnown,
    ReasonKnown,
    SectionsKnown,
    TextDelta,
    TextEnd,
    ToolCallError,
    ToolCallEvent,
    ToolCallStream,
)
from processors.brain.tools import MAX_TOOL_CALLS, FunctionTool, ToolCall

MAX_ARGUMENT_CHARS = 4_096
"""Longest arguments of a registered tool, in characters."""

ATTEMPTS = 2
"""Requests for one decision, including the first."""

LOOKING_SECS = 3.0
"""After so long without a word, the caller is told, once, that an answer is still looked for."""


_DOUBTED = 0.5
"""Probability of a misheard word from which an answer is less sure than the brain says it is."""
_LESS: Mapping[Confidence, Confidence] = {"high": "medium", "medium": "low", "low": "low"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionTimeouts:
    """Time limits of the steps of a decision.

    Parameters:
        first_token_timeout_secs: To the first token, for each attempt.
        decision_timeout_secs: For the whole decision, all attempts included.
        trailing_timeout_secs: From the last word to the end of the stream (the usage).
        abort_timeout_secs: From an abort to the end of the brain's iterator.
    """

    first_token_timeout_secs: float = 3.0
    decision_timeout_secs: float = 12.0
    trailing_timeout_secs: float = 1.0
    abort_timeout_secs: float = 1.0

    @property
    def longest_secs(self) -> float:
        """The longest that a decision takes, provided that the brain stops when aborted."""
        return self.decision_timeout_secs + self.trailing_timeout_secs + self.abort_timeout_secs


@dataclass
class _Call:
    """The tool call of one attempt, as far as it has arrived."""

    tool: Tool | None = None
    lookup: FunctionTool | None = None  # the registered tool that is called instead
    arguments: str = ""  # of the registered tool
    stream: ToolCallStream = field(default_factory=lambda: ToolCallStream("respond"))
    sentences: SentenceStream = field(default_factory=SentenceStream)
    sections: tuple[Section, ...] = ()
    confidence: Confidence | None = None
    text_ended: bool = False
    beginning: str = ""  # The clauses that were said ahead of their sentence.
    beginning_tried: int = 0  # Their length, whether said or refused.
    usage: Usage = field(default_factory=Usage)


class DecisionRun:
    """The decision of one turn; used once.

    Parameters:
        turn: The turn.
        brain: The brain that decides it.
        document: The document to answer from.
        phrases: Spoken in place of the brain's words when those are refused.
        timeouts: Time limits of the steps.
        say: Receives each sentence to be spoken, in order.
        tools: Tools that the brain may call before it decides.
        observer: Notified of the brain's requests and events.
        by_clause: Say the first clauses of an answer that pass the guardrails by themselves, while
            the rest of their sentence is still being written.
    """

    def __init__(
        self,
        turn: TurnFrame,
        *,
        brain: Brain,
        document: Document,
        phrases: Phrases,
        timeouts: DecisionTimeouts,
        say: Callable[[SentenceFrame], Awaitable[None]],
        tools: Sequence[FunctionTool] = (),
        observer: CallObserver | None = None,
        by_clause: bool = False,
    ) -> None:
        self.turn = turn
        self._by_clause = by_clause
        self._brain = brain
        self._phrases = phrases
        self._timeouts = timeouts
        self._say_frame = say
        self._observer = observer or Unobserved()
        self._tools = {tool.name: tool for tool in tools}
        self._called: list[ToolCall] = []
        self._certain = asyncio.Event()  # Set once the turn is over: only then may tools run.
        if not turn.speculation:
            self._certain.set()
        self._document = document
        self._question = in_full(turn.question, turn.history, document)
        self._guardrails = Guardrails(document, self._question, phrases)
        self._started = time.monotonic()
        self._ttft_secs: float | None = None
        self._ttfs_secs: float | None = None
        self._call = _Call()
        self._spent = Usage()  # By earlier attempts and tool calls.
        self._decision: Literal["respond", "escalate"] = "respond"
        self._reason = ""
        self._said: list[str] = []
        self._said_waiting = 0  # How many of them were said while the caller waited.
        self._complaint = ""  # Why the last attempt was no decision, for the next.
        self._troubles: list[str] = []
        self._repaired: dict[str, None] = {}
        self._lines: set[int] = set()
        self._in_document_words = False
        self._asked_back = ""  # What is asked instead of an answer that was not found.
        self._fault = ""

    @property
    def usage(self) -> Usage:
        """Tokens used by all attempts so far."""
        return self._spent + self._call.usage

    @property
    def fault(self) -> str:
        """How the brain failed, unless a later attempt succeeded; empty if it did not fail."""
        return self._fault

    def confirm(self) -> None:
        """Restart the latency clocks: the turn that this was begun early for is over."""
        self._certain.set()
        self._started = time.monotonic()
        if self._ttft_secs is not None:
            self._ttft_secs = 0.0
        if self._ttfs_secs is not None:
            self._ttfs_secs = 0.0

    async def decide(self) -> DecisionFrame:
        """Say the answer, or its replacement, and return the decision."""
        waiting = asyncio.create_task(self._say_still_looking())
        try:
            await self._decide()
        finally:
            waiting.cancel()
        self._log()
        answered = self._decision == "respond"
        return DecisionFrame(
            turn=self.turn.turn,
            decision=self._decision,
            sections=tuple(section.id for section in self._call.sections) if answered else (),
            lines=tuple(sorted(self._lines)),
            confidence=self._call.confidence if answered else None,
            text=" ".join(self._said),
            reason=self._reason,
            checks=self._guardrails.checks,
            usage=self.usage,
            brain=self._brain.name,
            ttft_secs=self._ttft_secs,
            ttfs_secs=self._ttfs_secs,
            looked_up=self._guardrails.looked_up(self._call.sections) if answered else (),
        )

    async def _decide(self) -> None:
        try:
            self._guardrails.check_question()
            if denied(self._question, self.turn.history):
                await self._ask_back(SPELL_IT)
                return
            await self._ask()
        except RefusalError as refusal:
            await self._refuse(refusal)
        except Exception as error:
            logger.exception("the guardrails failed")
            self._fault = f"{type(error).__name__}: {error}"
            self._guardrails.record("decision", self._fault)
            await self._refuse(RefusalError("fault"))

    def _log(self) -> None:
        """One line for a turn in which the brain did not do as it was asked."""
        told = list(self._troubles)
        if self._repaired:
            told.append(f"repaired: {', '.join(self._repaired)}")
        if told:
            level = "WARNING" if self._troubles else "INFO"
            outcome = "not decided" if self._fault else f"decided: {self._decision}"
            text = "turn {}: {}: {}; {}"
            logger.log(level, text, self.turn.turn, self._brain.name, "; ".join(told), outcome)

    async def _say_still_looking(self) -> None:
        """Once the turn is certain, let the caller not wait long without a word."""
        await self._certain.wait()
        await asyncio.sleep(LOOKING_SECS)
        if not self._said:
            self._said_waiting += 1
            await self._say(self._phrases.looking, waiting=True)

    async def _ask(self) -> None:
        """Let the brain decide; retry once if it fails before a word was spoken.

        A wait that the vendor asks for is observed if it fits into the time left.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeouts.decision_timeout_secs
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._attempt(deadline)
                return
            except RefusalError:
                raise
            except Exception as error:
                ours = isinstance(error, (BrainError, MalformedError, ToolCallError, TimeoutError))
                detail = str(error) if ours else f"{type(error).__name__}: {error}"
                malformed = isinstance(error, (MalformedError, ToolCallError))
                permanent = isinstance(error, BrainError) and error.permanent
                asked_to_wait = error.retry_after_secs if isinstance(error, BrainError) else None
                wait_secs = asked_to_wait or 0.0
            self._troubles.append(detail)
            if self._call.text_ended:
                # The whole answer has been checked and said; only the end of the stream failed.
                if malformed or not self._call.stream.complete:
                    self._guardrails.record("decision", detail)
                return
            late = loop.time() + wait_secs >= deadline
            if attempt == ATTEMPTS or permanent or late or self._begun:
                self._fault = detail
                self._guardrails.record("decision", detail)
                raise RefusalError("fault")
            self._guardrails.another_attempt(detail)
            self._complaint = detail if malformed else ""
            self._spent, self._call = self.usage, _Call()
            self._decision, self._reason = "respond", ""
            await asyncio.sleep(wait_secs)

    @property
    def _begun(self) -> bool:
        """Whether any of the answer was said, beside what is said while the caller waits."""
        return len(self._said) > self._said_waiting

    async def _attempt(self, deadline: float) -> None:
        """Run the tools that the brain calls, until it decides."""
        await self._stream(deadline)
        while (tool := self._call.lookup) is not None:
            await self._look_up(tool, self._call.arguments, deadline)
            self._spent, self._call = self.usage, _Call()
            await self._stream(deadline)
        if self._call.tool is None:
            raise MalformedError("no tool call")
        self._call.stream.close()

    async def _look_up(self, tool: FunctionTool, arguments: str, deadline: float) -> None:
        """Run a tool once the turn is certainly over."""
        if len(self._called) >= MAX_TOOL_CALLS:
            self._guardrails.record("tools", f"more than {MAX_TOOL_CALLS} calls in a turn")
            raise RefusalError("unsupported")
        async with asyncio.timeout_at(deadline):
            await self._certain.wait()
        said = "" if self._called else tool.said
        if said:
            self._said_waiting += 1
            await self._say(said)
        called = await tool.call(arguments, until=deadline)
        self._called.append(replace(called, said=said))
        self._guardrails.may_cite(tool.section(self._called))
        if called.ok:
            self._guardrails.record("tools")
        else:
            logger.warning("turn {}: {}: {}", self.turn.turn, tool.name, called.result)

    async def _stream(self, deadline: float) -> None:
        """Ask the brain once and consume its stream to the end."""
        loop = asyncio.get_running_loop()
        until = min(deadline, loop.time() + self._timeouts.first_token_timeout_secs)
        question = Question(
            self._question,
            in_full_before(self.turn.history, self._document),
            tuple(self._called),
            self._complaint,
        )
        events = reported(self._brain, question, self._observer)
        try:
            while (event := await self._receive(events, until)) is not None:
                if not isinstance(event, (UsageReport, Repaired)):
                    until = deadline
                    if self._ttft_secs is None:
                        self._ttft_secs = time.monotonic() - self._started
                await self._take(event)
                if self._call.text_ended:
                    trailing = loop.time() + self._timeouts.trailing_timeout_secs
                    until = min(deadline, trailing)
        finally:
            await self._close(events)

    async def _receive(self, events: AsyncIterator[BrainEvent], until: float) -> BrainEvent | None:
        try:
            async with asyncio.timeout_at(until):
                return await anext(events, None)
        except TimeoutError:
            if self._call.stream.complete:
                return None  # Only the report of its usage is missing.
            waited = time.monotonic() - self._started
            missing = "the whole decision" if self._call.tool else "a first token"
            raise TimeoutError(f"no sign of {missing} within {waited:.1f} s") from None

    async def _close(self, events: AsyncIterator[BrainEvent]) -> None:
        """Close the brain's iterator, which aborts an inference that is still running."""
        close = getattr(events, "aclose", None)
        if close is None:
            return
        try:
            async with asyncio.timeout(self._timeouts.abort_timeout_secs):
                await close()
        except Exception as error:
            logger.warning(f"{self._brain.name} did not close: {type(error).__name__}: {error}")

    async def _take(self, event: BrainEvent) -> None:
        call = self._call
        if isinstance(event, UsageReport):
            call.usage = event.usage
            if event.doubted:
                self._guardrails.record("usage", f"{self._brain.name} reports {event.doubted}")
        elif isinstance(event, Repaired):
            self._repaired |= dict.fromkeys(event.ways)
            self._guardrails.repaired(", ".join(self._repaired))
        elif isinstance(event, ToolStart):
            if call.tool is not None or call.lookup is not None:
                raise MalformedError(f"a second tool call, {event.name!r}")
            if event.name in self._tools:
                call.lookup = self._tools[event.name]
                return
            call.tool = self._guardrails.check_tool(event.name)
            call.stream = ToolCallStream(call.tool)
        elif isinstance(event, ArgumentsDelta) and call.lookup is not None:
            call.arguments += event.json
            if len(call.arguments) > MAX_ARGUMENT_CHARS:
                raise MalformedError(f"over {MAX_ARGUMENT_CHARS} characters of arguments")
        elif isinstance(event, ArgumentsDelta):
            if call.tool is None:
                raise MalformedError("arguments before a tool call")
            for part in call.stream.feed(event.json):
                await self._read(call, part)
        else:
            raise MalformedError(f"{type(event).__name__} instead of a tool call")

    async def _read(self, call: _Call, part: ToolCallEvent) -> None:
        match part:
            case SectionsKnown(sections):
                call.sections = self._guardrails.check_sections(sections)
            case ConfidenceKnown(confidence):
                call.confidence = self._guardrails.check_confidence(confidence)
                if self.turn.doubt >= _DOUBTED:
                    call.confidence = _LESS[call.confidence]
            case ReasonKnown(reason):
                self._decision, self._reason = "escalate", self._guardrails.check_reason(reason)
                self._asked_back = self._question_back(self._reason)
            case TextDelta(text):
                for sentence in call.sentences.feed(text):
                    await self._let_through(call, plain_text(sentence))
                if self._by_clause:
                    await self._begin_sentence(call)
            case TextEnd():
                for sentence in call.sentences.close():
                    await self._let_through(call, plain_text(sentence))
                if self._asked_back:
                    await self._ask_back(self._asked_back)
                elif self._decision == "escalate" and not self._begun:
                    await self._say_fixed(self._guardrails.message("", self._reason))
                elif not call.sections and not self._begun:
                    await self._say_fixed(self._guardrails.small_talk(""))
                if not self._begun:
                    raise MalformedError("an empty answer")
                call.text_ended = True

    async def _let_through(self, call: _Call, sentence: str) -> None:
        if not sentence or self._asked_back:
            return
        if self._decision == "escalate":
            await self._say_fixed(self._guardrails.message(sentence, self._reason))
            return
        if not call.sections:
            await self._say_fixed(self._guardrails.small_talk(sentence))
            return
        try:
            supported = self._guardrails.check_answer(sentence, call.sections)
        except RefusalError:
            await self._say_in_document_words(call, sentence)
            raise
        await self._hedge(call)
        beginning, call.beginning = call.beginning, ""
        await self._say_supported(sentence[len(beginning) :].lstrip(), supported)

    async def _begin_sentence(self, call: _Call) -> None:
        """Say the first clauses of an answer, if they may be spoken without the rest."""
        if self._begun or self._decision != "respond" or call.confidence in (None, "low"):
            return
        written = call.sentences.begun(call.beginning_tried)
        clause = plain_text(written)
        if not clause or not call.sections or self._asked_back:
            return
        call.beginning_tried = len(written)
        supported = self._guardrails.check_beginning(clause, call.sections)
        if supported is not None:
            call.beginning = clause
            await self._say_supported(clause, supported)

    async def _say_supported(self, text: str, supported: tuple[int, ...]) -> None:
        rests_on = tuple(
            section.id
            for section in self._call.sections
            if any(line.number in supported for line in section.lines)
        )
        lines = tuple(line for line in supported if line)
        self._lines.update(lines)
        await self._say(text, rests_on, lines)

    async def _say_in_document_words(self, call: _Call, sentence: str) -> None:
        """Answer in the document's own words if the brain's could not be confirmed."""
        if self._begun and not call.beginning:
            return
        found = self._guardrails.document_words(sentence, call.sections)
        if not found:
            return
        await self._hedge(call)
        if call.confidence == "high":
            call.confidence = "medium"
        for statement in found:
            self._lines.add(statement.line)
            await self._say(statement.text, (statement.section,), (statement.line,))
        self._in_document_words = True

    async def _hedge(self, call: _Call) -> None:
        if call.confidence == "low" and not self._begun:
            await self._say(self._phrases.hedge(self.turn.turn))

    def _question_back(self, reason: str) -> str:
        """What is asked where no answer was found, if a name may have been misheard.

        What was typed, or transcribed by a recogniser that is never in doubt, was not.
        """
        unanswered = reason in ("unsupported", "unclear") and not self._begun
        if not unanswered or self.turn.doubt <= 0:
            return ""
        return question_back(self._question, self.turn.history, self._document)

    async def _ask_back(self, sentence: str) -> None:
        """Ask the caller which name they said, instead of answering."""
        self._decision, self._reason = "respond", ""
        self._call.sections, self._call.confidence = (), "low"
        await self._say(sentence)

    async def _say_fixed(self, sentences: tuple[str, ...]) -> None:
        for sentence in sentences:
            await self._say(sentence)

    async def _say(
        self,
        sentence: str,
        sections: tuple[str, ...] = (),
        lines: tuple[int, ...] = (),
        *,
        waiting: bool = False,
    ) -> None:
        self._said.append(sentence)
        if self._ttfs_secs is None and not waiting:
            self._ttfs_secs = time.monotonic() - self._started
        turn = self.turn.turn
        await self._say_frame(SentenceFrame(sentence, turn=turn, sections=sections, lines=lines))

    async def _refuse(self, refusal: RefusalError) -> None:
        """Say what replaces the answer, or the rest of it."""
        if self._in_document_words:
            return  # The document's words were the answer; the rest of the brain's is dropped.
        if self._begun:
            await self._say(self._phrases.rest_uncertain)
            return
        if asked_back := self._question_back(refusal.reason):
            await self._ask_back(asked_back)
            return
        if self._decision == "respond" or refusal.reason in ("sensitive", "fault"):
            self._reason = refusal.reason
        self._decision = "escalate"
        await self._say(refusal.message or self._phrases.escalation(self._reason))
