"""Drafts the truth of recorded calls from voice activity and transcripts, for a person to correct.

Times come from voice activity detection, and the words are what the recogniser understood: the
mistakes of both are in the draft. The agent's decisions are in comments only, so that an unread
draft makes none of them right, unless the caller said that it was.
"""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from evals.scoring.facts import Facts, TurnFacts
from evals.scoring.intervals import Interval
from evals.scoring.matching import JITTER_SECS

HEAD = """\
# A draft: times are voice activity's, words the recogniser's. Correct them, and say what is right:
# kind, decision, sections and says (docs/metrics/README.md).
"""


Verdicts = Mapping[tuple[str, int], bool]
"""What callers said of answers, by call and turn: whether they were right."""

PLAYED_HEAD = """\
# What viva call said. Say what is right: decision, sections and says (docs/metrics/README.md).
"""


@dataclass(frozen=True, slots=True)
class Played:
    """Speech that was played to a call.

    Parameters:
        text: Its words.
        span: From its first word to its last, in seconds of the call.
        over: Whether it was begun over the agent's voice.
        source: The file that was played.
        understood: Whether ``text`` is only what was understood.
    """

    text: str
    span: tuple[float, float]
    over: bool
    source: str
    understood: bool


def played(call: str, said: Sequence[Played]) -> str:
    """The truth of a call that a program made, in TOML: it knows what it said, and when.

    Args:
        call: The call's id, after which its recording is named.
        said: What it said.
    """
    lines = ["[[call]]", f"file = {_text(f'{call}.mcap')}"]
    for one in said:
        kind = "bargein" if one.over else "question"
        lines += _utterance(kind, one.text, [Interval(*one.span)], over=one.over)
        lines.append(f"  # {_text(one.source)} was played")
        if one.understood:
            lines.append("  # text is what was understood; there is no text file beside the sound")
        if not one.text.strip():
            lines.append("  takes_turn = false")
        lines.append('  decision = ""')
    return "\n".join([PLAYED_HEAD, *lines]) + "\n"


def draft(calls: Sequence[Facts], verdicts: Verdicts | None = None) -> str:
    """A truth file, in TOML, with an utterance a stretch of the caller's speech.

    Args:
        calls: The calls.
        verdicts: A decision that its caller found right is taken for the right one.
    """
    told = verdicts or {}
    return "\n".join([HEAD, *("\n".join(_call(facts, told)) + "\n" for facts in calls)])


def _call(facts: Facts, verdicts: Verdicts) -> Iterator[str]:
    yield "[[call]]"
    yield f"file = {_text(facts.name)}"
    left = list(facts.speech)
    for turn in facts.turns:
        if turn.withdrawn:  # the next turn contains it
            continue
        until = turn.at + JITTER_SECS
        mine = [stretch for stretch in left if stretch.start < until]
        left = left[len(mine) :]
        *others, asked = _joined(mine, facts) or [[]]
        for stretches in others:
            yield from _aside(stretches, facts)
        if asked:
            verdict = verdicts.get((facts.call, turn.number))
            yield from _question(asked, turn, facts, verdict)
    for stretches in _joined(left, facts):
        yield from _aside(stretches, facts)


def _joined(stretches: Sequence[Interval], facts: Facts) -> list[list[Interval]]:
    """Stretches by utterance: one goes on until the agent speaks."""
    found: list[list[Interval]] = []
    for stretch in stretches:
        before = found[-1][-1].end if found else 0.0
        answered = any(
            voice.start < stretch.start and voice.end > before + JITTER_SECS
            for voice in facts.voice
        )
        if found and not answered:
            found[-1].append(stretch)
        else:
            found.append([stretch])
    return found


def _question(
    stretches: Sequence[Interval], turn: TurnFacts, facts: Facts, verdict: bool | None
) -> Iterator[str]:
    over = facts.holding(stretches[0].start) is not None
    yield from _utterance("bargein" if over else "question", turn.question, stretches, over=over)
    if not turn.question.strip():
        yield "  takes_turn = false"
    cited = f", citing {', '.join(turn.sections)}" if turn.sections else ""
    yield f"  # the agent did {turn.decision or 'nothing'}{cited}"
    if verdict is None:
        yield '  decision = ""'
    elif verdict:
        yield "  # the caller said that this was right"
        yield f"  decision = {_text(turn.decision or '')}"
        if turn.sections:
            yield f"  sections = [{', '.join(map(_text, turn.sections))}]"
    else:
        yield "  # the caller said that this was not right"
        yield '  decision = ""'


def _aside(stretches: Sequence[Interval], facts: Facts) -> Iterator[str]:
    """Speech that made no turn: talk over the agent, or a noise."""
    over = facts.holding(stretches[0].start) is not None
    yield from _utterance("backchannel" if over else "noise", "", stretches, over=over)


def _utterance(kind: str, text: str, stretches: Sequence[Interval], *, over: bool) -> Iterator[str]:
    yield ""
    yield "  [[call.utterance]]"
    yield f"  kind = {_text(kind)}"
    yield f"  text = {_text(text)}"
    yield f"  start = {stretches[0].start:.3f}"
    yield f"  end = {stretches[-1].end:.3f}"
    pauses = [
        f"[{before.end:.3f}, {after.start:.3f}]" for before, after in itertools.pairwise(stretches)
    ]
    if pauses:
        yield f"  pauses = [{', '.join(pauses)}]"
    if over:
        yield "  over_agent = true"


def _text(text: str) -> str:
    """A text as a string of TOML."""
    return json.dumps(text).replace("\x7f", "\\u007f")
