"""What is to be checked: the stages that are chosen, or the one that is named."""

from collections.abc import Coroutine
from importlib import import_module
from typing import Any

from evals.conformance.filters import Filter
from evals.conformance.suite import (
    Result,
    Tell,
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
"""The turn taking that :mod:`pipeline.chain` has."""


class SubjectError(Exception):
    """There is no such thing to be checked; the text says what there is."""


def chosen(
    settings: Settings, document: Document, *, stage: str, vendor: str, tell: Tell
) -> Coroutine[Any, Any, list[Result]]:
    """The checks to make.

    Args:
        settings: The settings.
        document: What the vendors are built for, and the brains are asked about.
        stage: One of :data:`STAGES_CHECKED`; empty for all that are chosen.
        vendor: A vendor of the stage; empty for those that are chosen. Of turn taking and filters,
            what makes one, as ``MODULE:NAME``, or a :class:`TurnTaker` or :class:`Filter`.
        tell: Told of progress.

    Raises:
        SubjectError: There is no such stage, vendor or name.
        SettingsError: A vendor cannot be used here, and why.
    """
    if not stage:
        if vendor:
            raise SubjectError("--vendor is a vendor of one stage: give --stage, too.")
        return _everything(settings, document, tell)
    if stage not in STAGES_CHECKED:
        raise SubjectError(f"--stage {stage}: allowed are {', '.join(STAGES_CHECKED)}.")
    if stage == "turns":
        taker = VIVAS_OWN if vendor in ("", VIVAS_OWN.name) else _named(vendor)
        if not isinstance(taker, TurnTaker):
            taker = TurnTaker(vendor, taker)
        return check_turn_taking(taker, tell=tell)
    if stage == "filter":
        if not vendor:
            raise SubjectError("--stage filter: name one with --vendor MODULE:NAME.")
        found = _named(vendor)
        return check_filter(
            found if isinstance(found, Filter) else Filter(vendor, found), tell=tell
        )
    (one,) = [known for known in STAGES if known == stage]
    choices = {one: _choice(one, vendor, settings)}
    if one == "stt":
        choices["vad"] = choose_for("vad", settings)
    return check(settings, document, choices, stages=[one], tell=tell)


async def _everything(settings: Settings, document: Document, tell: Tell) -> list[Result]:
    choices = choose(settings)
    results = await check_installation(tell=tell)
    results += await check_turn_taking(VIVAS_OWN, tell=tell)
    return results + await check(settings, document, choices, tell=tell)


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
        raise SubjectError(f"--vendor {path}: it must be MODULE:NAME, or left out.")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise SubjectError(f"--vendor {path}: {error}.") from None
