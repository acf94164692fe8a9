"""Whether the vendors that are configured do what their stages must: the conformance suite.

``viva vendors check`` runs it on whatever is configured, each vendor of each stage in a small
pipeline of its own, the embedded voice and recogniser standing in for the caller. A new vendor that
passes can be used in :mod:`pipeline.vendors` as it is. The checks of a stage are in
:mod:`~evals.conformance.stt` (voice activity, too), :mod:`~evals.conformance.brain` and
:mod:`~evals.conformance.tts`.
"""

import asyncio
import hashlib
import inspect
import re
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from loguru import logger

from evals.conformance.bench import Bench, Check, in_thread
from evals.conformance.brain import BRAIN_CHECKS
from evals.conformance.line import NonconformanceError, NotApplicableError
from evals.conformance.stt import STT_CHECKS, VAD_CHECKS
from evals.conformance.tts import TTS_CHECKS
from knowledge.check.support import prepare
from knowledge.loading.document import Document
from models.checks import check_models
from pipeline.choice import Choice
from pipeline.engines import Engines, load_vendor
from pipeline.vendors import STAGES, VENDORS, Context, Stage, Vendor
from settings import Settings

LOAD_SECS = 120.0
"""Longest that one vendor may take to load."""

ABANDON_SECS = 8.0
"""Longest that a check whose time is over may take to clean up; then it is left behind."""

CHECKS: Mapping[Stage, tuple[Check, ...]] = {
    "vad": VAD_CHECKS,
    "stt": STT_CHECKS,
    "brain": BRAIN_CHECKS,
    "tts": TTS_CHECKS,
}

NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one check.

    Parameters:
        stage: The stage, ``"weights"`` for a model's file, or ``"model"`` for what it gives.
        vendor: The vendor's name in settings, or the model's name.
        name: What was checked.
        passed: Whether it is as it must be; a check that does not apply is passed.
        detail: What was measured, what is wrong, or why it does not apply.
    """

    stage: Literal["weights", "model"] | Stage
    vendor: str
    name: str
    passed: bool
    detail: str


Tell = Callable[[str], None]
"""Called with what is being done, in words."""


async def check(
    settings: Settings, document: Document, choices: Mapping[Stage, Choice], *, tell: Tell
) -> list[Result]:
    """Check the models, then load and check every vendor that is chosen, reserves included.

    Args:
        settings: The settings.
        document: What the vendors are built for, and the brains are asked about.
        choices: Who is chosen.
        tell: Told of progress.
    """
    tell("weights")
    results = await in_thread(weights)
    tell("models against their references")
    results += await in_thread(models)
    vendors = [vendor for stage in STAGES for vendor in choices[stage].vendors]
    loaded: dict[str, Any] = {}
    try:
        for vendor in (*vendors, *_assistants(settings)):
            if vendor.name in loaded:
                continue
            tell(f"loading {vendor.label}")
            try:
                loaded[vendor.name] = await _load(vendor, Context(settings, document))
            except Exception as error:
                if vendor in vendors:
                    why = _why(error, LOAD_SECS)
                    results.append(Result(vendor.stage, vendor.name, "load", False, why))
        await in_thread(lambda: prepare(document.sections))
        engines = Engines(settings, document, choices, loaded)
        for vendor in vendors:
            if vendor.name in loaded:
                results += await check_vendor(vendor, engines, tell=tell)
    finally:
        for engine in loaded.values():
            await _close(engine)
    return results


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
    bench = Bench(vendor, engines)
    results = []
    for one in CHECKS[vendor.stage]:
        if not names or one.name in names:
            tell(f"{vendor.stage} {vendor.name}: {one.name}")
            results.append(await _checked(one, bench))
    return results


def weights() -> list[Result]:
    """Compare every embedded model's file with the SHA-256 that NOTICE gives; blocks for seconds.

    A figure of several files is of the files joined.
    """
    packages = Path(sysconfig.get_path("purelib"))
    results, model = [], ""
    for line in _notice().splitlines():
        if heading := re.match(r"\w[\w ]*: (.+)$", line):
            model = heading[1]
        if not (figure := re.match(r"  ([0-9a-f]{64})  (.+)$", line)):
            continue
        files = figure[2].split(" + ")
        digest = hashlib.sha256()
        try:
            for file in files:
                with (packages / file).open("rb") as source:
                    while block := source.read(1 << 20):
                        digest.update(block)
            passed = digest.hexdigest() == figure[1]
            detail = f"SHA-256 {digest.hexdigest()[:12]}…"
            if not passed:
                detail += f", not {figure[1][:12]}… as in NOTICE"
        except OSError as error:
            passed, detail = False, f"cannot be read: {error.strerror}"
        results.append(Result("weights", model, figure[2], passed, detail))
    if not results:
        results.append(Result("weights", "", "NOTICE", False, "it lists no files"))
    return results


def models() -> list[Result]:
    """Hold every embedded model against its reference outputs; blocks for seconds."""
    return [
        Result("model", one.model, "right on this processor", one.passed, one.detail)
        for one in check_models()
    ]


async def _checked(one: Check, bench: Bench) -> Result:
    """Make one check within its time; one that does not even end when told to is left behind."""
    vendor = bench.vendor
    task = asyncio.ensure_future(one.run(bench))
    try:
        await asyncio.wait({task}, timeout=one.timeout_secs)
        late = not task.done()
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=ABANDON_SECS)
    try:
        if late or not task.done() or task.cancelled():
            raise NonconformanceError(f"not done within {one.timeout_secs:g} s")
        passed, detail = True, task.result()
    except NotApplicableError as none:
        passed, detail = True, f"{NOT_APPLICABLE}: {none}"
    except Exception as error:
        passed, detail = False, _why(error, one.timeout_secs)
    return Result(vendor.stage, vendor.name, one.name, passed, detail)


def _why(error: Exception, timeout_secs: float) -> str:
    if isinstance(error, NonconformanceError):
        return str(error)
    if isinstance(error, TimeoutError) and not str(error):
        return f"it did not answer within {timeout_secs:g} s"
    return f"{type(error).__name__}: {error}"


def _assistants(settings: Settings) -> list[Vendor]:
    """The embedded voice and recogniser, who stand in for the caller."""
    return [
        vendor
        for vendor in VENDORS
        if vendor.stage in ("tts", "stt")
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


def _notice() -> str:
    beside = Path(__file__).parents[2] / "NOTICE"
    if beside.is_file():
        return beside.read_text(encoding="utf-8")
    for file in metadata.files("viva-voice") or ():
        if file.name == "NOTICE":
            return file.read_text(encoding="utf-8")
    return ""
