"""Draws a call's time line in rows: both voices, what they said, ends of turns, interruptions."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from evals.report.plots import Scale, picture
from evals.report.waveform import cut, loudest, outline

ROW_SECS = 20.0
"""Seconds of the call in one row: a question and its answer mostly stand in one."""

WIDTH, HEIGHT = 1140, 214
"""Size of a row, in pixels: the page's column is as wide."""

COLUMN = 2
"""Width of a column of the waveform, in pixels."""

# From the top of a row to each of its parts, in pixels: the caller's above the axis, the agent's
# below it, the captions outermost.
CALLER_TEXT, CALLER_BAR, CALLER_WAVE = 14, 36, 64
AXIS = 95
AGENT_WAVE, AGENT_BAR, AGENT_TEXT = 132, 158, 180

WAVE = 20
"""Height of the loudest sample above the middle of its waveform, in pixels."""

LINE = 15
"""Height of a caption's line, in pixels."""

LETTER = 6.0
"""Approximate width of a caption's letter, in pixels."""

MOST_LINES = {"caller": 2, "agent": 3}
"""Lines of a caption for which a row has room; the rest of the text is cut."""

SHORTEST_CAPTION = 44
"""Width in pixels below which a segment has no caption: seven letters."""

CLOSEST_LABELS = 24
"""Minimum distance between the labels of two marks, in pixels."""


@dataclass(frozen=True, slots=True)
class Segment:
    """An interval of the call.

    Parameters:
        start: Seconds after the call's start.
        end: Seconds after the call's start.
        kind: An utterance's kind, ``detected``, ``sentence``, ``prompt`` or ``duck``.
        text: What was said; a noise is described in brackets.
    """

    start: float
    end: float
    kind: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """An event of the call.

    Parameters:
        at: Seconds after the call's start.
        kind: ``turn`` (the end of the caller's turn, as the agent decided it) or ``cut`` (an
            interruption of the agent).
        label: The label beside it.
        link: The label's link within the page.
    """

    at: float
    kind: str
    label: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class VoiceTrack:
    """One side's voice from the start of the call.

    Parameters:
        pcm: 16-bit mono PCM.
        rate: The sample rate, in Hz.
    """

    pcm: bytes
    rate: int


@dataclass(frozen=True, slots=True)
class CallTimeline:
    """Everything that a call's time line shows.

    Parameters:
        secs: The call's length.
        caller: The caller's voice.
        agent: The agent's voice, as it was played.
        utterances: The caller's utterances: the truth if there is one, otherwise transcripts.
        detected: When voice activity detected speech.
        sentences: The agent's sentences, as far as they were played.
        ducks: When the agent's voice was lowered.
        marks: Ends of turns and interruptions.
    """

    secs: float
    caller: VoiceTrack
    agent: VoiceTrack
    utterances: tuple[Segment, ...] = ()
    detected: tuple[Segment, ...] = ()
    sentences: tuple[Segment, ...] = ()
    ducks: tuple[Segment, ...] = ()
    marks: tuple[Mark, ...] = ()


def rows(
    timeline: CallTimeline,
    start: float = 0.0,
    end: float | None = None,
    *,
    row_secs: float = ROW_SECS,
    width: int = WIDTH,
) -> Iterator[Markup]:
    """Draw a time line, or part of it, row by row.

    Args:
        timeline: The call.
        start: Where the first row starts, in seconds of the call.
        end: Where the last row ends; by default the end of the call.
        row_secs: Seconds per row.
        width: The width of a row, in pixels.
    """
    last = timeline.secs if end is None else min(end, timeline.secs)
    full = loudest(timeline.caller.pcm), loudest(timeline.agent.pcm)
    # Rounding of the end must not make a row.
    while start < last - 0.01:
        yield _row(timeline, Scale(start, start + row_secs, 0, width), last, full)
        start += row_secs


def _row(timeline: CallTimeline, x: Scale, last: float, full: tuple[int, int]) -> Markup:
    until = min(x.high, last)
    parts = [
        *_seconds(x, until),
        *_boxes(x, timeline.ducks, AGENT_WAVE - WAVE, 2 * WAVE),
        *_wave(timeline.caller, x, until, middle=CALLER_WAVE, full=full[0], side="caller"),
        *_wave(timeline.agent, x, until, middle=AGENT_WAVE, full=full[1], side="agent"),
        *_boxes(x, timeline.utterances, CALLER_BAR, 4),
        *_boxes(x, timeline.detected, CALLER_WAVE + WAVE + 1, 2),
        *_boxes(x, timeline.sentences, AGENT_BAR, 4),
        *_captions(x, timeline.utterances, CALLER_TEXT, "caller"),
        *_captions(x, timeline.sentences, AGENT_TEXT, "agent"),
        *_marks(x, timeline.marks),
    ]
    described = _description(timeline, x.low, x.high)
    drawing = picture(parts, described, x.end, HEIGHT, links=True)
    return Markup('<div class="timeline-row" data-start="{}" data-end="{}">{}</div>').format(
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
    voice: VoiceTrack, x: Scale, end: float, *, middle: int, full: int, side: str
) -> Iterator[Markup]:
    """A voice's waveform as one outline; silence is a thin line."""
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


def _boxes(x: Scale, stretches: Iterable[Segment], top: int, height: int) -> Iterator[Markup]:
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


def _captions(x: Scale, stretches: Sequence[Segment], top: int, side: str) -> Iterator[Markup]:
    """Captions at their times, cut where the next one starts."""
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


def _within(stretches: Iterable[Segment], x: Scale) -> Iterator[Segment]:
    return (stretch for stretch in stretches if stretch.start < x.high and stretch.end > x.low)


def _description(timeline: CallTimeline, start: float, end: float) -> str:
    """A row's text for screen readers."""
    said = [
        (stretch.start, f"{who}: {stretch.text or stretch.kind}")
        for who, stretches in (("caller", timeline.utterances), ("agent", timeline.sentences))
        for stretch in stretches
        if start <= stretch.start < end
    ]
    said += [
        (mark.at, "the agent is cut short" if mark.kind == "cut" else f"end of turn {mark.label}")
        for mark in timeline.marks
        if start <= mark.at < end
    ]
    told = "; ".join(f"at {at:.1f} s {what}" for at, what in sorted(said))
    return f"Time line from {start:g} to {end:g} s. {told}".strip()
