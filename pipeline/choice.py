"""Chooses the vendors of each stage by the settings."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.vendors import STAGES, Stage, Vendor, of_stage
from settings import Settings, SettingsError


@dataclass(frozen=True, slots=True)
class Choice:
    """The vendors chosen for a stage.

    Parameters:
        vendor: The vendor.
        why: Why it was chosen, for people.
        reserves: Vendors that take over, in this order, when one fails for good.
    """

    vendor: Vendor
    why: str
    reserves: tuple[Vendor, ...] = ()

    @property
    def vendors(self) -> tuple[Vendor, ...]:
        """All of them, in order."""
        return (self.vendor, *self.reserves)


def choose(settings: Settings) -> Mapping[Stage, Choice]:
    """Choose a vendor for every stage.

    Raises:
        SettingsError: A name is unknown, or what it needs is missing.
    """
    return {stage: choose_for(stage, settings) for stage in STAGES}


def choose_for(stage: Stage, settings: Settings) -> Choice:
    """Choose a vendor for one stage.

    Raises:
        SettingsError: A name is unknown, or what it needs is missing.
    """
    wanted = str(getattr(settings, stage))
    if wanted == "auto":
        return _automatic(stage, settings)
    names = [name.strip() for name in wanted.split(",")]
    vendors = [_named(stage, name, settings) for name in names]
    if stage == "vad" and len(vendors) > 1:
        raise SettingsError(f"VAD={wanted!r} names several; voice activity has no failover.")
    if len(set(names)) < len(names):
        raise SettingsError(f"{stage.upper()}={wanted!r} names a vendor twice.")
    return Choice(vendors[0], f"{stage.upper()}={wanted}", tuple(vendors[1:]))


def _named(stage: Stage, name: str, settings: Settings) -> Vendor:
    vendors = of_stage(stage)
    for vendor in vendors:
        if vendor.name == name:
            if trouble := vendor.missing(settings):
                raise SettingsError(f"{stage.upper()}={name}: {trouble}.")
            return vendor
    allowed = ", ".join(["auto", *(vendor.name for vendor in vendors)])
    raise SettingsError(f"{stage.upper()}={name!r} is unknown; allowed: {allowed}.")


def _automatic(stage: Stage, settings: Settings) -> Choice:
    troubles = []
    for vendor in of_stage(stage):
        if vendor.auto is None:
            continue
        if not (trouble := vendor.missing(settings)):
            why = "auto: its key is set" if vendor.kind == "cloud" else "auto: embedded"
            return Choice(vendor, why)
        troubles.append(f"{vendor.name}: {trouble}")
    raise SettingsError(f"{stage.upper()}=auto finds nobody. {'; '.join(troubles)}.")
