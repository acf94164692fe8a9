"""The report's wording of figures, times, targets and metrics' names."""

from collections.abc import Mapping, Sequence
from typing import Any

from conversation.records import MICROS
from conversation.wording import NONE, REASONS

BOUND = "\N{NO-BREAK SPACE}"
"""Keeps a figure and its unit on one line."""

_LEAST_P = 0.001  # a smaller p is shown as less than this

# What parts of metrics' names are called in their titles.
_ABBREVIATIONS = {
    "wer": "word error rate",
    "cer": "character error rate",
    "ece": "expected calibration error",
    "e2e": "end to end",
    "eva": "EVA",
    "llm": "brain",
    "ttft": "first token",
    "ttfs": "first sentence",
    "ttfb": "first audio",
    "tts": "voice",
    "stt": "recogniser",
    "fdb": "FDB",
    "tau": "\N{GREEK SMALL LETTER TAU}",
    "p50": "p50",
    "p95": "p95",
    "p99": "p99",
}

KINDS = {
    "question": "question",
    "bargein": "barge-in",
    "courtesy": "courtesy",
    "backchannel": "backchannel",
    "noise": "noise",
    "background": "background talk",
}
"""Names of the kinds of utterances."""


def title(name: str) -> str:
    """A metric's title."""
    words = " ".join(_ABBREVIATIONS.get(word, word) for word in name.split("_"))
    return words[:1].upper() + words[1:]


def figure(value: float | None, unit: str) -> str:
    """A value with its unit, rounded to useful precision."""
    if value is None:
        return NONE
    match unit:
        case "ratio" | "score":
            return f"{value:.3f}".rstrip("0").rstrip(".") if value in (0, 1) else f"{value:.3f}"
        case "s":
            return f"{value:.{3 if abs(value) < 10 else 1}f}{BOUND}s"
        case "micros" | "micro-dollars" | "µ$":
            return dollars(value)
        case "$" | "usd" | "USD" | "dollars":
            return dollars(value * MICROS)
        case "count" | "":
            return f"{value:,.4g}"
        case _:
            return f"{value:,.4g}{BOUND}{unit}"


def signed(value: float | None, unit: str) -> str:
    """A difference with its sign."""
    if value is None:
        return NONE
    sign = "+" if value > 0 else "\N{MINUS SIGN}" if value < 0 else ""
    return f"{sign}{figure(abs(value), unit)}"


def interval(bounds: Sequence[float] | None, unit: str, *, sign: bool = False) -> str:
    """An interval's two ends; empty without one."""
    if bounds is None:
        return ""
    say = signed if sign else figure
    low, high = (say(bound, unit) for bound in bounds)
    return f"{low.removesuffix(f'{BOUND}{unit}')} to {high}"


def dollars(micros: float) -> str:
    """Micro-dollars as dollars with four significant digits."""
    if not micros:
        return "$0"
    usd = micros / MICROS
    return f"${usd:,.2f}" if abs(usd) >= 1 else f"${usd:.6f}".rstrip("0")


def probability(p: float | None) -> str:
    """A test's p, such as ``p = 0.02``."""
    if p is None:
        return ""
    return f"p < {_LEAST_P}" if p < _LEAST_P else f"p = {p:.2g}"


def seconds(secs: float | None) -> str:
    """A delay in seconds; a dash for ``None``."""
    return NONE if secs is None else f"{secs:.2f}{BOUND}s"


def clock(secs: float) -> str:
    """A time of a call, such as ``1:07.4``."""
    tenths = round(max(0.0, secs) * 10)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"


def met(metric: Mapping[str, Any]) -> bool | None:
    """Whether a metric's target is met; ``None`` without a target, or without a value."""
    value, target = metric.get("value"), metric.get("target")
    if value is None or target is None:
        return None
    return bool(value <= target if metric.get("better") == "lower" else value >= target)


def wanted(metric: Mapping[str, Any]) -> str:
    """A metric's target, as text; empty without one."""
    if metric.get("target") is None:
        return ""
    least = metric.get("better") != "lower"
    bound = figure(metric["target"], metric.get("unit", ""))
    return f"{'at least' if least else 'at most'} {bound}"


def verdict(turn: Mapping[str, Any]) -> str:
    """A turn's decision, as text, with the sections that it cites."""
    match turn.get("decision"):
        case "respond":
            titles = {found["section"]: found["title"] for found in turn.get("looked_up") or ()}
            sections = ", ".join(titles.get(id, id) for id in turn.get("sections") or ())
            sure = (
                f"Answered with {turn['confidence']} confidence"
                if turn.get("confidence")
                else ("Answered")
            )
            return f"{sure}, citing {sections}." if sections else f"{sure}, without a citation."
        case "escalate":
            reason = turn.get("reason") or ""
            return f"Handed to a person: {REASONS.get(reason, reason) or 'no reason recorded'}."
        case _:
            return "The caller went on before anything was decided."
