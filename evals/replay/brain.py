"""A brain that answers as it did in the recording, event by event."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from conversation.frames import Usage
from conversation.utterance import same_words
from processors.brain.contract import (
    ArgumentsDelta,
    BrainError,
    BrainEvent,
    Question,
    Repaired,
    ToolStart,
    UsageReport,
)
from processors.brain.speculation import Speculation
from processors.brain.tools import Arguments, FunctionTool, ToolCall
from recording.frames import of_history
from recording.recording import Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedTool(FunctionTool):
    """A tool that gives its recorded result after the recorded time, otherwise a new one.

    Parameters:
        calls: Its recorded calls that have not been replayed yet.
    """

    calls: list[ToolCall] = field(default_factory=list)

    async def call(self, arguments: str, *, until: float) -> ToolCall:
        """Give the recorded result for these arguments, if there is one."""
        made = next((call for call in self.calls if call.arguments == arguments), None)
        if made is None:
            # Not super(): a dataclass with slots is another class than the one written here.
            return await FunctionTool.call(self, arguments, until=until)
        self.calls.remove(made)
        await asyncio.sleep(made.secs)
        return made


def replayed_tools(
    recording: Recording, registered: Sequence[FunctionTool]
) -> tuple[FunctionTool, ...]:
    """The registered tools and those called in a recording, with their recorded results."""
    made: dict[str, list[ToolCall]] = {}
    before: list[dict[str, Any]] = []
    for message in recording.topic("/brain/Asked"):
        calls = message.data.get("calls", [])
        if calls and calls != before:  # a second attempt is told of the same calls
            last = ToolCall(**calls[-1])
            made.setdefault(last.tool, []).append(last)
        before = calls
    known = {tool.name: tool for tool in registered}
    return tuple(
        ReplayedTool(
            name=name,
            description=known[name].description if name in known else _NOT_REGISTERED,
            run=known[name].run if name in known else _unregistered,
            arguments=known[name].arguments if name in known else {},
            timeout_secs=known[name].timeout_secs if name in known else 1.0,
            said=_said_during(made.get(name, [])) or (known[name].said if name in known else ""),
            calls=made.get(name, []),
        )
        for name in {**known, **made}
    )


def _said_during(calls: Sequence[ToolCall]) -> str:
    return next((call.said for call in calls if call.said), "")


_NOT_REGISTERED = "the tool is not registered"


async def _unregistered(_arguments: Arguments) -> str:
    raise LookupError(f"the recording has no such call; {_NOT_REGISTERED}")


@dataclass(slots=True)
class Ask:
    """One recorded question to the brain, with its answer.

    Parameters:
        question: The question.
        history: The previous turns, as recorded.
        events: The answer's events, each with seconds after the question.
        used: Whether the replay has used it.
    """

    question: str
    history: list[dict[str, Any]]
    events: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    used: bool = False

    @property
    def whole(self) -> bool:
        """Whether the answer ended by itself."""
        return bool(self.events) and self.events[-1][1]["event"] in ("end", "error")


def asks_of(recording: Recording) -> list[Ask]:
    """The recorded questions to the brain, in order."""
    asks: dict[int, tuple[float, Ask]] = {}
    for message in recording.topic("/brain/Asked", "/brain/Event"):
        data = message.data
        if message.kind == "Asked":
            asks[data["ask"]] = (message.at, Ask(data["question"], list(data["history"])))
        elif data["ask"] in asks:
            asked, ask = asks[data["ask"]]
            ask.events.append((message.at - asked, dict(data)))
    return [ask for _, ask in asks.values()]


def warmed_by(recording: Recording) -> Usage:
    """The brain's usage outside its answers: the call's usage minus the answers'."""
    used: dict[int, dict[str, Any]] = {
        message.data["number"]: message.data["used"] for message in recording.topic("/call/Turn")
    }
    asked = {
        message.data["ask"]: message.data["usage"]
        for message in recording.topic("/brain/Event")
        if message.data["event"] == "usage"
    }
    return Usage(
        **{
            name: max(
                0,
                sum(int(usage[name]) for usage in used.values())
                - sum(int(usage[name]) for usage in asked.values()),
            )
            for name in Usage.__slots__
        }
    )


class ReplayedBrain:
    """A brain that gives recorded answers, found by the question's words in recorded order.

    An answer that was interrupted in the recording, but not in the replay, continues like another
    answer to the same words that begins in the same way, if there is one.

    Parameters:
        asks: The recorded questions.
        name: The vendor's name.
        missing: Called with ``"brain"`` and what the recording lacks.
        warmed: Usage before the first question.
    """

    def __init__(
        self,
        asks: Sequence[Ask],
        *,
        name: str,
        missing: Callable[[str, str], None],
        warmed: Usage | None = None,
    ) -> None:
        self._asks = asks
        self._name = name
        self._missing = missing
        self._warmed = warmed or Usage()

    async def warm(self) -> Usage:
        """The usage of warming the prompt cache."""
        return self._warmed

    @property
    def name(self) -> str:
        """The name of the vendor that answered last."""
        return self._name

    async def decide(self, question: Question) -> AsyncIterator[BrainEvent]:
        """Stream the recorded events at their recorded times.

        Raises:
            BrainError: The vendor failed when recorded, or the recording has no answer.
        """
        loop = asyncio.get_running_loop()
        asked = loop.time()
        ask = self._find(question)
        if ask is None:
            self._missing("brain", question.text)
            raise BrainError("the recording has no answer to this question", permanent=True)
        given: list[dict[str, Any]] = []
        while True:
            for after, event in ask.events[len(given) :]:
                await asyncio.sleep(max(0.0, asked + after - loop.time()))
                self._name = str(event.get("brain") or self._name)
                if event["event"] == "end":
                    return
                if event["event"] == "error":
                    raise BrainError(
                        event.get("error", ""),
                        permanent=bool(event.get("permanent")),
                        retry_after_secs=event.get("retry_after_secs"),
                    )
                if event["event"] != "aborted":
                    given.append(event)
                    yield _event(event)
            longer = self._continues(ask, given)
            if longer is None:
                break
            ask = longer
        self._missing("brain", f"the rest of the answer to: {question.text}")
        raise BrainError("the recording has only the beginning of this answer", permanent=True)

    def _find(self, question: Question) -> Ask | None:
        alike = [ask for ask in self._asks if same_words(ask.question, question.text)]
        if not alike:
            return None
        history = of_history(question.history)
        fresh = [ask for ask in alike if not ask.used]
        if fresh:
            found = next((ask for ask in fresh if ask.history == history), fresh[0])
        else:
            whole = [ask for ask in alike if ask.whole]
            found = (whole or alike)[-1]
        found.used = True
        return found

    def _continues(self, ask: Ask, given: Sequence[dict[str, Any]]) -> Ask | None:
        for other in self._asks:
            if other is not ask and other.whole and same_words(other.question, ask.question):
                begins = [_plain(event) for _, event in other.events[: len(given)]]
                if begins == [_plain(event) for event in given]:
                    return other
        return None


class RecordedSpeculation(Speculation):
    """Starts the early answers that the recording started; it lacks other calls' token counts.

    Parameters:
        begun: For each speculative turn, whether its early answer was started.
    """

    def __init__(self, begun: Sequence[bool], *, max_wasted_share: float) -> None:
        super().__init__(max_wasted_share=max_wasted_share)
        self._begun = list(begun)

    @classmethod
    def from_recording(
        cls, recording: Recording, *, max_wasted_share: float
    ) -> "RecordedSpeculation":
        """Find out which early answers a recording started."""
        begun: list[bool] = []
        waiting = ""
        for message in recording.topic("/turn/TurnFrame", "/brain/Asked"):
            if message.kind == "Asked":
                if waiting and same_words(waiting, message.data["question"]):
                    begun[-1] = True
                waiting = ""
            elif message.data["speculation"]:
                begun.append(False)
                waiting = message.data["question"]
            else:
                waiting = ""
        return cls(begun, max_wasted_share=max_wasted_share)

    def reserve(self) -> bool:
        """Start an early answer if the recording did; after its last one, within the budget."""
        if not self._begun:
            return super().reserve()
        if not self._begun.pop(0):
            return False
        self._open += 1
        return True


def _plain(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name not in ("ask", "brain")}


def _event(event: dict[str, Any]) -> BrainEvent:
    match event["event"]:
        case "tool_start":
            return ToolStart(event["name"])
        case "arguments":
            return ArgumentsDelta(event["json"])
        case "repaired":
            return Repaired(tuple(event["ways"]))
        case _:
            return UsageReport(Usage(**event["usage"]))
