"""Barge-in: how fast the voice is lowered and stops, and how often without cause."""

from collections.abc import Iterable, Sequence

from evals.scoring.matching import MatchedCall
from evals.scoring.metrics.floor import YIELD_SECS, stopped
from evals.scoring.metrics.metric import Metric, Sample, gathered, rate, sample, seconds

PAGE = "barge-in"

STOP_TARGET_SECS = 0.42
"""Time from the caller's onset to the end of the agent's voice that the design allows."""

CAUSE_SECS = 2.0
"""An utterance can cause an interruption up to this time after its end."""


def measure(calls: Sequence[MatchedCall]) -> list[Metric]:
    """Stop time, duck time and false interruptions."""
    return [
        seconds("stop_time", PAGE, gathered(calls, _stops), target=STOP_TARGET_SECS),
        seconds("duck_time", PAGE, gathered(calls, _ducks)),
        rate("false_interruptions", PAGE, gathered(calls, _cuts), better="lower"),
    ]


def _stops(call: MatchedCall) -> Iterable[Sample]:
    for heard in call.wanted():
        voice, start = heard.over, heard.truth.start
        if voice is not None and voice.cut and stopped(voice, start, YIELD_SECS):
            yield sample(
                call,
                voice.end - start,
                turn=voice.turn or None,
                utterance=heard.index,
                at=start,
                note=f"{heard.truth.text!r} over {voice.text!r}",
            )


def _ducks(call: MatchedCall) -> Iterable[Sample]:
    for heard in call.wanted():
        voice, start = heard.over, heard.truth.start
        if voice is None:
            continue
        lowered = [duck.start for duck in call.facts.ducks if start <= duck.start <= voice.end]
        if lowered:
            yield sample(
                call,
                lowered[0] - start,
                turn=voice.turn or None,
                utterance=heard.index,
                at=start,
                note=f"{heard.truth.text!r} over {voice.text!r}",
            )


def _cuts(call: MatchedCall) -> Iterable[Sample]:
    if call.truth is None:
        return
    for part, voice in enumerate(voice for voice in call.facts.voice if voice.cut):
        cause = [
            heard
            for heard in call.wanted()
            if heard.truth.start <= voice.end <= heard.truth.end + CAUSE_SECS
        ]
        yield sample(
            call,
            not cause,
            turn=voice.turn or None,
            utterance=cause[-1].index if cause else None,
            part=part,
            at=voice.end,
            note="" if cause else f"{voice.text!r} was cut, and nobody had asked for the floor",
        )
