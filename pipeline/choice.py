"""Chooses the vendors of each stage by the settings."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

from pipeline.vendor import AUTO
from pipeline.vendors import STAGES, Stage, Vendor, of_stage
from processors.key_check import UnreachableError
from server_settings import ServerSettings, SettingsError

_LEAST_LIKENESS = 0.7
"""By difflib, of a name and what it is taken for: "eleven" is elevenlabs (0.75), and "siri" is not
hibari (0.6)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The vendors chosen for a stage.

    Parameters:
        vendor: The vendor.
        why: Why it was chosen, for people.
        reserves: Vendors that take over, in this order, when one fails for good.
        refused: Why those that would have been preferred could not be used, each a sentence.
        unreached: Those among ``vendors`` that could not be asked at start, each a sentence.
    """

    vendor: Vendor
    why: str
    reserves: tuple[Vendor, ...] = ()
    refused: tuple[str, ...] = ()
    unreached: tuple[str, ...] = ()

    @property
    def vendors(self) -> tuple[Vendor, ...]:
        """All of them, in order."""
        return (self.vendor, *self.reserves)


def choose(settings: ServerSettings) -> Mapping[Stage, Choice]:
    """Choose a vendor for every stage.

    Raises:
        SettingsError: A name is unknown, or what it needs is missing.
    """
    return {stage: choose_for(stage, settings) for stage in STAGES}


def settle(choices: Mapping[Stage, Choice], settings: ServerSettings) -> dict[Stage, Choice]:
    """Replace vendors that the account may not use: by those that ``auto`` tries next, or reserves.

    Asks the vendors over the network, once, at start. May block for seconds. A vendor that cannot
    be reached stays: it may be there when somebody calls.

    Args:
        choices: From :func:`choose`.
        settings: The settings.

    Raises:
        SettingsError: None of the vendors that the settings name for a stage can be used.
    """
    settled = dict(choices)
    for stage, choice in choices.items():
        if settings_of(stage, settings) == AUTO:
            settled[stage] = _settled(stage, choice, settings)
            continue
        refused: dict[str, str] = {}
        unreached: dict[str, str] = {}
        for vendor in choice.vendors:
            _ask(vendor, settings, refused, unreached)
        if left := [vendor for vendor in choice.vendors if vendor.name not in refused]:
            told = _cannot_be_used(stage, refused)
            silent = tuple(unreached.values())
            settled[stage] = Choice(left[0], choice.why, tuple(left[1:]), told, silent)
        else:
            told = tuple(f"{stage.upper()}={name}: {why}." for name, why in refused.items())
            raise SettingsError(" ".join(told))
    return settled


def _settled(stage: Stage, choice: Choice, settings: ServerSettings) -> Choice:
    refused: dict[str, str] = {}
    unreached: dict[str, str] = {}
    while not _ask(choice.vendor, settings, refused, unreached):
        choice = _automatic(stage, settings, but=refused)
    return replace(choice, unreached=tuple(unreached.values()))


def _ask(
    vendor: Vendor, settings: ServerSettings, refused: dict[str, str], unreached: dict[str, str]
) -> bool:
    """Ask a vendor whether the account may use it, and note why not or that nobody answered."""
    try:
        why = vendor.refusal(settings)
    except UnreachableError as error:
        unreached[vendor.name] = f"{vendor.label} cannot be reached: {error}."
        return True
    if why:
        refused[vendor.name] = why
    return not why


def _cannot_be_used(stage: Stage, refused: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence for each refused vendor; ``refused`` has their names, with the reasons."""
    return tuple(
        f"{vendor.label} cannot be used: {refused[vendor.name]}."
        for vendor in of_stage(stage)
        if vendor.name in refused
    )


def settings_of(stage: Stage, settings: ServerSettings) -> str:
    """Return a stage's setting: ``auto``, or names."""
    return str(getattr(settings, stage))


def choose_for(stage: Stage, settings: ServerSettings) -> Choice:
    """Choose a vendor for one stage.

    Raises:
        SettingsError: A name is unknown, or what it needs is missing.
    """
    wanted = settings_of(stage, settings)
    if wanted == AUTO:
        return _automatic(stage, settings)
    names = [name.strip() for name in wanted.split(",")]
    vendors = [_named(stage, name, settings) for name in names]
    if stage == "vad" and len(vendors) > 1:
        raise SettingsError(f"VAD={wanted!r} names several; voice activity has no failover.")
    if len(set(names)) < len(names):
        raise SettingsError(f"{stage.upper()}={wanted!r} names a vendor twice.")
    return Choice(vendors[0], f"{stage.upper()}={wanted}", tuple(vendors[1:]))


def _named(stage: Stage, name: str, settings: ServerSettings) -> Vendor:
    vendors = of_stage(stage)
    for vendor in vendors:
        if vendor.name == name:
            if trouble := vendor.missing(settings):
                raise SettingsError(f"{stage.upper()}={name}: {trouble}.")
            _check_fit(stage, vendor, settings)
            return vendor
    allowed = ", ".join([AUTO, *(vendor.name for vendor in vendors)])
    meant = meant_vendor(name, vendors)
    guess = f"did you mean {meant}? Allowed" if meant else "allowed"
    raise SettingsError(f"{stage.upper()}={name!r} is unknown; {guess}: {allowed}.")


def meant_vendor(name: str, vendors: Iterable[Vendor]) -> str:
    """The vendor's name that an unknown one probably means; empty if it is like none."""
    names = [vendor.name for vendor in vendors]
    near = get_close_matches(name.strip().lower(), names, n=1, cutoff=_LEAST_LIKENESS)
    return near[0] if near else ""


def _check_fit(stage: Stage, vendor: Vendor, settings: ServerSettings) -> None:
    if why := vendor.unfitness(settings):
        raise SettingsError(f"{stage.upper()}={vendor.name}: {why}.")


def _automatic(
    stage: Stage, settings: ServerSettings, *, but: Mapping[str, str] | None = None
) -> Choice:
    """Choose the first usable vendor; ``but`` has names of refused ones, with their reasons."""
    but = but or {}
    troubles = []
    for vendor in of_stage(stage):
        if vendor.auto is None or vendor.name in but:
            continue
        if not (trouble := vendor.missing(settings)):
            _check_fit(stage, vendor, settings)
            why = "auto: its key is set" if vendor.kind == "cloud" else "auto: embedded"
            return Choice(vendor, why, refused=_cannot_be_used(stage, but))
        troubles.append(f"{vendor.name}: {trouble}")
    raise SettingsError(f"{stage.upper()}=auto finds nobody. {'; '.join(troubles)}.")
