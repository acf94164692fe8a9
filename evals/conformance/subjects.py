"""Selects what to check: everything that is configured, or one stage or vendor by name."""

import sys
from collections.abc import Coroutine, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from evals.conformance.check import VendorUnderTest
from evals.conformance.filters import Filter
from evals.conformance.stt import SHORT
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
from pipeline.choice import Choice, choose, choose_for, meant_vendor, settle
from pipeline.engines import Engines, load_vendor
from pipeline.vendors import STAGES, VENDORS, Context, Stage, Vendor, embedded, of_stage
from processors.daemon import in_thread
from processors.declarations import place_in
from processors.turns.processor import TurnTaking
from settings import Settings, SettingsError, including

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
        vendor: A vendor of the stage, or ``MODULE:NAME`` of a :class:`Vendor`; empty for the
            configured ones. For turn taking and filters, ``MODULE:NAME`` of a class or function
            that makes one, or of a :class:`TurnTaker` or :class:`Filter`.
        on_progress: Called with a description of each step.

    Raises:
        SubjectError: No such stage, vendor or name.
        SettingsError: A vendor cannot be used with these settings.
    """
    if vendor and not stage:
        stage = _stage_of(vendor)
    if not stage:
        return _everything(settings, document, on_progress)
    if stage not in STAGES_CHECKED:
        raise SubjectError(f"--stage {stage}: allowed are {', '.join(STAGES_CHECKED)}.")
    if stage == "turns":
        own = vendor in ("", VIVAS_OWN.name)
        taker = VIVAS_OWN if own else _maker(vendor, TurnTaker)
        return check_turn_taking(taker, on_progress=on_progress)
    if stage == "filter":
        if not vendor:
            raise SubjectError("--stage filter needs --vendor MODULE:NAME.")
        return check_filter(_maker(vendor, Filter), on_progress=on_progress)
    (of,) = [known for known in STAGES if known == stage]
    if ":" in vendor:
        settings, choice = _outside(of, vendor)
    else:
        choice = _choice(of, vendor, settings)
    choices = {of: choice}
    if of == "stt":
        choices["vad"] = choose_for("vad", settings)
    return check(settings, document, choices, stages=[of], on_progress=on_progress)


def to_call(settings: Settings, *, stage: str, vendor: str) -> dict[Stage, Choice]:
    """The vendors to call for real: the chosen or the named ones.

    Raises:
        SubjectError: There is no such stage or vendor.
        SettingsError: A vendor cannot be used; the text says why.
    """
    if not stage:
        if vendor:
            raise SubjectError("--vendor is a vendor of one stage: give --stage, too.")
        return dict(choose(settings))
    found = [known for known in STAGES if known == stage]
    if not found:
        raise SubjectError(f"--live --stage {stage}: allowed are {', '.join(STAGES)}.")
    return {found[0]: _choice(found[0], vendor, settings)}


async def recorded_speech(settings: Settings, document: Document, on_progress: OnProgress) -> bytes:
    """A question in the embedded voice, 16 kHz mono 16-bit, for a recogniser to hear.

    Raises:
        SubjectError: There is no embedded voice.
    """
    voice = next((voice for voice in embedded("tts") if not voice.missing(settings)), None)
    if voice is None:
        raise SubjectError("--live: a recogniser needs the embedded voice, which is not installed.")
    on_progress(f"loading {voice.label}")
    context = Context(settings, document)
    loaded = await in_thread(lambda: load_vendor(voice, context, lambda *_: None))
    try:
        engines = Engines(settings, document, {}, {voice.name: loaded})
        return await VendorUnderTest(voice, engines).synthesise(SHORT)
    finally:
        loaded.close()


def _stage_of(vendor: str) -> Stage:
    """The only stage that a vendor of this name does."""
    stages = [stage for stage in STAGES if any(known.name == vendor for known in of_stage(stage))]
    if not stages and ":" not in vendor:
        meant = meant_vendor(vendor, VENDORS)
        guess = f"did you mean {meant}?" if meant else "`viva vendors` lists them."
        raise SubjectError(f"--vendor {vendor} is none of Viva's vendors; {guess}")
    if len(stages) != 1:
        does = f" does {' and '.join(stages)}" if stages else ""
        raise SubjectError(f"--vendor {vendor}{does}: give --stage, too.")
    return stages[0]


def _usable(settings: Settings) -> Mapping[Stage, Choice]:
    """The chosen vendors, as at a server's start: ``auto`` skips those closed to the account."""
    choices = choose(settings)
    try:
        return settle(choices, settings)
    except SettingsError:
        return choices  # A named vendor is closed to the account; its check says why.


async def _everything(
    settings: Settings, document: Document, on_progress: OnProgress
) -> list[Result]:
    choices = await in_thread(lambda: _usable(settings))
    results = await check_installation(on_progress=on_progress)
    results += await check_turn_taking(VIVAS_OWN, on_progress=on_progress)
    return results + await check(settings, document, choices, on_progress=on_progress)


def _choice(stage: Stage, name: str, settings: Settings) -> Choice:
    if not name:
        return choose_for(stage, settings)
    for vendor in of_stage(stage):
        if vendor.name == name:
            return _named_choice(vendor, name, settings)
    names = ", ".join(vendor.name for vendor in of_stage(stage))
    meant = meant_vendor(name, of_stage(stage))
    guess = f"did you mean {meant}? The" if meant else "the"
    raise SubjectError(f"--vendor {name}: {guess} vendors of {stage} are {names}.")


def _named_choice(vendor: Vendor, name: str, settings: Settings) -> Choice:
    if trouble := vendor.missing(settings):
        raise SettingsError(f"--vendor {name}: {trouble}.")
    if why := vendor.unfitness(settings):
        raise SettingsError(f"--vendor {name}: {why}.")
    return Choice(vendor, "--vendor")


def _outside(stage: Stage, path: str) -> tuple[Settings, Choice]:
    """A vendor outside :mod:`pipeline.vendors`, and settings that include its own."""
    vendor = _named(path)
    if not isinstance(vendor, Vendor) or vendor.stage != stage:
        raise SubjectError(f"--vendor {path}: it is no Vendor of the stage {stage}.")
    settings = including([*(known.settings for known in VENDORS), vendor.settings]).load()
    return settings, _named_choice(vendor, path, settings)


Maker = TypeVar("Maker", TurnTaker, Filter)


def _maker(path: str, kind: type[Maker]) -> Maker:
    """What makes the turn taking or filter of a path: itself, or a class or function wrapped."""
    found = _named(path)
    if isinstance(found, kind):
        return found
    if not callable(found):
        raise SubjectError(
            f"--vendor {path}: it is {found!r}; give a class or function that makes one, or a "
            f"{kind.__name__}."
        )
    module, _, _ = path.partition(":")
    for name, declared in vars(sys.modules[module]).items():
        if isinstance(declared, kind) and declared.make is found:
            raise SubjectError(
                f"--vendor {path}: give {module}:{name}, which tells how it is checked."
            )
    return kind(path, found)


def _named(path: str) -> Any:
    module, _, name = path.partition(":")
    if not (module and name):
        raise SubjectError(f"--vendor {path}: give MODULE:NAME.")
    if (here := str(Path.cwd())) not in sys.path:  # not there when a command is run by its name
        sys.path.insert(0, here)
    try:
        return getattr(import_module(module), name)
    except AttributeError as error:
        raise SubjectError(f"--vendor {path}: {error}.") from None
    except (Exception, SystemExit) as error:
        file = f"{module.replace('.', '/')}.py"
        why = f"{type(error).__name__}: {error}"
        raise SubjectError(f"--vendor {path}: {place_in(file, error)}: {why}.") from None
