"""Charts of the delays between a caller's last word and the first sound of the answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from evals.report.plots import Scale, picture, ticks

DELAYS = (
    ("transcription_delay", "transcript"),
    ("end_of_turn_delay", "end of turn"),
    ("llm_ttft", "first token"),
    ("llm_ttfs", "first sentence"),
    ("tts_ttfb", "first audio"),
    ("e2e_latency", "audible"),
)
"""A turn's delays: the field of its record, and the event at the delay's end."""

WIDTH, ROW, LEFT, RIGHT = 400, 20, 98, 336
"""A turn's chart, in pixels: its width, the height of a step, and where the bars begin and end; the
steps' names stand before them, their times behind."""

PROFILE_WIDTH, PROFILE_HEIGHT, MOST_ROW = 1000, 420, 9
"""The chart of all turns, in pixels: its width, maximum height, and maximum height of a turn."""

LEAST_PARTED = 4
"""Minimum line height for gaps between lines; between thinner lines gaps would look grey."""

MOST_TICKS = 5
"""Maximum number of ticks on a turn's time axis."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a turn.

    Parameters:
        name: The event at its end.
        stage: ``hearing``, ``waiting``, ``deciding``, ``speaking`` or ``travelling``.
        start: Seconds after the caller's last word.
        end: Seconds after the caller's last word.
    """

    name: str
    stage: str
    start: float
    end: float

    @property
    def secs(self) -> float:
        """Its length in seconds."""
        return self.end - self.start


def steps(turn: Mapping[str, Any]) -> tuple[Step, ...]:
    """The steps of a turn's record, as far as it got."""
    ended = turn.get("end_of_turn_delay")
    sentence = _after(ended, turn.get("llm_ttfs"))
    reached = (
        ("transcript", "hearing", turn.get("transcription_delay")),
        ("end of turn", "waiting", ended),
        ("first token", "deciding", _after(ended, turn.get("llm_ttft"))),
        ("first sentence", "deciding", sentence),
        ("first audio", "speaking", _after(sentence, turn.get("tts_ttfb"))),
        ("audible", "travelling", turn.get("e2e_latency")),
    )
    found: list[Step] = []
    before = 0.0
    for name, stage, end in reached:
        if end is not None:
            found.append(Step(name, stage, min(before, end), end))
            before = max(before, end)
    return tuple(found)


def waterfall(taken: Sequence[Step], scale_secs: float) -> Markup:
    """Draw the steps of one turn, one below the other.

    Args:
        taken: The steps.
        scale_secs: The width in seconds; the same for turns that are to be compared.
    """
    if not taken:
        return Markup("")
    x = Scale(0.0, scale_secs, LEFT, RIGHT)
    bottom = ROW * len(taken)
    parts = []
    marks = ticks(0.0, scale_secs, MOST_TICKS)
    for number, secs in enumerate(marks):
        unit = " s" if number == len(marks) - 1 else ""
        parts.append(
            Markup(
                '<path class="grid" d="M{0} 0V{1}"/><text class="middle" x="{0}" y="{2}">{3}</text>'
            ).format(x(secs), bottom, bottom + 13, f"{secs:g}{unit}")
        )
    for row, step in enumerate(taken):
        top, start = row * ROW, x(step.start)
        parts.append(
            Markup(
                '<text x="0" y="{1}">{2}</text>'
                '<rect class="{3}" x="{4}" y="{0}" width="{5}" height="{6}"/>'
                '<text class="end" x="{7}" y="{1}">{8} s</text>'
            ).format(
                top + 4,
                top + 15,
                step.name,
                step.stage,
                start,
                max(1.5, round(x(step.end) - start, 1)),
                ROW - 8,
                WIDTH,
                f"{step.secs:.2f}",
            )
        )
    spoken = ", ".join(f"{step.name} {step.secs:.2f} s" for step in taken)
    return picture(parts, f"Steps to the first sound: {spoken}", WIDTH, bottom + 18)


def profile(turns: Sequence[Sequence[Step]], scale_secs: float) -> Markup:
    """Draw all turns, a line each, slowest first; the image scales to its container's width."""
    slowest = sorted((taken for taken in turns if taken), key=lambda taken: -taken[-1].end)
    if not slowest:
        return Markup("")
    row = min(MOST_ROW, PROFILE_HEIGHT / len(slowest))
    x = Scale(0.0, scale_secs, 0, PROFILE_WIDTH)
    parts = [
        Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(
            step.stage,
            x(step.start),
            round(number * row, 2),
            round(x(step.end) - x(step.start), 1),
            round(row * (0.8 if row >= LEAST_PARTED else 1.0), 2),
        )
        for number, taken in enumerate(slowest)
        for step in taken
        if step.secs > 0
    ]
    return Markup(
        '<svg class="profile" viewBox="0 0 {0} {1}" width="{0}" height="{1}" '
        'preserveAspectRatio="none" aria-hidden="true">{2}</svg>'
    ).format(PROFILE_WIDTH, round(row * len(slowest), 1), Markup("").join(parts))


def scale_of(turns: Sequence[Sequence[Step]]) -> float:
    """The width, in seconds, that fits all of these turns."""
    return max((step.end for taken in turns for step in taken), default=1.0) or 1.0


def _after(start: float | None, delay: float | None) -> float | None:
    return None if start is None or delay is None else start + delay
