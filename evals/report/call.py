"""One call in a report: its time line and its turns."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from conversation.wording import clean, failed_checks, split_heard
from evals.report import call_timeline_chart
from evals.report.clips import Clip, TurnKey, bounded
from evals.report.waterfall import steps, waterfall
from evals.report.waveform import clip, data_uri
from evals.report.words import clock, dollars, seconds, verdict
from evals.scoring.facts import Facts, TurnFacts
from recording.recording import AGENT_RATE, CALLER_RATE, Recording

BEFORE_SECS, AFTER_SECS = 0.4, 0.6
"""What a clip includes before the caller's first word, and after the agent's last."""

UNKNOWN_SECS = 3.0
"""Assumed length of a question or answer whose place in the recording is unknown."""

THOUGHT_SECS = 2.0
"""Longest silence within one question."""

JITTER_SECS = 0.05
"""Tolerance between the end of a turn and the end of its speech."""

STAGES = (("stt", "hearing"), ("brain", "deciding"), ("tts", "speaking"))
"""The stages whose vendors are named, and what the page calls them."""


@dataclass(frozen=True, slots=True)
class FigureLink:
    """A figure that a turn contributes to.

    Parameters:
        anchor: The figure's anchor in the page.
        title: Its title.
        value: The turn's contribution, as text; may be empty.
        against: Whether the turn counts as a failure.
    """

    anchor: str
    title: str
    value: str
    against: bool = False


@dataclass(frozen=True, slots=True)
class CallAudio:
    """Both voices of a call, 16-bit mono PCM.

    Parameters:
        caller: The caller, at 16 kHz.
        agent: The agent as it was played, at 24 kHz.
    """

    caller: bytes
    agent: bytes

    @classmethod
    def from_recording(cls, recording: Recording) -> "CallAudio":
        """Read both voices from a recording."""
        return cls(recording.caller_audio(), recording.agent_audio())

    def clip(self, wanted: Clip) -> str:
        """A clip of both voices as a ``data:`` URI."""
        wav = clip(
            self.caller,
            self.agent,
            wanted.start,
            wanted.end,
            caller_rate=CALLER_RATE,
            agent_rate=AGENT_RATE,
        )
        return data_uri(wav)

    def timeline(
        self, facts: Facts, call: Mapping[str, Any], link: Callable[[int], str]
    ) -> call_timeline_chart.CallTimeline:
        """The call's time line.

        Args:
            facts: The call's facts.
            call: The call's entry in ``scores.json``.
            link: Gives a turn's link within the page.
        """
        return call_timeline_chart.CallTimeline(
            secs=facts.seconds,
            caller=call_timeline_chart.VoiceTrack(self.caller, CALLER_RATE),
            agent=call_timeline_chart.VoiceTrack(self.agent, AGENT_RATE),
            utterances=_utterances(facts, call),
            detected=tuple(
                call_timeline_chart.Segment(
                    stretch.start, stretch.end, "detected", "speech detected"
                )
                for stretch in facts.speech
            ),
            sentences=tuple(_sentences(facts)),
            ducks=tuple(
                call_timeline_chart.Segment(duck.start, duck.end, "duck", "voice lowered")
                for duck in facts.ducks
            ),
            marks=tuple(sorted(_marks(facts, link), key=lambda mark: mark.at)),
        )


@dataclass(frozen=True, slots=True)
class TurnView:
    """One turn as the page shows it.

    Parameters:
        anchor: Its anchor in the page.
        number: Its number, from 1.
        at: When its question ended, as a time of the call.
        question: What the recogniser understood.
        truth: What the caller really said and wanted, where the truth differs; a line each.
        heard: The part of the answer that was heard.
        unheard: The rest of the answer.
        interrupted: Whether the caller interrupted it.
        withdrawn: Whether the next turn contains it.
        decision: ``respond``, ``escalate``, or empty.
        verdict: The decision, as text.
        looked_up: Results of tools that the answer cites.
        failed: The failed checks, as text.
        passed: Names of passed checks.
        latency: The time to the first audible sample.
        waterfall: The chart of its delays.
        costs: The name, vendor and cost of each stage.
        cost: The total cost.
        troubles: Errors, and vendors that took over.
        behind: Figures that it contributes to.
        clip: The clip's ``data:`` URI; empty without one.
        clip_start: Where the clip starts, in seconds of the call.
        left_out: Whether its clip was left out for want of space.
    """

    anchor: str
    number: int
    at: str
    question: str
    truth: tuple[str, ...]
    heard: str
    unheard: str
    interrupted: bool
    withdrawn: bool
    decision: str
    verdict: str
    looked_up: tuple[str, ...]
    failed: tuple[str, ...]
    passed: tuple[str, ...]
    latency: str
    waterfall: Markup
    costs: tuple[tuple[str, str, str], ...]
    cost: str
    troubles: tuple[str, ...]
    behind: tuple[FigureLink, ...] = ()
    clip: str = ""
    clip_start: float = 0.0
    left_out: bool = False

    @property
    def name(self) -> str:
        """The clip's label."""
        return f"turn {self.number}"

    @property
    def against(self) -> tuple[FigureLink, ...]:
        """Figures in which it counts as a failure."""
        return tuple(behind for behind in self.behind if behind.against)

    @property
    def otherwise(self) -> tuple[FigureLink, ...]:
        """The other figures that it contributes to."""
        return tuple(behind for behind in self.behind if not behind.against)


def turn_view(
    turn: TurnFacts,
    scored: Mapping[str, Any],
    *,
    anchor: str,
    scale_secs: float,
    behind: Sequence[FigureLink] = (),
) -> TurnView:
    """Make the view of a turn, without its clip.

    Args:
        turn: The turn's facts.
        scored: Its entry in ``scores.json``.
        anchor: Its anchor in the page.
        scale_secs: The width of its waterfall, in seconds.
        behind: Figures that it contributes to.
    """
    record = turn.record
    heard, unheard = split_heard(record.get("answer") or "", record.get("heard_text") or "")
    checks: Sequence[Mapping[str, Any]] = record.get("checks") or ()
    cost: Mapping[str, int] = record.get("cost") or {}
    vendors: Mapping[str, str] = record.get("vendors") or {}
    models: Mapping[str, str] = record.get("models") or {}
    return TurnView(
        anchor=anchor,
        number=turn.number,
        at=clock(turn.at),
        question=clean(turn.question),
        truth=_truth(turn, scored),
        heard=heard,
        unheard=unheard,
        interrupted=bool(record.get("interrupted")),
        withdrawn=turn.withdrawn,
        decision=turn.decision or "",
        verdict=verdict(record),
        looked_up=tuple(clean(given.text) for given in turn.looked_up),
        failed=tuple(
            f"{check['name']}: {check.get('detail') or 'not passed'}"
            for check in failed_checks(checks)
        ),
        passed=tuple(str(check["name"]) for check in checks if check["passed"]),
        latency=seconds(turn.seconds("e2e_latency")),
        waterfall=waterfall(steps(record), scale_secs),
        costs=tuple(
            (name, " ".join(filter(None, (vendors.get(stage), models.get(stage)))), dollars(spent))
            for stage, name in STAGES
            if (spent := cost.get(stage, 0)) or vendors.get(stage)
        ),
        cost=dollars(turn.micros),
        troubles=(
            *(clean(error) for error in record.get("errors") or ()),
            *(
                f"{failover['vendor']} took over from {failover['failed']}"
                for failover in record.get("failovers") or ()
            ),
        ),
        behind=tuple(behind),
    )


def turn_clip(facts: Facts, turn: TurnFacts, scored: Mapping[str, Any], place: TurnKey) -> Clip:
    """The clip that lets one judge a turn: its question, and its answer as far as it was played.

    Args:
        facts: The call's facts.
        turn: The turn's facts.
        scored: The turn's entry in ``scores.json``.
        place: The turn's key.
    """
    begun: float | None = (scored.get("times") or {}).get("utterance_start")
    if begun is None:
        spoken = _question(facts, turn)
        begun = spoken[0] if spoken else turn.at - UNKNOWN_SECS
    start = begun - BEFORE_SECS
    end = max((voice.end for voice in turn.voice), default=turn.at + UNKNOWN_SECS) + AFTER_SECS
    return Clip(place, *bounded(max(0.0, start), min(end, facts.seconds)))


def turns_of(call: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
    """The entries of a call's turns in ``scores.json``, by turn number."""
    return {int(turn["number"]): turn for turn in call.get("turns") or ()}


def _question(facts: Facts, turn: TurnFacts) -> tuple[float, float] | None:
    """Start and end of a turn's question, from voice activity."""
    before = max(
        (earlier.at for earlier in facts.turns if earlier.number < turn.number), default=-1.0
    )
    span: tuple[float, float] | None = None
    for stretch in reversed(facts.speech):
        if not before + JITTER_SECS < stretch.end <= turn.at + BEFORE_SECS:
            continue
        if span is not None and span[0] - stretch.end > THOUGHT_SECS:
            break
        span = (stretch.start, span[1] if span is not None else stretch.end)
    return span


def _truth(turn: TurnFacts, scored: Mapping[str, Any]) -> tuple[str, ...]:
    utterance: Mapping[str, Any] | None = scored.get("truth")
    if not utterance:
        return ()
    lines: list[str] = []
    text = clean(str(utterance.get("text") or ""))
    if text and text.casefold() != clean(turn.question).casefold():
        lines.append(
            f"Actually said: \N{LEFT DOUBLE QUOTATION MARK}{text}\N{RIGHT DOUBLE QUOTATION MARK}"
        )
    decision = utterance.get("decision")
    if decision and turn.decision and decision != turn.decision:
        lines.append(
            "Should have been answered."
            if decision == "respond"
            else "Should have been handed to a person."
        )
    wanted: Sequence[str] = utterance.get("sections") or ()
    if wanted and decision == turn.decision == "respond" and not set(wanted) & set(turn.sections):
        lines.append(f"A right answer cites {' or '.join(wanted)}.")
    if not utterance.get("takes_turn", True):
        lines.append("This was not a turn to answer.")
    return tuple(lines)


def _utterances(facts: Facts, call: Mapping[str, Any]) -> tuple[call_timeline_chart.Segment, ...]:
    truth: Sequence[Mapping[str, Any]] = call.get("utterances") or ()
    if truth:
        return tuple(
            call_timeline_chart.Segment(
                float(utterance["start"]),
                float(utterance["end"]),
                str(utterance["kind"]),
                clean(str(utterance.get("text") or "")) or f"({utterance['kind']})",
            )
            for utterance in truth
        )
    spoken = ((turn, _question(facts, turn)) for turn in facts.turns)
    return tuple(
        call_timeline_chart.Segment(*span, "question", clean(turn.question))
        for turn, span in spoken
        if span is not None
    )


def _sentences(facts: Facts) -> Iterator[call_timeline_chart.Segment]:
    """The agent's sentences, as far as they were heard."""
    left = {
        turn.number: len(str(turn.record.get("heard_text") or "").split()) for turn in facts.turns
    }
    for sentence in facts.sentences:
        words = sentence.text.split()
        heard = min(len(words), left.get(sentence.turn, sentence.words))
        if sentence.turn in left:
            left[sentence.turn] -= heard
        if sentence.audible:
            text = (
                sentence.text if heard == len(words) else f"{' '.join(words[:heard])} \N{EM DASH}"
            )
            kind = "sentence" if sentence.turn else "prompt"
            yield call_timeline_chart.Segment(
                sentence.audible[0].start, sentence.audible[-1].end, kind, clean(text)
            )


def _marks(facts: Facts, link: Callable[[int], str]) -> list[call_timeline_chart.Mark]:
    ends = [
        call_timeline_chart.Mark(
            turn.at + (turn.seconds("end_of_turn_delay") or 0.0),
            "turn",
            str(turn.number),
            link(turn.number),
        )
        for turn in facts.turns
    ]
    return [
        *ends,
        *(call_timeline_chart.Mark(voice.end, "cut", "") for voice in facts.voice if voice.cut),
    ]
