"""The report's plots as SVG, with text as text and the page's colours.

Each is drawn at the size at which it is shown, so that its labels are legible on a phone. A table
beside each plot has the same figures for screen readers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor

from markupsafe import Markup

from evals.scoring.statistics import quantile

WIDTH, HEIGHT = 340, 176
"""Size of a plot, in pixels: three stand side by side on the page."""

LEFT, RIGHT, TOP, BOTTOM = 40, 332, 10, 150
"""The area within the axes, in pixels of the plot."""

MOST_TICKS = 6
"""Maximum number of ticks on an axis, so that their figures do not touch."""

MARKED = (0.5, 0.95, 0.99)
"""The percentiles marked on a distribution."""

STRIP_WIDTH, STRIP_HEIGHT = 200, 22
"""Size of a difference's strip in its table row, in pixels."""


@dataclass(frozen=True, slots=True)
class Series:
    """Values of one run.

    Parameters:
        name: The run's name.
        values: The values, in any order.
    """

    name: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of the same stated confidence.

    Parameters:
        stated: The confidence, 0 to 1.
        right: The share of right answers.
        count: The number of answers.
        label: The agent's word for the confidence.
        low: Lower end of the interval of ``right``.
        high: Upper end of the interval of ``right``.
    """

    stated: float
    right: float
    count: int
    label: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear scale from values to pixels.

    Parameters:
        low: The value at ``start``.
        high: The value at ``end``.
        start: The first pixel.
        end: The last pixel.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """A value's pixel, rounded to tenths and clamped to the scale."""
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return round(self.start + min(1.0, max(0.0, share)) * (self.end - self.start), 1)


def ticks(low: float, high: float, most: int = MOST_TICKS) -> list[float]:
    """Round values from ``low`` to ``high``, at most ``most``."""
    span = (high - low) or 1.0
    size = 10.0**-9
    while True:
        for factor in (1, 2, 5):
            step = size * factor
            if span / step <= most - 1:
                first, last = ceil(low / step - 1e-6), floor(high / step + 1e-6)
                return [round(number * step, 9) for number in range(first, last + 1)]
        size *= 10


def distribution(
    series: Sequence[Series], *, label: str, unit: str = "s", high: float | None = None
) -> Markup:
    """Plot the cumulative distribution of each run, with p50, p95 and p99 marked.

    Args:
        series: One run, or two to compare; the first of two is dashed.
        label: What is distributed.
        unit: The values' unit.
        high: Right end of the scale; by default the largest value.
    """
    filled = [curve for curve in series if curve.values]
    largest = 1.04 * (high or max((max(curve.values) for curve in filled), default=1.0) or 1.0)
    x = Scale(0.0, largest, LEFT, RIGHT)
    y = Scale(0.0, 1.0, BOTTOM, TOP)
    parts = [*_bottom(x, ticks(0.0, largest, 5), unit), *_levels(y)]
    for number, curve in enumerate(filled):
        side = _side(number, len(filled))
        ordered = sorted(curve.values)
        parts.append(Markup('<path class="step {}" d="{}"/>').format(side, _line(ordered, x, y)))
        for share in MARKED:
            value = quantile(ordered, share)
            parts.append(
                Markup('<circle class="mark {}" cx="{}" cy="{}" r="3.5"/>').format(
                    side, x(value), y(share)
                )
            )
    return picture(parts, f"Distribution: {label}", WIDTH, HEIGHT)


def reliability(bins: Sequence[Sequence[Bin]], *, label: str) -> Markup:
    """Plot how often answers were right against their stated confidence.

    On the diagonal the agent is right as often as it claims. A dot's area shows the number of
    answers.

    Args:
        bins: The bins of one run, or of two to compare.
        label: What is shown.
    """
    x, y = Scale(0.0, 1.0, LEFT, RIGHT), Scale(0.0, 1.0, BOTTOM, TOP)
    most = max((bin_.count for run_bins in bins for bin_ in run_bins), default=1) or 1
    parts = [
        *_bottom(x, ticks(0.0, 1.0, 6), ""),
        *_left(y, [0.0, 0.5, 1.0]),
        Markup('<path class="ideal" d="M{} {}L{} {}"/>').format(x(0), y(0), x(1), y(1)),
    ]
    for number, run_bins in enumerate(bins):
        side = _side(number, len(bins))
        filled = [bin_ for bin_ in run_bins if bin_.count]
        line = "L".join(f"{x(bin_.stated)} {y(bin_.right)}" for bin_ in filled)
        if line:
            parts.append(Markup('<path class="step {}" d="M{}"/>').format(side, line))
        for bin_ in filled:
            at, size = x(bin_.stated), round(3 + 6 * (bin_.count / most) ** 0.5, 1)
            if bin_.low is not None and bin_.high is not None:
                parts.append(
                    Markup('<path class="whisker" d="M{} {}V{}"/>').format(
                        at, y(bin_.low), y(bin_.high)
                    )
                )
            parts += [
                Markup('<circle class="dot {}" cx="{}" cy="{}" r="{}"/>').format(
                    side, at, y(bin_.right), size
                ),
            ]
            if len(bins) == 1:
                parts.append(
                    Markup('<text class="end" x="{}" y="{}">n {}</text>').format(
                        at - 6, y(bin_.right) + size + 13, bin_.count
                    )
                )
    return picture(parts, label, WIDTH, HEIGHT)


def strip(
    value: float | None,
    interval: tuple[float, float] | None,
    target: float | None,
    *,
    ratio: bool,
) -> Markup:
    """Draw a value on a line, with its interval as a bar and its target as a tick."""
    known = [end for end in (value, target, *(interval or ())) if end is not None]
    if not known:
        return Markup("")
    high = 1.0 if ratio and max(known) <= 1.0 else max(known) * 1.15 or 1.0
    return _strip(Scale(min(0.0, *known), high, 4, STRIP_WIDTH - 4), value, interval, target)


def difference_strip(
    value: float | None, interval: tuple[float, float] | None, reach: float
) -> Markup:
    """Draw a difference on a line whose middle is zero."""
    if value is None:
        return Markup("")
    far = reach or 1.0
    return _strip(Scale(-far, far, 4, STRIP_WIDTH - 4), value, interval, 0.0)


def _strip(
    x: Scale, value: float | None, interval: tuple[float, float] | None, target: float | None
) -> Markup:
    middle = STRIP_HEIGHT / 2
    parts = [Markup('<path class="grid" d="M{} {}H{}"/>').format(x.start, middle, x.end)]
    if interval is not None:
        low, high = x(interval[0]), x(interval[1])
        parts.append(
            Markup('<rect class="interval" x="{}" y="{}" width="{}" height="6"/>').format(
                low, middle - 3, round(max(1.0, high - low), 1)
            )
        )
    if target is not None:
        parts.append(
            Markup('<path class="target" d="M{} {}V{}"/>').format(x(target), 1, STRIP_HEIGHT - 1)
        )
    if value is not None:
        parts.append(
            Markup('<circle class="value" cx="{}" cy="{}" r="4"/>').format(x(value), middle)
        )
    return picture(parts, "", STRIP_WIDTH, STRIP_HEIGHT)


def _line(ordered: Sequence[float], x: Scale, y: Scale) -> str:
    """The path through all quantiles."""
    last = len(ordered) - 1
    points = [f"{x(value)} {y(at / last if last else 1.0)}" for at, value in enumerate(ordered)]
    return f"M{x(0)} {y(0)}H{x(ordered[0])}L{'L'.join(points)}H{x.end}"


def _side(number: int, count: int) -> str:
    """A run's CSS class; the baseline is drawn behind and dashed."""
    return "before" if count > 1 and number == 0 else "now"


def _bottom(x: Scale, values: Sequence[float], unit: str) -> list[Markup]:
    parts = [Markup('<path class="axis" d="M{} {}H{}"/>').format(x.start, BOTTOM, x.end)]
    for number, value in enumerate(values):
        suffix = f" {unit}" if unit and number == len(values) - 1 else ""
        parts.append(
            Markup(
                '<path class="grid" d="M{0} {1}V{2}"/>'
                '<text class="middle" x="{0}" y="{3}">{4}</text>'
            ).format(x(value), TOP, BOTTOM, BOTTOM + 16, f"{value:g}{suffix}")
        )
    return parts


def _left(y: Scale, values: Sequence[float]) -> list[Markup]:
    return [
        Markup(
            '<path class="grid" d="M{} {}H{}"/><text class="end" x="{}" y="{}">{} %</text>'
        ).format(LEFT, y(value), RIGHT, LEFT - 5, y(value) + 4, round(100 * value))
        for value in values
    ]


def _levels(y: Scale) -> list[Markup]:
    return _left(y, [0.0, 0.5, 0.95])


def picture(
    parts: Iterable[str], label: str, width: float, height: float, *, links: bool = False
) -> Markup:
    """Join SVG elements to an image at its natural size.

    Args:
        parts: The elements.
        label: The text for screen readers; empty if text beside the image says the same.
        width: The width, in pixels.
        height: The height, in pixels.
        links: Whether there are links in it, which a plain image hides from screen readers.
    """
    spoken = (
        Markup('role="{}" aria-label="{}"').format("graphics-document" if links else "img", label)
        if label
        else Markup('aria-hidden="true"')
    )
    return Markup('<svg viewBox="0 0 {0} {1}" width="{0}" height="{1}" {2}>{3}</svg>').format(
        width, height, spoken, Markup("").join(parts)
    )
