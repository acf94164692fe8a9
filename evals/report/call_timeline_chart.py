"""The time line of a call, in rows like a score's: both voices, their turns, what cut them."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from evals.report.plots import Scale, picture
from evals.report.waveform import cut, loudest, outline

ROW_SECS = 20.0
WIDTH = 1140
COLUMN = 2
"""Pixels of an outline's column."""

CALLER_TEXT, CALLER_BAR, CALLER_WAVE = 14, 36, 64
AXIS = 95
AGENT_WAVE, AGENT_BAR, AGENT_TEXT = 132, 158, 180
WAVE = 20
HEIGHT = 214
LINE = 15
LETTER = 6.0
"""Pixels of a caption's letter, about."""

MOST_LINES = {"caller": 2, "agent": 3}
SHORTEST_CAPTION = 44
CLOSEST_LABELS = 24


@dataclass(frozen=True, slots=True)
class Stretch:
    """Something that lasted.

    Parameters:
        start: Seconds after the call's start.
        end: Seconds likewise.
        kind: What it was: an utterance's kind, ``sentence``, ``prompt``, ``duck`` …
        text: What was said; in brackets what was to be heard.
    """

    start: float
    end: float
    kind: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a moment.

    Parameters:
        at: Seconds after the call's start.
        kind: ``turn`` (the agent took the caller's turn to be over) or ``cut`` (the agent was
            interrupted).
        label: What stands beside it.
        link: Where that leads to, in this page.
    """

    at: float
    kind: str
    label: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Sound:
    """One side's voice on the call's time line.

    Parameters:
        pcm: Mono PCM s16le.
        rate: Samples a second.
    """

    pcm: bytes
    rate: int


@dataclass(frozen=True, slots=True)
class Course:
    """What happened in a call.

    Parameters:
        secs: How long it was.
        caller: Its voice.
        agent: Its voice, as it was played.
        utterances: What the caller's side did: the truth, where it is known.
        detected: When voice activity heard the caller speak.
        sentences: What the agent said, as far as it was played.
        ducks: While the agent's voice was lowered.
        marks: Ends of turns and interruptions.
    """

    secs: float
    caller: Sound
    agent: Sound
    utterances: tuple[Stretch, ...] = ()
    detected: tuple[Stretch, ...] = ()
    sentences: tuple[Stretch, ...] = ()
    ducks: tuple[Stretch, ...] = ()
    marks: tuple[Mark, ...] = ()


def rows(
    course: Course,
    start: float = 0.0,
    end: float | None = None,
    *,
    row_secs: float = ROW_SECS,
    width: int = WIDTH,
) -> Iterator[Markup]:
    """A stretch of a call, row by row.

    Args:
        course: What happened in the call.
        start: Where the first row begins, in seconds of the call.
        end: Where the last one ends; with the call by default.
        row_secs: How much a row holds.
        width: How wide it is, in pixels.
    """
    last = course.secs if end is None else min(end, course.secs)
    full = loudest(course.caller.pcm), loudest(course.agent.pcm)
    # A rounded end is no row of its own.
    while start < last - 0.01:
        yield _row(course, Scale(start, start + row_secs, 0, width), last, full)
        start += row_secs


def _row(course: Course, x: Scale, last: float, full: tuple[int, int]) -> Markup:
    until = min(x.high, last)
    parts = [
        *_seconds(x, until),
        *_boxes(x, course.ducks, AGENT_WAVE - WAVE, 2 * WAVE),
        *_wave(course.caller, x, until, middle=CALLER_WAVE, full=full[0], side="caller"),
        *_wave(course.agent, x, until, middle=AGENT_WAVE, full=full[1], side="agent"),
        *_boxes(x, course.utterances, CALLER_BAR, 4),
        *_boxes(x, course.detected, CALLER_WAVE + WAVE + 1, 2),
        *_boxes(x, course.sentences, AGENT_BAR, 4),
        *_captions(x, course.utterances, CALLER_TEXT, "caller"),
        *_captions(x, course.sentences, AGENT_TEXT, "agent"),
        *_marks(x, course.marks),
    ]
    drawing = picture(parts, _told(course, x.low, x.high), x.end, HEIGHT)
    return Markup('<div class="stave" data-start="{}" data-end="{}">{}</div>').format(
        f"{x.low:g}", f"{x.high:g}", drawing
    )


def _seconds(x: Scale, end: float) -> Iterator[Markup]:
    yield Markup('<path class="axis" d="M0 {0}H{1}"/>').format(AXIS, x(end))
    for second in range(int(-(-x.low // 1)), int(end) + 1):
        at, whole = x(second), second % 5 == 0
        yield Markup('<path class="{}" d="M{} {}v{}"/>').format(
            "axis", at, AXIS - (4 if whole else 2), 8 if whole else 4
        )
        if whole and at < x.end - 1:
            yield Markup('<text class="second" x="{}" y="{}">{}:{}</text>').format(
                at + 3, AXIS + 13, second // 60, f"{second % 60:02d}"
            )


def _wave(
    voice: Sound, x: Scale, end: float, *, middle: int, full: int, side: str
) -> Iterator[Markup]:
    """A voice as one outline, a hair's breadth where it is silent."""
    columns = int(x(end) / COLUMN)
    if columns < 1:
        return
    heights = outline(cut(voice.pcm, voice.rate, x.low, end), columns, full)
    spoken = [at for at, height in enumerate(heights) if height > 0.004]
    if not spoken:
        return
    path = "".join(
        f"M{at * COLUMN + 1} {middle - size:g}v{2 * size:g}"
        for at in spoken
        if (size := round(max(0.5, heights[at] * WAVE), 1))
    )
    yield Markup('<path class="wave {}" d="{}"/>').format(side, path)


def _boxes(x: Scale, stretches: Iterable[Stretch], top: int, height: int) -> Iterator[Markup]:
    for stretch in _within(stretches, x):
        left = x(stretch.start)
        yield Markup(
            '<rect class="box {}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>'
        ).format(
            stretch.kind,
            left,
            top,
            round(max(2.0, x(stretch.end) - left - 1.5), 1),
            height,
            f"{stretch.text or stretch.kind}, {stretch.start:.2f} to {stretch.end:.2f} s",
        )


def _captions(x: Scale, stretches: Sequence[Stretch], top: int, side: str) -> Iterator[Markup]:
    """What was said, where it was said, as far as there is room before the next."""
    there = [stretch for stretch in _within(stretches, x) if stretch.text]
    for at, stretch in enumerate(there):
        left = x(stretch.start)
        room = (x(there[at + 1].start) if at + 1 < len(there) else x.end) - left - 6
        if room < SHORTEST_CAPTION:
            continue
        begun = stretch.start < x.low
        lines = textwrap.wrap(
            f"… {stretch.text}" if begun else stretch.text,
            max(4, int(room / LETTER)),
            max_lines=MOST_LINES[side],
            placeholder=" …",
        )
        for number, line in enumerate(lines):
            yield Markup('<text class="said {}" x="{}" y="{}">{}</text>').format(
                f"{side} {stretch.kind}", left, top + number * LINE, line
            )


def _marks(x: Scale, marks: Sequence[Mark]) -> Iterator[Markup]:
    taken = -float("inf")
    for mark in marks:
        if not x.low <= mark.at < x.high:
            continue
        at = x(mark.at)
        if mark.kind == "cut":
            yield Markup('<path class="cut" d="M{} {}V{}m-5 -10l10 10m0 -10l-10 10"/>').format(
                at, AGENT_WAVE - WAVE - 4, AGENT_BAR + 6
            )
            continue
        yield Markup('<path class="taken" d="M{} {}V{}"/>').format(at, CALLER_BAR, AXIS + 16)
        if at - taken < CLOSEST_LABELS:
            continue
        taken = at
        edge = at > x.end - CLOSEST_LABELS
        label = Markup('<text class="number{}" x="{}" y="{}">{}</text>').format(
            " end" if edge else "", at - 4 if edge else at + 4, CALLER_BAR + 12, mark.label
        )
        yield (
            Markup('<a href="{}" tabindex="-1">{}</a>').format(mark.link, label)
            if mark.link
            else label
        )


def _within(stretches: Iterable[Stretch], x: Scale) -> Iterator[Stretch]:
    return (stretch for stretch in stretches if stretch.start < x.high and stretch.end > x.low)


def _told(course: Course, start: float, end: float) -> str:
    """A row in words, for those who do not see it."""
    said = [
        (stretch.start, f"{who}: {stretch.text or stretch.kind}")
        for who, stretches in (("caller", course.utterances), ("agent", course.sentences))
        for stretch in stretches
        if start <= stretch.start < end
    ]
    said += [
        (mark.at, "the agent is cut short" if mark.kind == "cut" else f"end of turn {mark.label}")
        for mark in course.marks
        if start <= mark.at < end
    ]
    told = "; ".join(f"at {at:.1f} s {what}" for at, what in sorted(said))
    return f"Time line from {start:g} to {end:g} s. {told}".strip()
