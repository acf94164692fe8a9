"""Runs the conformance checks.

``viva vendors check`` runs them on everything that is configured: each vendor of each stage in a
small pipeline of its own, with the embedded voice and recogniser in place of the caller. A new
vendor that passes works in :mod:`pipeline.vendors` as it is. The checks are in
:mod:`~evals.conformance.stt` (with voice activity), :mod:`~evals.conformance.turns`,
:mod:`~evals.conformance.brain`, :mod:`~evals.conformance.tts` and
:mod:`~evals.conformance.filters`.
"""

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from loguru import logger

from evals.conformance.brain import BRAIN_CHECKS, COMPATIBILITY
from evals.conformance.check import Check, Subject, VendorUnderTest
from evals.conformance.filters import FILTER_CHECKS, Filter
from evals.conformance.harness import NonconformanceError, NotApplicableError, NotStartedError
from evals.conformance.stt import STT_CHECKS, VAD_CHECKS
from evals.conformance.tts import TTS_CHECKS
from evals.conformance.turns import TURN_CHECKS, TurnTaker
from evals.replay import virtual_time
from knowledge.check.support import precompute
from knowledge.loading.document import Document, load
from models import catalogue
from models.checks import check_models
from pipeline.choice import Choice
from pipeline.engines import Engines, load_vendor
from pipeline.vendors import STAGES, Context, Stage, Vendor, embedded
from processors.daemon import in_thread
from processors.key_check import UnreachableError
from settings import Settings, including

LOAD_SECS = 120.0
"""Maximum time for one vendor to load."""

ABANDON_SECS = 8.0
"""Maximum time for a check to clean up after its timeout, before it is abandoned."""

_NOT_STARTED = "it does not start"

CHECKS: Mapping[Stage, tuple[Check[VendorUnderTest], ...]] = {
    "vad": VAD_CHECKS,
    "stt": STT_CHECKS,
    "brain": BRAIN_CHECKS,
    "tts": TTS_CHECKS,
}

Verdict = Literal["passed", "blocks", "degrades", "not applicable"]
"""The check passed; it failed and calls are impossible (``blocks``) or work with something missing
(``degrades``); or there was nothing to check, which is not the same as passing."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one check.

    Parameters:
        stage: The stage; ``"weights"`` for a model's files, ``"model"`` for its outputs.
        vendor: The vendor's name in settings, or the model's name.
        name: The check's name.
        verdict: The verdict.
        detail: What was measured, what is wrong, or why the check does not apply.
        loses: What callers or operators lose by the failure; empty without one.
    """

    stage: str
    vendor: str
    name: str
    verdict: Verdict
    detail: str
    loses: str = ""


NOTHING_CHECKED = 2
"""Exit status if no check was applicable."""

DEGRADED = 3
"""Exit status if calls work, with something missing."""


def status(results: Sequence[Result]) -> int:
    """The command's exit status.

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
    """The number of checks per verdict, and what the failures lose, in a sentence or two."""
    counts = {
        verdict: sum(result.verdict == verdict for result in results)
        for verdict in get_args(Verdict)
    }
    text = f"{counts['passed']} passed"
    if counts["not applicable"]:
        text += f", {counts['not applicable']} not applicable"
    for verdict, means in (
        ("blocks", "No call is possible"),
        ("degrades", "Calls work, with something missing"),
    ):
        if counts[verdict]:
            losses = dict.fromkeys(result.loses for result in results if result.verdict == verdict)
            text += f", {counts[verdict]} failed. {means}: {'; '.join(losses)}"
            text = text if verdict == "degrades" or not counts["degrades"] else text + ". Also"
    return f"{text}."


def to_paste(results: Sequence[Result]) -> list[str]:
    """What was found of models behind chat completions, a line each, for where others ask."""
    return [
        result.detail
        for result in results
        if result.name == COMPATIBILITY and result.verdict != "not applicable"
    ]


OnProgress = Callable[[str], None]
"""Called with a description of each step that begins."""


def run(checks: Coroutine[Any, Any, list[Result]]) -> list[Result]:
    """Run checks in virtual time: work in this process takes its processor time, and waits none.

    So other programs on the machine do not make an embedded vendor late. Cloud vendors are checked
    in real time (:func:`check`).
    """
    return virtual_time.run(
        checks, start=time.time(), counted=True, counted_by=virtual_time.cpu_clock
    )


async def check(
    settings: Settings,
    document: Document,
    choices: Mapping[Stage, Choice],
    *,
    stages: Sequence[Stage] = STAGES,
    on_progress: OnProgress,
) -> list[Result]:
    """Load and check the vendors chosen for some stages, including their reserves.

    Args:
        settings: The settings.
        document: The document that vendors are built for and brains are asked about.
        choices: The chosen vendors; includes voice activity, which recognisers are checked behind.
        stages: The stages to check.
        on_progress: Called with a description of each step.
    """
    results: list[Result] = []
    vendors = [vendor for stage in stages for vendor in choices[stage].vendors]
    others = _assistants(settings, stages)
    if "stt" in stages and "vad" not in stages:
        others = [*choices["vad"].vendors, *others]
    loaded: dict[str, Any] = {}
    unreached = set()
    for vendor in vendors:
        if vendor.unavailable is not None or vendor.address_in(settings):
            on_progress(f"{vendor.stage} {vendor.name}: account")
            try:
                results.append(await _account(vendor, settings))
            except UnreachableError as error:
                unreached.add(vendor.name)
                results.append(
                    Result(
                        vendor.stage,
                        vendor.name,
                        "account",
                        "blocks",
                        f"{error}; nothing else of it was checked",
                        "it cannot be reached",
                    )
                )
    vendors = [vendor for vendor in vendors if vendor.name not in unreached]
    if not vendors:
        return results
    try:
        for vendor in (*vendors, *others):
            if vendor.name in loaded:
                continue
            on_progress(f"loading {vendor.label}")
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
                    results += await check_vendor(vendor, engines, on_progress=on_progress)
    finally:
        for engine in loaded.values():
            await _close(engine)
    return results


async def _account(vendor: Vendor, settings: Settings) -> Result:
    """Ask a vendor whether this account may use it, as a server does at its start.

    Raises:
        UnreachableError: Nobody answered.
    """
    with _clock_of(vendor):
        try:
            why = await in_thread(lambda: vendor.refusal(settings))
        except UnreachableError:
            raise
        except Exception as error:
            why = _why(error, LOAD_SECS)
    if why:
        return Result(vendor.stage, vendor.name, "account", "blocks", why, "it may not be used")
    found = "it refused nothing" if vendor.unavailable else "somebody answers at its address"
    return Result(vendor.stage, vendor.name, "account", "passed", found)


async def check_installation(*, on_progress: OnProgress) -> list[Result]:
    """Check the embedded models: their files, and their outputs on this processor."""
    on_progress("weights")
    results = await in_thread(weights)
    on_progress("model outputs")
    return results + await in_thread(models)


async def check_turn_taking(
    taker: TurnTaker, *, on_progress: OnProgress = lambda _: None
) -> list[Result]:
    """Check turn taking; in virtual time it takes a fraction of a second."""
    return await _check_all(TURN_CHECKS, taker, "turns", taker.name, on_progress)


async def check_filter(
    checked: Filter, *, on_progress: OnProgress = lambda _: None
) -> list[Result]:
    """Check a filter between two stages."""
    return await _check_all(FILTER_CHECKS, checked, "filter", checked.name, on_progress)


async def check_vendor(
    vendor: Vendor,
    engines: Engines,
    *,
    names: Sequence[str] = (),
    on_progress: OnProgress = lambda _: None,
) -> list[Result]:
    """Check one loaded vendor.

    Args:
        vendor: The vendor.
        engines: The engines; ``loaded`` includes the vendor's and, if installed, the embedded
            voice and recogniser, which act as caller and listener.
        names: The names of the checks to run; all of the stage if empty.
        on_progress: Called with a description of each check.
    """
    checks = [check for check in CHECKS[vendor.stage] if not names or check.name in names]
    return await _check_all(
        checks, VendorUnderTest(vendor, engines), vendor.stage, vendor.name, on_progress
    )


async def check_alone(
    vendor: Vendor, own: Mapping[str, Any], *, names: Sequence[str] = ()
) -> list[Result]:
    """Load and check a vendor by itself, as its tests do, in the package of vendors or not.

    Without an embedded recogniser to listen, the words of a voice are not checked.

    Args:
        vendor: The vendor.
        own: Its settings, by name.
        names: The names of the checks to run; all of the stage if empty.

    Raises:
        SettingsError: One of its settings is invalid.
        Exception: It cannot be loaded.
    """
    settings, document = including([vendor.settings]).load(**own), load()
    loaded = await _load(vendor, Context(settings, document))
    try:
        engines = Engines(settings, document, {}, {vendor.name: loaded})
        return await check_vendor(vendor, engines, names=names)
    finally:
        await _close(loaded)


def weights() -> list[Result]:
    """Check the hash of every embedded model's files; blocks for seconds."""
    return [
        Result(
            "weights",
            check.model,
            check.path,
            "passed" if check.passed else "blocks",
            check.detail,
            ""
            if check.passed
            else "the model's file differs from the catalogue's and is not loaded",
        )
        for check in catalogue.check_files()
    ]


def models() -> list[Result]:
    """Compare every embedded model's outputs with its reference outputs; blocks for seconds."""
    return [
        Result(
            "model",
            check.model,
            "outputs on this processor",
            "passed" if check.passed else "blocks",
            check.detail,
            "" if check.passed else "the model's outputs are wrong on this processor",
        )
        for check in check_models()
    ]


async def _check_all(
    checks: Sequence[Check[Subject]],
    subject: Subject,
    stage: str,
    vendor: str,
    on_progress: OnProgress,
) -> list[Result]:
    results = []
    for check in checks:
        on_progress(f"{stage} {vendor}: {check.name}")
        results.append(await _run(check, subject, stage, vendor))
        if len(results) == 1 < len(checks) and results[0].loses == _NOT_STARTED:
            why = f"{results[0].detail}; nothing else of it was checked"
            return [replace(results[0], detail=why)]
    return results


async def _run(check: Check[Subject], subject: Subject, stage: str, vendor: str) -> Result:
    """Run one check within its timeout; one that does not end when cancelled is abandoned."""
    task = asyncio.ensure_future(check.run(subject))
    try:
        await asyncio.wait({task}, timeout=check.timeout_secs)
        late = not task.done()
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=ABANDON_SECS)
    try:
        if late or not task.done() or task.cancelled():
            raise NonconformanceError(f"not done within {check.timeout_secs:g} s")
        return Result(stage, vendor, check.name, "passed", task.result())
    except NotApplicableError as reason:
        return Result(stage, vendor, check.name, "not applicable", str(reason))
    except NotStartedError as error:
        return Result(stage, vendor, check.name, "blocks", str(error), _NOT_STARTED)
    except Exception as error:
        why = _why(error, check.timeout_secs)
        return Result(stage, vendor, check.name, check.failure, why, check.loses)


@contextmanager
def _clock_of(vendor: Vendor) -> Iterator[None]:
    """Real time for a cloud vendor, whose network does not know of virtual time."""
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
    """The embedded voice and recogniser, where checks need a caller or a listener."""
    speaks, listens = {"vad", "stt"} & set(stages), {"tts"} & set(stages)
    wanted = (*(embedded("stt") if listens else ()), *(embedded("tts") if speaks else ()))
    return [vendor for vendor in wanted if not vendor.missing(settings)]


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
