"""τ-voice's metrics: responsiveness, yielding, interrupting and selectivity."""

from collections.abc import Iterable, Sequence

from evals.scoring.facts import Voice
from evals.scoring.matching import RESPONSE_SECS, Heard, MatchedCall
from evals.scoring.metrics.metric import Metric, Sample, gathered, rate, sample, seconds
from processors.turns.processor import PHRASES

PAGE = "floor"

YIELD_SECS = 2.0
"""An agent that continues for longer has not yielded."""

IGNORE_SECS = 1.0
"""An agent that continues for this long after a sound's start and its end has ignored it."""

YIELD_TARGET = 0.95
BACKCHANNEL_TARGET = 0.90
"""The rates that the project aims at, on people; the paper sets none."""


def measure(calls: Sequence[MatchedCall]) -> list[Metric]:
    """Response rate, yield rate, interruption rate, and rates of ignored sounds."""
    return [
        rate("response_rate", PAGE, gathered(calls, _responses), better="higher"),
        seconds("response_latency", PAGE, gathered(calls, _response_latencies)),
        rate("yield_rate", PAGE, gathered(calls, _yields), better="higher", target=YIELD_TARGET),
        seconds("yield_latency", PAGE, gathered(calls, _yield_latencies)),
        Metric(
            "agent_interruption_rate", "per turn", "lower", PAGE, gathered(calls, _interrupting)
        ),
        rate(
            "backchannel_selectivity",
            PAGE,
            gathered(calls, lambda call: _ignored(call, "backchannel")),
            better="higher",
            target=BACKCHANNEL_TARGET,
        ),
        rate(
            "noise_selectivity",
            PAGE,
            gathered(calls, lambda call: _ignored(call, "noise")),
            better="higher",
        ),
        rate(
            "background_selectivity",
            PAGE,
            gathered(calls, lambda call: _ignored(call, "background")),
            better="higher",
        ),
    ]


def stopped(voice: Voice, start: float, within: float) -> bool:
    """Whether a voice ended within a time after a moment at which it was heard."""
    return voice.end - start <= within


def _responses(call: MatchedCall) -> Iterable[Sample]:
    for heard, began in _answered(call):
        yield _sample(
            call,
            heard,
            began is not None,
            at=heard.truth.end,
            note="" if began is not None else f"{heard.truth.text!r} was not answered",
        )


def _response_latencies(call: MatchedCall) -> Iterable[Sample]:
    for heard, began in _answered(call):
        if began is not None:
            wait = began - heard.truth.end
            yield _sample(call, heard, wait, at=heard.truth.end, note=heard.truth.text)


def _answered(call: MatchedCall) -> Iterable[tuple[Heard, float | None]]:
    """Each utterance to answer, with when the agent first spoke after it, before the caller did.

    Utterances at whose end the agent is still speaking are left out.
    """
    for heard in call.wanted():
        end = heard.truth.end
        if call.facts.holding(end) is not None or not call.had_a_chance(heard):
            continue
        until = call.after(heard)
        began = [voice.start for voice in call.facts.voice if end <= voice.start < until]
        yield heard, began[0] if began else None


def _yields(call: MatchedCall) -> Iterable[Sample]:
    for heard in call.wanted():
        if heard.over is not None:
            gave_way = stopped(heard.over, heard.truth.start, YIELD_SECS)
            after = heard.over.end - heard.truth.start
            yield _sample(
                call, heard, gave_way, note=f"the voice ended {after:.2f} s after {_what(heard)}"
            )


def _yield_latencies(call: MatchedCall) -> Iterable[Sample]:
    for heard in call.wanted():
        if heard.over is not None and stopped(heard.over, heard.truth.start, YIELD_SECS):
            yield _sample(call, heard, heard.over.end - heard.truth.start, note=_what(heard))


def _interrupting(call: MatchedCall) -> Iterable[Sample]:
    for heard in call.wanted():
        began = [
            voice
            for voice in call.facts.voice
            for stretch in heard.speech
            if stretch.start < voice.start < stretch.end
        ]
        note = f"{began[0].text!r} was begun during {_what(heard)}" if began else ""
        yield _sample(call, heard, len(began), note=note)


def _ignored(call: MatchedCall, kind: str) -> Iterable[Sample]:
    for heard in call.heard:
        if heard.truth.kind != kind or heard.truth.takes_turn:
            continue
        if heard.over is not None:
            trouble = _gave_way(call, heard, heard.over)
        elif kind == "backchannel":
            continue  # A backchannel is one only while the agent speaks.
        else:
            trouble = _reacted(call, heard)
        yield _sample(call, heard, not trouble, note=trouble)


def _gave_way(call: MatchedCall, heard: Heard, voice: Voice) -> str:
    """How the voice yielded to a sound that it should have ignored; empty if it did not."""
    asked = any(heard.truth.start < other.truth.start <= voice.end for other in call.wanted())
    if voice.cut and voice.end <= heard.truth.end + IGNORE_SECS and not asked:
        return f"{_what(heard)} cut the voice after {voice.end - heard.truth.start:.2f} s"
    return ""


def _reacted(call: MatchedCall, heard: Heard) -> str:
    """How the silent agent reacted to a sound that it should have ignored; empty if not."""
    mine = {turn.number for turn in heard.turns}
    for voice in call.facts.voice:
        within = heard.truth.start <= voice.start <= heard.truth.end + RESPONSE_SECS
        if within and (
            voice.turn in mine or (voice.turn == 0 and PHRASES["not_heard"] in voice.text)
        ):
            return f"{_what(heard)} was answered with {voice.text!r}"
    return ""


def _what(heard: Heard) -> str:
    return repr(heard.truth.text) if heard.truth.text else f"a {heard.truth.kind}"


def _sample(
    call: MatchedCall, heard: Heard, value: float, *, at: float | None = None, note: str = ""
) -> Sample:
    turn = heard.answer or (heard.turns[-1] if heard.turns else None)
    return sample(
        call,
        value,
        turn=turn.number if turn else None,
        utterance=heard.index,
        at=heard.truth.start if at is None else at,
        note=note,
    )
