"""The models: whether each is right on this processor, how fast it is, and for how many calls."""

import asyncio
import math
from collections.abc import Mapping, Sequence

from knowledge.loading.document import Document
from operating.doctor.finding import Finding, State, worst
from operating.doctor.measuring import CARRYING_CPU, Speed, Tell, Turn, measure
from pipeline.choice import Choice
from pipeline.vendors import VENDORS, Stage, Vendor
from settings import Settings

MODELS: Mapping[str, Stage] = {
    "silero": "vad",
    "smart-turn": "vad",
    "whisper": "stt",
    "MiniLM": "brain",
    "hibari": "tts",
}
"""The embedded models, and the stage that each is of."""

CORES_SHARE = 0.7
"""How busy the cores may be: with more, work waits for longer than MAX_LAG_SECS lets it."""

POOL_SHARE = 0.5
"""How busy the threads of one engine may be, for the same reason: there are but few of them."""


def embedded(choices: Mapping[Stage, Choice]) -> tuple[Vendor, ...]:
    """The vendors that run here, of those that are chosen; all there are for a stage without."""
    return tuple(
        vendor
        for vendor in VENDORS
        if vendor.kind == "embedded"
        and (vendor.stage not in choices or vendor in choices[vendor.stage].vendors)
    )


async def examine(
    settings: Settings,
    document: Document,
    choices: Mapping[Stage, Choice],
    *,
    cores: float,
    tell: Tell,
) -> list[Finding]:
    """Check and measure every embedded model that is chosen.

    Args:
        settings: The settings.
        document: What calls are answered from.
        choices: Who is chosen.
        cores: Cores that this process may use.
        tell: Told of progress.
    """
    vendors = embedded(choices)
    stages = {vendor.stage for vendor in vendors}
    names = [model for model, stage in MODELS.items() if stage in stages]
    checked = {one.name: one for one in await check(names, tell)}
    try:
        turn = await measure(settings, document, vendors, tell)
    except Exception as error:  # whatever it is, it would keep calls from being taken
        detail = f"cannot be run: {type(error).__name__}: {error}"
        found = Finding("models", "a call", "problem", detail, _AGAIN)
        return [*checked.values(), found]
    speeds = {speed.model: speed for speed in turn.speeds}
    rows = [_row(name, checked[name], speeds.get(name)) for name in names]
    return [*rows, *calls(settings, turn, cores=cores)]


async def check(names: Sequence[str], tell: Tell) -> list[Finding]:
    """Compare what each model says of known inputs with what it must say."""
    try:
        from models.checks import check_models
    except ImportError as error:
        trouble = f"not checked: {error}"
        return [Finding("models", one, "problem", trouble, "Run `make install`.") for one in names]
    findings = []
    for name in names:
        tell(f"checking {name}")
        try:
            (found,) = await asyncio.to_thread(check_models, [name])
        except Exception as error:  # a model that is missing or broken raises what it likes
            detail = f"cannot be run: {type(error).__name__}: {error}"
            remedy = _AGAIN
            findings.append(Finding("models", name, "problem", detail, remedy))
            continue
        remedy = "" if found.passed else _WRONG
        state: State = "ok" if found.passed else "problem"
        findings.append(Finding("models", name, state, found.detail, remedy))
    return findings


_AGAIN = "Install anew: rm -rf .venv && make install."
_WRONG = (
    f"{_AGAIN} If that changes nothing, its answers are wrong on this processor: "
    "choose a vendor in the cloud for this stage, and report what this table says."
)


def _row(name: str, checked: Finding, speed: Speed | None) -> Finding:
    """One model's check and its speed, in a row."""
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
    return f"Slow here: end other programs, or use a faster machine{cloud}."


def calls(settings: Settings, turn: Turn, *, cores: float) -> list[Finding]:
    """Whether one call is kept up with, and an estimate of how many are.

    Args:
        settings: The settings.
        turn: What was measured.
        cores: Cores that this process may use.
    """
    share = turn.cpu_share
    by_cores = cores * CORES_SHARE / share
    heaviest = max(turn.speeds, key=lambda speed: speed.turn_cpu_secs, default=None)
    detail = (
        f"{share * 100:.0f} % of a core for one: {_parts(turn)} "
        f"({turn.secs:.1f} s a turn; estimated from processor time)"
    )
    if by_cores < 1 or any(speed.state == "problem" for speed in turn.speeds):
        remedy = _slow(heaviest.model.partition(",")[0]) if heaviest else ""
        return [Finding("calls", "one call", "problem", f"not kept up with; {detail}", remedy)]
    one = Finding("calls", "one call", "ok", f"kept up with; {detail}")
    return [one, _many(settings, turn, by_cores, cores)]


def _many(settings: Settings, turn: Turn, by_cores: float, cores: float) -> Finding:
    """How many calls the cores and the engines' threads are for, whichever are fewer."""
    # What the event loop does of a call, voice activity among it, it does on one core a worker.
    looped = sum(speed.turn_cpu_secs for speed in turn.speeds if speed.model == "silero")
    limits = {
        "WORKERS": (settings.workers, CORES_SHARE / (looped / turn.secs + CARRYING_CPU)),
    } | {
        speed.setting: (speed.threads, settings.workers * POOL_SHARE * turn.secs / busy)
        for speed in turn.speeds
        if speed.setting and (busy := speed.turn_cpu_secs)
    }
    setting, (threads, each) = min(limits.items(), key=lambda one: one[1][0] * one[1][1])
    number = max(1, math.floor(min(by_cores, threads * each)))
    detail = (
        f"about {number} at once, an estimate: {cores:g} cores {CORES_SHARE * 100:.0f} % busy, "
        f"the threads of an engine {POOL_SHARE * 100:.0f} %. A server measures it by itself "
        "(MAX_LAG_SECS)"
    )
    if settings.max_calls * settings.workers > 2 * number:
        remedy = f"Set MAX_CALLS={math.ceil(number / settings.workers)}, or 0 to have it measured."
        detail += f"; MAX_CALLS={settings.max_calls} allows more"
        return Finding("calls", "many calls", "warning", detail, remedy)
    if math.floor(by_cores) > number:
        wanted = math.ceil(by_cores / each)
        detail += f". {setting}={threads} holds it back: {wanted} would use all cores"
    return Finding("calls", "many calls", "ok", detail)


def _parts(turn: Turn) -> str:
    """What of a call's processor time each model takes, in percent of a core."""
    shares = {"carrying its sound": CARRYING_CPU}
    for speed in turn.speeds:
        name = speed.model.partition(",")[0]
        shares[name] = shares.get(name, 0.0) + speed.turn_cpu_secs / turn.secs
    ranked = sorted(shares.items(), key=lambda one: -one[1])
    return ", ".join(f"{name} {share * 100:.1f}" for name, share in ranked)


def _short(secs: float) -> str:
    return f"{secs * 1000:.{0 if secs >= 0.01 else 2}f} ms"
