"""What to check: everything that is configured, or one stage or vendor by name."""

from collections.abc import Coroutine
from importlib import import_module
from typing import Any

from evals.conformance.filters import Filter
from evals.conformance.suite import (
    OnProgress,
    Result,
    check,
    check_filter,
    check_installation,
    check_turn_taking,
)
from evals.conformance.turns import TurnTaker
from knowledge.loading.document import Document
from pipeline.choice import Choice, choose, choose_for
from pipeline.vendors import STAGES, Stage, of_stage
from processors.turns.processor import TurnTaking
from settings import Settings, SettingsError

STAGES_CHECKED = ("vad", "stt", "turns", "brain", "tts", "filter")

VIVAS_OWN = TurnTaker("viva", TurnTaking)
"""The turn taking of :mod:`pipeline.chain`."""


class SubjectError(Exception):
    """No such stage, vendor or name; the text says what is allowed."""


def chosen(
    settings: Settings, document: Document, *, stage: str, vendor: str, on_progress: OnProgress
) -> Coroutine[Any, Any, list[Result]]:
    """The coroutine that runs the checks.

    Args:
        settings: The settings.
        document: The document that vendors are built for and brains are asked about.
        stage: One of :data:`STAGES_CHECKED`; empty for everything that is configured.
        vendor: A vendor of the stage; empty for the configured ones. For turn taking and filters,
            ``MODULE:NAME`` of a class or function that makes one, or of a :class:`TurnTaker` or
            :class:`Filter`.
        on_progress: Called with each step, in words.

    Raises:
        SubjectError: No such stage, vendor or name.
        SettingsError: A vendor cannot be used with these settings.
    """
    if not stage:
        if vendor:
            raise SubjectError("--vendor needs --stage.")
        return _everything(settings, document, on_progress)
    if stage not in STAGES_CHECKED:
        raise SubjectError(f"--stage {stage}: allowed are {', '.join(STAGES_CHECKED)}.")
    if stage == "turns":
        taker = VIVAS_OWN if vendor in ("", VIVAS_OWN.name) else _named(vendor)
        if not isinstance(taker, TurnTaker):
            taker = TurnTaker(vendor, taker)
        return check_turn_taking(taker, on_progress=on_progress)
    if stage == "filter":
        if not vendor:
            raise SubjectError("--stage filter needs --vendor MODULE:NAME.")
        found = _named(vendor)
        return check_filter(
            found if isinstance(found, Filter) else Filter(vendor, found), on_progress=on_progress
        )
    (one,) = [known for known in STAGES if known == stage]
    choices = {one: _choice(one, vendor, settings)}
    if one == "stt":
        choices["vad"] = choose_for("vad", settings)
    return check(settings, document, choices, stages=[one], on_progress=on_progress)


async def _everything(
    settings: Settings, document: Document, on_progress: OnProgress
) -> list[Result]:
    choices = choose(settings)
    results = await check_installation(on_progress=on_progress)
    results += await check_turn_taking(VIVAS_OWN, on_progress=on_progress)
    return results + await check(settings, document, choices, on_progress=on_progress)


def _choice(stage: Stage, name: str, settings: Settings) -> Choice:
    if not name:
        return choose_for(stage, settings)
    for vendor in of_stage(stage):
        if vendor.name == name:
            if trouble := vendor.missing(settings):
                raise SettingsError(f"--vendor {name}: {trouble}.")
            return Choice(vendor, "--vendor")
    names = ", ".join(vendor.name for vendor in of_stage(stage))
    raise SubjectError(f"--vendor {name}: the vendors of {stage} are {names}.")


def _named(path: str) -> Any:
    module, _, name = path.partition(":")
    if not name:
        raise SubjectError(f"--vendor {path}: give MODULE:NAME.")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise SubjectError(f"--vendor {path}: {error}.") from None
