"""Full-Duplex-Bench: whether the agent takes the turn when it should, and only then.

A takeover is a voice of at least a second or more than three words (Full-Duplex-Bench v1).
"""

from collections.abc import Iterable, Sequence

from evals.scoring.intervals import Interval
from evals.scoring.matching import Heard, MatchedCall, taken_over
from evals.scoring.metrics.metric import Metric, Sample, gathered, rate, sample, seconds

PAGE = "takeover"

PAUSE_TARGET = 0.12
SMOOTH_TARGET = 0.99
"""The rates that the project aims at: at most of pauses, at least of ends of turns."""


def measure(calls: Sequence[MatchedCall]) -> list[Metric]:
    """Takeover rates in its four situations, and latencies in the two where it is wanted."""
    smooth = gathered(calls, lambda call: _taken(call, over=False))
    interrupted = gathered(calls, lambda call: _taken(call, over=True))
    return [
        rate("pause_takeover", PAGE, gathered(calls, _pauses), better="lower", target=PAUSE_TARGET),
        rate("backchannel_takeover", PAGE, gathered(calls, _backchannels), better="lower"),
        rate("smooth_takeover", PAGE, smooth, better="higher", target=SMOOTH_TARGET),
        seconds("smooth_latency", PAGE, gathered(calls, lambda call: _waits(call, over=False))),
        rate("interruption_takeover", PAGE, interrupted, better="higher"),
        seconds(
            "interruption_latency", PAGE, gathered(calls, lambda call: _waits(call, over=True))
        ),
    ]


def _pauses(call: MatchedCall) -> Iterable[Sample]:
    for heard in call.wanted():
        truth = heard.truth
        for part, pause in enumerate(truth.pauses):
            # A voice that begins before the next pause is attributed to this one.
            later = truth.pauses[part + 1 :]
            until = later[0].start if later else truth.end
            began = [voice for voice in call.facts.voice if pause.start <= voice.start < until]
            yield sample(
                call,
                taken_over(began),
                turn=heard.turns[0].number if heard.turns else None,
                utterance=heard.index,
                part=part,
                at=pause.start,
                note=f"took over with {began[0].text!r}" if began else "",
            )


def _backchannels(call: MatchedCall) -> Iterable[Sample]:
    for heard in call.heard:
        if heard.truth.kind == "backchannel" and not heard.truth.takes_turn:
            voices = [voice for turn in heard.turns for voice in turn.voice]
            yield sample(
                call,
                taken_over(voices),
                turn=heard.turns[-1].number if heard.turns else None,
                utterance=heard.index,
                at=heard.truth.start,
                note=f"answered {heard.truth.text!r} with {voices[0].text!r}" if voices else "",
            )


def _situations(call: MatchedCall, *, over: bool) -> Iterable[Heard]:
    for heard in call.wanted():
        if (heard.over is not None) == over and call.had_a_chance(heard):
            yield heard


def _answered(call: MatchedCall, heard: Heard) -> Interval | None:
    """When the answer was heard, if it took the turn before the caller spoke again."""
    answer = heard.answer
    voices = [voice for voice in answer.voice if voice.start < call.after(heard)] if answer else []
    brief = heard.truth.kind == "courtesy"  # "You're welcome." is all there is to say.
    if not voices or not (brief or taken_over(voices)):
        return None
    return Interval(voices[0].start, voices[-1].end)


def _taken(call: MatchedCall, *, over: bool) -> Iterable[Sample]:
    for heard in _situations(call, over=over):
        found = _answered(call, heard)
        yield sample(
            call,
            found is not None,
            turn=heard.answer.number if heard.answer else None,
            utterance=heard.index,
            at=heard.truth.end,
            note="" if found else f"{heard.truth.text!r} was not answered",
        )


def _waits(call: MatchedCall, *, over: bool) -> Iterable[Sample]:
    for heard in _situations(call, over=over):
        found = _answered(call, heard)
        if found is not None:
            yield sample(
                call,
                max(0.0, found.start - heard.truth.end),
                turn=heard.answer.number if heard.answer else None,
                utterance=heard.index,
                at=heard.truth.end,
                note=heard.truth.text,
            )
