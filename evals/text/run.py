"""Runs scenarios in writing, and checks their replies."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from conversation.frames import Exchange
from conversation.records import Tariff
from evals.conformance.harness import NonconformanceError
from evals.judge.judge import CRITERIA, Criterion, Judge, JudgeError
from evals.judge.judge import Exchange as Judged
from evals.judge.verdicts import Ruling
from evals.scoring.expectation import Expectation, Finding, check
from evals.text.answers import STEPS, Case, lost_at
from evals.text.questions import Scenario, Turn
from evals.text.reply import Reply
from evals.text.session import TextSession
from pipeline.engines import Engines
from processors.brain.extractive import ExtractiveBrain

AT_ONCE = 4
"""Scenarios that run at the same time with a cloud brain."""


@dataclass(frozen=True, slots=True)
class TurnOutcome:
    """The outcome of one turn.

    Parameters:
        turn: The turn.
        reply: The reply; ``None`` for the greeting, and where none came.
        said: What was said.
        findings: The finding on each expectation.
        hint: Which step lost an answer that is wrong, in words; empty if unknown.
        lost: Why no reply came, if none did.
    """

    turn: Turn
    reply: Reply | None
    said: str
    findings: tuple[Finding, ...]
    hint: str = ""
    lost: str = ""

    @property
    def fault(self) -> str:
        """How the brain failed; empty if it did not."""
        return self.reply.fault if self.reply else self.lost

    @property
    def wrong(self) -> tuple[Finding, ...]:
        """Expectations that are not met."""
        return tuple(found for found in self.findings if found.passed is False)

    @property
    def unknown(self) -> tuple[Finding, ...]:
        """Expectations without a verdict."""
        return tuple(found for found in self.findings if found.passed is None)

    @property
    def passed(self) -> bool:
        """Whether all expectations are met."""
        return not self.fault and all(found.passed for found in self.findings)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one scenario.

    Parameters:
        scenario: The scenario.
        document: The document's title.
        brain: The brain's name.
        turns: Its turns, as far as they were held.
        rulings: The judge's verdicts.
        secs: How long it took.
    """

    scenario: Scenario
    document: str
    brain: str
    turns: tuple[TurnOutcome, ...]
    rulings: tuple[Ruling, ...] = ()
    secs: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether every turn meets its expectations."""
        return all(turn.passed for turn in self.turns)

    @property
    def fault(self) -> str:
        """Why there is no result: the brain or the judge failed; empty if neither did."""
        for turn in self.turns:
            if turn.fault:
                return f"the brain failed: {turn.fault}"
            if turn.unknown and not turn.wrong:
                return f"no verdict: {turn.unknown[0].found}"
        return ""

    @property
    def status(self) -> str:
        """``passed``, ``failed``, or ``error`` without a result."""
        return "passed" if self.passed else "error" if self.fault else "failed"

    @property
    def cost_micros(self) -> int:
        """What the brain cost, in micro-dollars."""
        return sum(turn.reply.cost_micros for turn in self.turns if turn.reply)

    def as_dict(self) -> dict[str, Any]:
        """The outcome as plain values, ready for JSON."""
        return {
            "name": self.scenario.name,
            "file": self.scenario.file,
            "document": self.document,
            "brain": self.brain,
            "status": self.status,
            "fault": self.fault,
            "secs": round(self.secs, 3),
            "turns": [
                {
                    "ask": turn.turn.ask,
                    "said": turn.said,
                    "passed": turn.passed,
                    "hint": turn.hint,
                    "findings": [
                        {"expected": found.expected, "passed": found.passed, "found": found.found}
                        for found in turn.findings
                    ],
                    "reply": turn.reply.as_dict() if turn.reply else None,
                }
                for turn in self.turns
            ],
        }


@dataclass(slots=True)
class TextRun:
    """Runs scenarios about one document.

    Parameters:
        engines: The document, and a brain to answer from it.
        tariff: Prices of vendors.
        judge: Judges criteria in words; ``None`` leaves them out.
        criteria: Names of criteria that every answer must meet, beside those of the scenarios.
    """

    engines: Engines
    tariff: Tariff | None = None
    judge: Judge | None = None
    criteria: Sequence[str] = ()

    async def hold(
        self, scenarios: Sequence[Scenario], done: Callable[[Outcome], None]
    ) -> list[Outcome]:
        """Run scenarios, each in a conversation of its own.

        Args:
            scenarios: The scenarios.
            done: Called with each outcome, as soon as it is known.
        """
        line = asyncio.Semaphore(1 if self._embedded is not None else AT_ONCE)

        async def hold(scenario: Scenario) -> Outcome:
            async with line:
                outcome = await self._hold(scenario)
            done(outcome)
            return outcome

        async with asyncio.TaskGroup() as tasks:
            held = [tasks.create_task(hold(scenario)) for scenario in scenarios]
        return [task.result() for task in held]

    @property
    def _embedded(self) -> ExtractiveBrain | None:
        """The embedded brain, if it is the only one; it can tell which records it found."""
        brains = self.engines.choices["brain"].vendors
        loaded = self.engines.loaded.get(brains[0].name)
        return loaded if len(brains) == 1 and isinstance(loaded, ExtractiveBrain) else None

    async def _hold(self, scenario: Scenario) -> Outcome:
        began = asyncio.get_running_loop().time()
        turns: list[TurnOutcome] = []
        rulings: list[Ruling] = []
        async with TextSession(self.engines, tariff=self.tariff) as session:
            for number, turn in enumerate(scenario.turns, 1):
                # A name is unique in its file only: three CVs are asked the same.
                item = f"{scenario.file} {scenario.name}#{number}".strip()
                outcome = await self._turn(session, turn, item, rulings)
                turns.append(outcome)
                if not outcome.passed and scenario.stop_on_failure:
                    break
        return Outcome(
            scenario,
            document=self.engines.document.title,
            brain=", ".join(vendor.name for vendor in self.engines.choices["brain"].vendors),
            turns=tuple(turns),
            rulings=tuple(rulings),
            secs=asyncio.get_running_loop().time() - began,
        )

    async def _turn(
        self, session: TextSession, turn: Turn, item: str, rulings: list[Ruling]
    ) -> TurnOutcome:
        history = session.conversation.history()
        findings: list[Finding] = []
        if turn.ask is None:
            greeting = Greeting(session.greeting)
            for expected in turn.expectations:
                findings += check(expected, greeting)
            return TurnOutcome(turn, None, session.greeting, tuple(findings))
        try:
            reply = await session.ask(turn.ask)
        except (NonconformanceError, ValueError) as error:
            return TurnOutcome(turn, None, "", (), lost=str(error))
        hint = ""
        if not reply.fault:
            for expected in turn.expectations:
                found = check(expected, reply)
                if not hint and not all(finding.passed for finding in found):
                    hint = self._lost(turn.ask, expected, reply, history)
                findings += [*found, *_in_time(expected, reply)]
            findings += await self._judged(turn, reply, item, rulings)
        return TurnOutcome(turn, reply, reply.text, tuple(findings), hint)

    def _lost(
        self, ask: str, expected: Expectation, reply: Reply, history: Sequence[Exchange]
    ) -> str:
        """Which step lost the answer, if the brain can tell."""
        if self._embedded is None or not expected.decision:
            return ""
        case = Case(ask, expected=expected)
        step = lost_at(case, reply, self._embedded, self.engines.document, history)
        return STEPS.get(step, "")

    async def _judged(
        self, turn: Turn, reply: Reply, item: str, rulings: list[Ruling]
    ) -> list[Finding]:
        """Have the judge rule on every criterion of a reply."""
        if self.judge is None:
            return []
        general = [CRITERIA[name] for name in self.criteria] if reply.decision == "respond" else []
        own = [
            Criterion(expected.criterion, expected.criterion)
            for expected in turn.expectations
            if expected.criterion
        ]
        judged = Judged(reply.question, reply.text, excerpts(self.engines, reply))
        findings = []
        for criterion in (*own, *general):
            try:
                verdict = await self.judge.verdict(criterion, judged)
            except JudgeError as error:
                findings.append(Finding(criterion.name, None, str(error)))
                continue
            rulings.append(Ruling(item, criterion.name, reply.question, reply.text, verdict))
            findings.append(Finding(criterion.name, verdict.passed, str(verdict)))
        return findings


@dataclass(frozen=True, slots=True)
class Greeting:
    """The greeting, in the form in which expectations are checked.

    Parameters:
        text: What it says.
    """

    text: str
    decision: str = "respond"
    reason: str = ""
    sections: tuple[str, ...] = ()


def excerpts(engines: Engines, reply: Reply) -> str:
    """The text of what a reply cites: sections of the document, and what tools gave."""
    document = engines.document
    known = set(document.section_ids)
    return "\n\n".join(
        [
            *(document.section(id).text for id in reply.sections if id in known),
            *(f"{given.title}\n{given.text}" for given in reply.record.looked_up),
        ]
    )


def _in_time(expected: Expectation, reply: Reply) -> list[Finding]:
    if expected.within_secs is None:
        return []
    return [
        Finding(
            f"a reply within {expected.within_secs:g} s",
            reply.secs <= expected.within_secs,
            f"it took {reply.secs:.1f} s",
        )
    ]
