"""One call in a report: its time line, and its turns with what is known of each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from conversation.wording import clean, split_heard
from evals.report import call_timeline_chart
from evals.report.clips import Clip, Place, bounded
from evals.report.waterfall import steps, waterfall
from evals.report.waveform import clip, data_uri
from evals.report.words import clock, dollars, seconds, verdict
from evals.scoring.facts import Facts, TurnFacts
from recording.recording import AGENT_RATE, CALLER_RATE, Recording

BEFORE_SECS, AFTER_SECS = 0.4, 0.6
"""What a clip has before the caller's first word, and after the agent's last."""

UNKNOWN_SECS = 3.0
"""How long a question or an answer is taken to be when nobody heard where it lies."""

THOUGHT_SECS = 2.0
"""A longer silence is none within a question."""

JITTER_SECS = 0.05
"""How far the end of a turn may lie behind the end of its speech."""

STAGES = (("stt", "hearing"), ("brain", "deciding"), ("tts", "speaking"))


@dataclass(frozen=True, slots=True)
class Behind:
    """One figure that a turn is behind.

    Parameters:
        anchor: Where the figure is in the page.
        title: What it is called.
        value: What this turn has brought to it, in words; may be empty.
        against: It is a failure there.
    """

    anchor: str
    title: str
    value: str
    against: bool = False


@dataclass(frozen=True, slots=True)
class Sounds:
    """Both voices of a call, read once.

    Parameters:
        caller: 16 kHz, mono PCM s16le.
        agent: 24 kHz, likewise, as it was played.
    """

    caller: bytes
    agent: bytes

    @classmethod
    def from_recording(cls, recording: Recording) -> "Sounds":
        """Those of a recording."""
        return cls(recording.caller_audio(), recording.agent_audio())

    def clip(self, wanted: Clip) -> str:
        """A stretch of both, as an address."""
        wav = clip(
            self.caller,
            self.agent,
            wanted.start,
            wanted.end,
            caller_rate=CALLER_RATE,
            agent_rate=AGENT_RATE,
        )
        return data_uri(wav)

    def course(
        self, facts: Facts, call: Mapping[str, Any], link: Callable[[int], str]
    ) -> call_timeline_chart.Course:
        """The call's time line.

        Args:
            facts: What happened in it.
            call: What ``scores.json`` says of it.
            link: Where a turn is in the page.
        """
        return call_timeline_chart.Course(
            secs=facts.seconds,
            caller=call_timeline_chart.Sound(self.caller, CALLER_RATE),
            agent=call_timeline_chart.Sound(self.agent, AGENT_RATE),
            utterances=_utterances(facts, call),
            detected=tuple(
                call_timeline_chart.Stretch(
                    stretch.start, stretch.end, "detected", "speech detected"
                )
                for stretch in facts.speech
            ),
            sentences=tuple(_sentences(facts)),
            ducks=tuple(
                call_timeline_chart.Stretch(duck.start, duck.end, "duck", "voice lowered")
                for duck in facts.ducks
            ),
            marks=tuple(sorted(_marks(facts, link), key=lambda mark: mark.at)),
        )


@dataclass(frozen=True, slots=True)
class TurnView:
    """One turn, as it is shown.

    Parameters:
        anchor: Where it is in the page.
        number: From 1.
        at: When its question was over.
        question: What the recogniser understood.
        truth: What was really said and how it should be decided; empty without truth.
        heard: What was heard of the answer.
        unheard: What was not.
        interrupted: The caller cut it short.
        withdrawn: The next turn contains it.
        decision: ``respond``, ``escalate``, or empty.
        verdict: The decision in words.
        looked_up: What tools gave of what it cites.
        failed: Checks that were not passed, in words.
        passed: Names of those that were.
        latency: To the first audible sample.
        waterfall: Its steps.
        costs: Each stage's name, vendor and cost.
        cost: All of it.
        troubles: Errors and vendors that took over.
        behind: Figures that it is behind.
        clip: Address of its sound; empty if that was left out, or was not asked for.
        clip_start: Where the clip begins, in seconds of the call.
        left_out: Its sound is evidence, but there was no room.
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
    behind: tuple[Behind, ...] = ()
    clip: str = ""
    clip_start: float = 0.0
    left_out: bool = False

    @property
    def name(self) -> str:
        """What it is called."""
        return f"turn {self.number}"

    @property
    def against(self) -> tuple[Behind, ...]:
        """Figures that it makes worse."""
        return tuple(behind for behind in self.behind if behind.against)

    @property
    def otherwise(self) -> tuple[Behind, ...]:
        """The other figures that it is behind."""
        return tuple(behind for behind in self.behind if not behind.against)


def turn_view(
    turn: TurnFacts,
    scored: Mapping[str, Any],
    *,
    anchor: str,
    scale_secs: float,
    behind: Sequence[Behind] = (),
) -> TurnView:
    """A turn as it is shown, without its sound.

    Args:
        turn: What happened.
        scored: What ``scores.json`` says of it.
        anchor: Where it is in the page.
        scale_secs: Of its waterfall.
        behind: Figures that it is behind.
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
            for check in checks
            if not check["passed"]
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


def turn_clip(facts: Facts, turn: TurnFacts, scored: Mapping[str, Any], place: Place) -> Clip:
    """What must be heard to judge a turn: its question, and its answer as far as it was played.

    Args:
        facts: What happened in its call.
        turn: The turn.
        scored: What ``scores.json`` says of it.
        place: Which it is.
    """
    begun: float | None = (scored.get("times") or {}).get("utterance_start")
    if begun is None:
        spoken = _question(facts, turn)
        begun = spoken[0] if spoken else turn.at - UNKNOWN_SECS
    start = begun - BEFORE_SECS
    end = max((voice.end for voice in turn.voice), default=turn.at + UNKNOWN_SECS) + AFTER_SECS
    return Clip(place, *bounded(max(0.0, start), min(end, facts.seconds)))


def turns_of(call: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
    """What ``scores.json`` says of each of a call's turns, by their numbers."""
    return {int(turn["number"]): turn for turn in call.get("turns") or ()}


def _question(facts: Facts, turn: TurnFacts) -> tuple[float, float] | None:
    """From a turn's first word to its last, going by when its caller was heard to speak."""
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
    told: list[str] = []
    text = clean(str(utterance.get("text") or ""))
    if text and text.casefold() != clean(turn.question).casefold():
        told.append(
            f"Really said: \N{LEFT DOUBLE QUOTATION MARK}{text}\N{RIGHT DOUBLE QUOTATION MARK}"
        )
    decision = utterance.get("decision")
    if decision and turn.decision and decision != turn.decision:
        told.append(
            "Should have been answered."
            if decision == "respond"
            else "Should have been handed to a person."
        )
    wanted: Sequence[str] = utterance.get("sections") or ()
    if wanted and decision == turn.decision == "respond" and not set(wanted) & set(turn.sections):
        told.append(f"A right answer cites {' or '.join(wanted)}.")
    if not utterance.get("takes_turn", True):
        told.append("It should not have been taken for a turn.")
    return tuple(told)


def _utterances(facts: Facts, call: Mapping[str, Any]) -> tuple[call_timeline_chart.Stretch, ...]:
    truth: Sequence[Mapping[str, Any]] = call.get("utterances") or ()
    if truth:
        return tuple(
            call_timeline_chart.Stretch(
                float(utterance["start"]),
                float(utterance["end"]),
                str(utterance["kind"]),
                clean(str(utterance.get("text") or "")) or f"({utterance['kind']})",
            )
            for utterance in truth
        )
    spoken = ((turn, _question(facts, turn)) for turn in facts.turns)
    return tuple(
        call_timeline_chart.Stretch(*span, "question", clean(turn.question))
        for turn, span in spoken
        if span is not None
    )


def _sentences(facts: Facts) -> Iterator[call_timeline_chart.Stretch]:
    """What the agent said, each sentence as far as it was heard."""
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
            yield call_timeline_chart.Stretch(
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
