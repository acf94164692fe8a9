"""Whether stages do what their contracts say: the conformance suite.

``viva vendors check`` runs it on whatever is configured, each vendor of each stage in a small
pipeline of its own, the embedded voice and recogniser standing in for the caller. A new vendor that
passes can be used in :mod:`pipeline.vendors` as it is. The checks of a stage are in
:mod:`~evals.conformance.stt` (voice activity, too), :mod:`~evals.conformance.turns`,
:mod:`~evals.conformance.brain`, :mod:`~evals.conformance.tts` and
:mod:`~evals.conformance.filters`.
"""

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

from loguru import logger

from evals.conformance.bench import Bench, Check, Subject, in_thread
from evals.conformance.brain import BRAIN_CHECKS
from evals.conformance.filters import FILTER_CHECKS, Filter
from evals.conformance.line import NonconformanceError, NotApplicableError, NotStartedError
from evals.conformance.stt import STT_CHECKS, VAD_CHECKS
from evals.conformance.tts import TTS_CHECKS
from evals.conformance.turns import TURN_CHECKS, TurnTaker
from evals.replay import virtual_time
from knowledge.check.support import precompute
from knowledge.loading.document import Document
from models import catalogue
from models.checks import check_models
from pipeline.choice import Choice
from pipeline.engines import Engines, load_vendor
from pipeline.vendors import STAGES, VENDORS, Context, Stage, Vendor
from settings import Settings

LOAD_SECS = 120.0
"""Longest that one vendor may take to load."""

ABANDON_SECS = 8.0
"""Longest that a check whose time is over may take to clean up; then it is left behind."""

CHECKS: Mapping[Stage, tuple[Check[Bench], ...]] = {
    "vad": VAD_CHECKS,
    "stt": STT_CHECKS,
    "brain": BRAIN_CHECKS,
    "tts": TTS_CHECKS,
}

Verdict = Literal["passed", "blocks", "degrades", "not applicable"]
"""A check was passed, or its failure keeps calls from being held, or costs them something, or it
has nothing to look at, which is not passed."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one check.

    Parameters:
        stage: The stage, ``"weights"`` for a model's file, or ``"model"`` for what it gives.
        vendor: The vendor's name in settings, or the model's name.
        name: What was checked.
        verdict: What came of it.
        detail: What was measured, what is wrong, or why it does not apply.
        loses: What callers or operators notice of a failure; empty where there is none.
    """

    stage: str
    vendor: str
    name: str
    verdict: Verdict
    detail: str
    loses: str = ""


NOTHING_CHECKED = 2
DEGRADED = 3


def status(results: Sequence[Result]) -> int:
    """The exit status that says what came of checks.

    Returns:
        0 if nothing failed, 1 if a failure blocks, :data:`DEGRADED` if failures only degrade,
        :data:`NOTHING_CHECKED` if nothing was applicable.
    """
    verdicts = {result.verdict for result in results}
    if "blocks" in verdicts:
        return 1
    if "degrades" in verdicts:
        return DEGRADED
    return 0 if "passed" in verdicts else NOTHING_CHECKED


def summary(results: Sequence[Result]) -> str:
    """How many checks had which verdict, and what is lost, in a sentence or two."""
    counts = {
        verdict: sum(result.verdict == verdict for result in results)
        for verdict in get_args(Verdict)
    }
    told = f"{counts['passed']} passed"
    if counts["not applicable"]:
        told += f", {counts['not applicable']} not applicable"
    for verdict, means in (
        ("blocks", "No call can be held"),
        ("degrades", "Calls can be held, with something missing"),
    ):
        if counts[verdict]:
            losses = dict.fromkeys(result.loses for result in results if result.verdict == verdict)
            told += f", {counts[verdict]} failed. {means}: {'; '.join(losses)}"
            told = told if verdict == "degrades" or not counts["degrades"] else told + ". Besides"
    return f"{told}."


Tell = Callable[[str], None]
"""Called with what is being done, in words."""


def run(checks: Coroutine[Any, Any, list[Result]]) -> list[Result]:
    """Make checks in virtual time: what runs here takes the time of its work, and no more.

    Vendors elsewhere are checked in real time (:func:`check`), which goes on meanwhile.
    """
    return virtual_time.run(checks, start=time.time(), counted=True)


async def check(
    settings: Settings,
    document: Document,
    choices: Mapping[Stage, Choice],
    *,
    stages: Sequence[Stage] = STAGES,
    tell: Tell,
) -> list[Result]:
    """Load and check every vendor that is chosen for some stages, reserves included.

    Args:
        settings: The settings.
        document: What the vendors are built for, and the brains are asked about.
        choices: Who is chosen; voice activity among them, which recognisers are checked behind.
        stages: The stages to check.
        tell: Told of progress.
    """
    results: list[Result] = []
    vendors = [vendor for stage in stages for vendor in choices[stage].vendors]
    others = _assistants(settings, stages)
    if "stt" in stages and "vad" not in stages:
        others = [*choices["vad"].vendors, *others]
    loaded: dict[str, Any] = {}
    try:
        for vendor in (*vendors, *others):
            if vendor.name in loaded:
                continue
            tell(f"loading {vendor.label}")
            try:
                loaded[vendor.name] = await _load(vendor, Context(settings, document))
            except Exception as error:
                if vendor in vendors:
                    notes = getattr(error, "__notes__", ())
                    why = ": ".join([*notes, _why(error, LOAD_SECS)])
                    no_call = "it cannot be loaded"
                    results.append(
                        Result(vendor.stage, vendor.name, "load", "blocks", why, no_call)
                    )
        if "brain" in stages:
            await in_thread(lambda: precompute(document))
        engines = Engines(settings, document, choices, loaded)
        for vendor in vendors:
            if vendor.name in loaded:
                with _clock_of(vendor):
                    results += await check_vendor(vendor, engines, tell=tell)
    finally:
        for engine in loaded.values():
            await _close(engine)
    return results


async def check_installation(*, tell: Tell) -> list[Result]:
    """Check the embedded models: their files, and what they give on this processor."""
    tell("weights")
    results = await in_thread(weights)
    tell("models against their references")
    return results + await in_thread(models)


async def check_turn_taking(taker: TurnTaker, *, tell: Tell = lambda _: None) -> list[Result]:
    """Check turn taking; in virtual time it takes a fraction of a second."""
    return await _check_all(TURN_CHECKS, taker, "turns", taker.name, tell)


async def check_filter(one: Filter, *, tell: Tell = lambda _: None) -> list[Result]:
    """Check a filter between two stages."""
    return await _check_all(FILTER_CHECKS, one, "filter", one.name, tell)


async def check_vendor(
    vendor: Vendor,
    engines: Engines,
    *,
    names: Sequence[str] = (),
    tell: Tell = lambda _: None,
) -> list[Result]:
    """Check one loaded vendor.

    Args:
        vendor: The vendor; ``engines.loaded`` has what its ``load`` gave. If the embedded voice and
            recogniser are loaded there, too, they speak and listen.
        engines: What it is built with.
        names: The checks to make; all of its stage if there are none.
        tell: Told of each check before it is made.
    """
    checks = [check for check in CHECKS[vendor.stage] if not names or check.name in names]
    return await _check_all(checks, Bench(vendor, engines), vendor.stage, vendor.name, tell)


def weights() -> list[Result]:
    """Hold every embedded model's files against the hashes they are loaded by; blocks for secs."""
    return [
        Result(
            "weights",
            check.model,
            check.path,
            "passed" if check.passed else "blocks",
            check.detail,
            "" if check.passed else "the model is not the one that was measured, and is not loaded",
        )
        for check in catalogue.check_files()
    ]


def models() -> list[Result]:
    """Hold every embedded model against its reference outputs; blocks for seconds."""
    return [
        Result(
            "model",
            check.model,
            "right on this processor",
            "passed" if check.passed else "blocks",
            check.detail,
            "" if check.passed else "the model's answers are wrong here",
        )
        for check in check_models()
    ]


async def _check_all(
    checks: Sequence[Check[Subject]], subject: Subject, stage: str, vendor: str, tell: Tell
) -> list[Result]:
    results = []
    for check in checks:
        tell(f"{stage} {vendor}: {check.name}")
        results.append(await _checked(check, subject, stage, vendor))
    return results


async def _checked(one: Check[Subject], subject: Subject, stage: str, vendor: str) -> Result:
    """Make one check within its time; one that does not even end when told to is left behind."""
    task = asyncio.ensure_future(one.run(subject))
    try:
        await asyncio.wait({task}, timeout=one.timeout_secs)
        late = not task.done()
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=ABANDON_SECS)
    try:
        if late or not task.done() or task.cancelled():
            raise NonconformanceError(f"not done within {one.timeout_secs:g} s")
        return Result(stage, vendor, one.name, "passed", task.result())
    except NotApplicableError as none:
        return Result(stage, vendor, one.name, "not applicable", str(none))
    except NotStartedError as error:
        return Result(stage, vendor, one.name, "blocks", str(error), "it does not start")
    except Exception as error:
        why = _why(error, one.timeout_secs)
        return Result(stage, vendor, one.name, one.failure, why, one.loses)


@contextmanager
def _clock_of(vendor: Vendor) -> Iterator[None]:
    """Real time for a vendor that answers over a network in its own time."""
    loop = asyncio.get_running_loop()
    if vendor.kind == "cloud" and isinstance(loop, virtual_time.VirtualTimeLoop):
        with loop.real_time():
            yield
    else:
        yield


def _why(error: Exception, timeout_secs: float) -> str:
    if isinstance(error, NonconformanceError):
        return str(error)
    if isinstance(error, TimeoutError) and not str(error):
        return f"it did not answer within {timeout_secs:g} s"
    return f"{type(error).__name__}: {error}"


def _assistants(settings: Settings, stages: Sequence[Stage]) -> list[Vendor]:
    """The embedded voice and recogniser, who stand in for the caller where they are needed."""
    speaks, listens = {"vad", "stt"} & set(stages), {"tts"} & set(stages)
    return [
        vendor
        for vendor in VENDORS
        if ((vendor.stage == "tts" and speaks) or (vendor.stage == "stt" and listens))
        and vendor.kind == "embedded"
        and not vendor.missing(settings)
    ]


async def _load(vendor: Vendor, context: Context) -> Any:
    async with asyncio.timeout(LOAD_SECS):
        return await in_thread(lambda: load_vendor(vendor, context, lambda _label, _share: None))


async def _close(engine: Any) -> None:
    close = getattr(engine, "close", None)
    if close is None:
        return
    try:
        closing = close()
        if inspect.isawaitable(closing):
            async with asyncio.timeout(ABANDON_SECS):
                await closing
    except Exception as error:
        logger.warning("{} did not close: {}", type(engine).__name__, error)
