"""EVA's turn-taking score: whether each turn was taken at the right time.

ServiceNow's EVA computes a score from 0 to 1 without a judge: an ordinary turn by its latency, one
that the agent interrupted by how long it talked over the caller, one that the caller interrupted by
how fast the agent yielded.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from evals.scoring.facts import Voice
from evals.scoring.intervals import overlap
from evals.scoring.matching import Heard, MatchedCall, spoken_over
from evals.scoring.metrics.metric import Metric, Sample, gathered, sample, seconds

PAGE = "eva-turn-taking"

# The score's published bounds: by its latency, an ordinary turn scores 1 between the sweet ones and
# 0 beyond the hard ones; talk over the other falls to 0 at its own.
HARD_EARLY_SECS = -0.5
SWEET_FROM_SECS = 0.5
SWEET_UNTIL_SECS = 2.0
HARD_LATE_SECS = 3.5
OVERLAP_HARD_SECS = 2.0
YIELD_HARD_SECS = 2.0
INTERRUPTER_MOST = 0.5
"""Maximum score of a turn in which the agent interrupted the caller."""

INTERRUPTIONS_HARD = 3
EARLY_SECS = 0.2
LATE_SECS = 2.75


@dataclass(frozen=True, slots=True)
class _Scored:
    heard: Heard
    score: float
    latency: float | None = None
    yielded: float | None = None
    overlapped: float | None = None
    note: str = ""


def measure(calls: Sequence[MatchedCall]) -> list[Metric]:
    """The score and its components."""

    def scores(call: MatchedCall) -> Iterable[Sample]:
        missed = _missed_the_last(call)
        for scored in _scored(call):
            note = "the last turn was never answered" if missed else scored.note
            yield _sample(call, scored, 0.0 if missed else scored.score, note)

    def yields(call: MatchedCall) -> Iterable[Sample]:
        return (
            _sample(call, scored, scored.yielded, scored.note)
            for scored in _scored(call)
            if scored.yielded is not None
        )

    def on_time(call: MatchedCall) -> Iterable[Sample]:
        return (
            _sample(
                call, scored, EARLY_SECS <= scored.latency < LATE_SECS, f"{scored.latency:.2f} s"
            )
            for scored in _scored(call)
            if scored.latency is not None
        )

    def interrupts(call: MatchedCall) -> Iterable[Sample]:
        return (
            _sample(call, scored, scored.overlapped is not None, scored.note)
            for scored in _scored(call)
        )

    yielded = gathered(calls, yields)
    return [
        Metric("eva_turn_taking", "score", "higher", PAGE, gathered(calls, scores)),
        seconds("eva_yield_time", PAGE, yielded),
        Metric(
            "eva_yield_score",
            "score",
            "higher",
            PAGE,
            tuple(replace(sample, value=yield_score(sample.value)) for sample in yielded),
        ),
        Metric("eva_on_time", "ratio", "higher", PAGE, gathered(calls, on_time), binary=True),
        Metric(
            "eva_agent_interrupts", "ratio", "lower", PAGE, gathered(calls, interrupts), binary=True
        ),
    ]


def latency_score(secs: float) -> float:
    """1 from 0.5 to 2.0 s, falling to 0 at -0.5 and at 3.5 s."""
    if secs < SWEET_FROM_SECS:
        return _clamped((secs - HARD_EARLY_SECS) / (SWEET_FROM_SECS - HARD_EARLY_SECS))
    return _clamped((HARD_LATE_SECS - secs) / (HARD_LATE_SECS - SWEET_UNTIL_SECS))


def overlap_score(secs: float) -> float:
    """0.5 for an interruption without overlap, falling to 0 at 2 s of overlap."""
    return INTERRUPTER_MOST * _clamped(1 - secs / OVERLAP_HARD_SECS)


def count_score(interruptions: int) -> float:
    """0.5 for one interruption of a turn, 0.25 for two, 0 for three or more."""
    return INTERRUPTER_MOST * _clamped(1 - (interruptions - 1) / (INTERRUPTIONS_HARD - 1))


def yield_score(secs: float) -> float:
    """1 for an agent that yields at once, falling to 0 at 2 s."""
    return _clamped(1 - secs / YIELD_HARD_SECS)


def _clamped(share: float) -> float:
    return min(1.0, max(0.0, share))


def _sample(call: MatchedCall, scored: _Scored, value: float, note: str) -> Sample:
    answer = scored.heard.answer
    return sample(
        call,
        value,
        turn=answer.number if answer else None,
        utterance=scored.heard.index,
        at=scored.heard.truth.start,
        note=note,
    )


def _scored(call: MatchedCall) -> Iterable[_Scored]:
    """Every turn in which both caller and agent were audible."""
    for heard in call.wanted():
        answer = heard.answer
        if answer is None or answer.begins is None:
            continue
        barged = _barged(call, heard)
        scores: list[float] = []
        overlapped = yielded = latency = None
        notes: list[str] = []
        if barged:
            overlapped = overlap(spoken_over(call, heard), [voice.span for voice in barged])
            scores += [overlap_score(overlapped), count_score(len(barged))]
            settled = _settled(call, heard)
            if settled is not None:
                scores.append(latency_score(settled))
            notes.append(f"the agent interrupted, {overlapped:.2f} s of overlap")
        if heard.over is not None:
            yielded = max(0.0, heard.over.end - heard.truth.start)
            scores.append(yield_score(yielded))
            notes.append(f"the agent yielded after {yielded:.2f} s")
        if not scores:
            latency = answer.begins - heard.truth.end
            scores.append(latency_score(latency))
            notes.append(f"answered after {latency:.2f} s")
        yield _Scored(heard, min(scores), latency, yielded, overlapped, "; ".join(notes))


def _barged(call: MatchedCall, heard: Heard) -> list[Voice]:
    """Voices that began before the caller had finished."""
    truth = heard.truth
    return [voice for voice in call.facts.voice if truth.start < voice.start < truth.end]


def _settled(call: MatchedCall, heard: Heard) -> float | None:
    """Time from the caller's end to the next voice that began, if any."""
    end = heard.truth.end
    if call.facts.holding(end) is not None:
        return None
    following = [
        voice.start for voice in call.facts.voice if end <= voice.start < call.after(heard)
    ]
    return following[0] - end if following else None


def _missed_the_last(call: MatchedCall) -> bool:
    """Whether the call ended by silence after the caller had spoken last."""
    wanted = call.wanted()
    if call.facts.reason != "silence" or not wanted:
        return False
    answer = wanted[-1].answer
    return answer is None or answer.begins is None
