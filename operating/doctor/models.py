"""Checks the embedded models: right results on this processor, speed, and number of calls."""

import asyncio
import math
from collections.abc import Mapping, Sequence

from knowledge.loading.document import Document
from operating.doctor.finding import Finding, State, worst
from operating.doctor.measuring import CARRYING_CPU, MeasuredTurn, Speed, Tell, measure
from pipeline.choice import Choice
from pipeline.vendors import VENDORS, Stage, Vendor
from settings import Settings

MODELS: Mapping[str, Stage] = {
    "silero": "vad",
    "smart-turn": "vad",
    "whisper": "stt",
    "moonshine": "stt",
    "MiniLM": "brain",
    "reranker": "brain",
    "hibari": "tts",
}
"""The embedded models, and their stages."""

CORES_SHARE = 0.7
"""Target load of the cores; above it, work waits longer than MAX_LAG_SECS allows."""

POOL_SHARE = 0.5
"""Target load of an engine's threads, lower since they are few."""


def embedded(choices: Mapping[Stage, Choice]) -> tuple[Vendor, ...]:
    """The embedded vendors among those chosen; all of them for a stage without a choice."""
    return tuple(
        vendor
        for vendor in VENDORS
        if vendor.kind == "embedded"
        and (vendor.stage not in choices or vendor in choices[vendor.stage].vendors)
    )


async def check_and_measure(
    settings: Settings,
    document: Document,
    choices: Mapping[Stage, Choice],
    *,
    cores: float,
    tell: Tell,
) -> list[Finding]:
    """Check and measure every chosen embedded model.

    Args:
        settings: The settings.
        document: The document.
        choices: The chosen vendors.
        cores: Cores that this process may use.
        tell: Called with progress messages.
    """
    vendors = embedded(choices)
    stages = {vendor.stage for vendor in vendors}
    names = [model for model, stage in MODELS.items() if stage in stages]
    checked = {finding.name: finding for finding in await check(names, tell)}
    try:
        turn = await measure(settings, document, vendors, tell)
    except Exception as error:  # calls would fail with it, too
        detail = f"cannot run: {type(error).__name__}: {error}"
        found = Finding("models", "a call", "problem", detail, _AGAIN)
        return [*checked.values(), found]
    speeds = {speed.model: speed for speed in turn.speeds}
    rows = [_row(name, checked[name], speeds.get(name)) for name in names]
    return [*rows, *estimate_calls(settings, turn, cores=cores)]


async def check(names: Sequence[str], tell: Tell) -> list[Finding]:
    """Compare each model's output for known inputs with the expected output."""
    try:
        from models.checks import check_models
    except ImportError as error:
        trouble = f"not checked: {error}"
        return [
            Finding("models", name, "problem", trouble, "Run `make install`.") for name in names
        ]
    findings = []
    for name in names:
        tell(f"checking {name}")
        try:
            (found,) = await asyncio.to_thread(check_models, [name])
        except Exception as error:  # a missing or broken model may raise anything
            detail = f"cannot run: {type(error).__name__}: {error}"
            remedy = _AGAIN
            findings.append(Finding("models", name, "problem", detail, remedy))
            continue
        remedy = "" if found.passed else _WRONG
        state: State = "ok" if found.passed else "problem"
        findings.append(Finding("models", name, state, found.detail, remedy))
    return findings


_AGAIN = "Reinstall: rm -rf .venv && make install."
_WRONG = (
    f"{_AGAIN} If that does not help, its results are wrong on this processor: "
    "choose a cloud vendor for this stage, and report this table."
)


def _row(name: str, checked: Finding, speed: Speed | None) -> Finding:
    """One row: a model's check and its speed."""
    if speed is None:
        return checked
    said = f"{_short(speed.wall_secs)} {speed.job}"
    if speed.note:
        said += f"; {speed.note}"
    remedy = checked.remedy
    if not remedy and speed.state != "ok":
        remedy = _slow(name)
    state = worst([checked.state, speed.state])
    return Finding("models", name, state, f"{checked.detail}; {said}", remedy)


def _slow(name: str) -> str:
    stage = MODELS[name]
    keys = {"stt": "DEEPGRAM_API_KEY", "brain": "ANTHROPIC_API_KEY", "tts": "ELEVENLABS_API_KEY"}
    cloud = f"; {keys[stage]} moves that work to a cloud" if stage in keys else ""
    return f"Slow here: stop other programs, or use a faster machine{cloud}."


def estimate_calls(settings: Settings, turn: MeasuredTurn, *, cores: float) -> list[Finding]:
    """Whether the machine keeps up with one call, and an estimate of how many.

    Args:
        settings: The settings.
        turn: The measurements.
        cores: Cores that this process may use.
    """
    share = turn.cpu_share
    by_cores = cores * CORES_SHARE / share
    heaviest = max(turn.speeds, key=lambda speed: speed.turn_cpu_secs, default=None)
    detail = (
        f"one call takes {share * 100:.0f} % of a core: {_parts(turn)} "
        f"({turn.secs:.1f} s a turn; estimated from processor time)"
    )
    if by_cores < 1 or any(speed.state == "problem" for speed in turn.speeds):
        remedy = _slow(heaviest.model.partition(",")[0]) if heaviest else ""
        return [Finding("calls", "one call", "problem", f"does not keep up; {detail}", remedy)]
    alone = Finding("calls", "one call", "ok", f"keeps up; {detail}")
    return [alone, _many(settings, turn, by_cores, cores)]


def _many(settings: Settings, turn: MeasuredTurn, by_cores: float, cores: float) -> Finding:
    """How many calls the cores and the engines' threads allow, whichever is fewer."""
    # The event loop's share of a call, voice activity included, runs on one core per worker.
    looped = sum(speed.turn_cpu_secs for speed in turn.speeds if speed.model == "silero")
    limits = {
        "WORKERS": (settings.workers, CORES_SHARE / (looped / turn.secs + CARRYING_CPU)),
    } | {
        speed.setting: (speed.threads, settings.workers * POOL_SHARE * turn.secs / busy)
        for speed in turn.speeds
        if speed.setting and (busy := speed.turn_cpu_secs)
    }
    setting, (threads, each) = min(limits.items(), key=lambda limit: limit[1][0] * limit[1][1])
    number = max(1, math.floor(min(by_cores, threads * each)))
    detail = (
        f"about {number} at once, estimated for {cores:g} cores at {CORES_SHARE * 100:.0f} % load "
        f"and engine threads at {POOL_SHARE * 100:.0f} %. A running server measures it itself "
        "(MAX_LAG_SECS)"
    )
    if settings.max_calls * settings.workers > 2 * number:
        remedy = f"Set MAX_CALLS={math.ceil(number / settings.workers)}, or 0 to have it measured."
        detail += f"; MAX_CALLS={settings.max_calls} allows more"
        return Finding("calls", "many calls", "warning", detail, remedy)
    if math.floor(by_cores) > number:
        wanted = math.ceil(by_cores / each)
        detail += f". {setting}={threads} limits it: {wanted} would use all cores"
    return Finding("calls", "many calls", "ok", detail)


def _parts(turn: MeasuredTurn) -> str:
    """Processor time of a call by model, in percent of a core."""
    shares = {"carrying its audio": CARRYING_CPU}
    for speed in turn.speeds:
        name = speed.model.partition(",")[0]
        shares[name] = shares.get(name, 0.0) + speed.turn_cpu_secs / turn.secs
    ranked = sorted(shares.items(), key=lambda share: -share[1])
    return ", ".join(f"{name} {share * 100:.1f}" for name, share in ranked)


def _short(secs: float) -> str:
    return f"{secs * 1000:.{0 if secs >= 0.01 else 2}f} ms"
