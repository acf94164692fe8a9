"""The vendors of each stage. Each module declares one, as its ``VENDOR``.

To add one, add its module here (:mod:`pipeline.vendors.cartesia` is a short one) and its test. The
module declares settings, prices and construction; ``.env.example``, the settings, the price table
and ``viva vendors`` read them from there.
"""

from collections.abc import Iterable

from pipeline.vendor import STAGES, Context, Price, Progress, Stage, Vendor, VendorSettings
from processors.declarations import DeclarationError, find_declarations

__all__ = [
    "STAGES",
    "VENDORS",
    "Context",
    "Price",
    "Progress",
    "Stage",
    "Vendor",
    "claude",
    "elevenlabs",
    "embedded",
    "hibari",
    "of_stage",
    "openai",
    "silero",
    "whisper",
]

_BY_NAME_ONLY = 50


def find_vendors(package: str, folders: Iterable[str]) -> tuple[Vendor, ...]:
    """Find the vendors that a package's modules declare, by stage and in the order of ``auto``.

    Args:
        package: The package's name.
        folders: Its folders, as in its ``__path__``.

    Raises:
        DeclarationError: A module declares no vendor that can be used.
    """
    declared = find_declarations(package, folders, name="VENDOR", kind=Vendor)
    files: dict[str, str] = {}
    settings: dict[str, tuple[type[VendorSettings], str]] = {}
    for file, vendor in declared.items():
        if (other := files.setdefault(vendor.name, file)) != file:
            raise DeclarationError(f"{file}: name is {vendor.name!r}, which {other} has already.")
        for name in vendor.settings.model_fields:
            owner = _owner(vendor.settings, name)
            first, where = settings.setdefault(name, (owner, file))
            if first is not owner:
                raise DeclarationError(
                    f"{file}: {owner.__name__}.{name} is a setting that {where} has already. Give "
                    f"it another name, or inherit from {first.__name__}."
                )

    def place(vendor: Vendor) -> tuple[int, int, str]:
        auto = _BY_NAME_ONLY if vendor.auto is None else vendor.auto
        return STAGES.index(vendor.stage), auto, vendor.name

    return tuple(sorted(declared.values(), key=place))


def _owner(settings: type[VendorSettings], name: str) -> type[VendorSettings]:
    """Return the class that declares a field, which may be a base class."""
    owners = [
        declared
        for declared in settings.__mro__
        if name in vars(declared).get("__annotations__", {})
    ]
    return owners[-1] if owners else settings


VENDORS: tuple[Vendor, ...] = find_vendors(__name__, __path__)
"""All vendors, by stage and in the order in which ``auto`` tries them."""


def of_stage(stage: Stage) -> tuple[Vendor, ...]:
    """Return the vendors of a stage, in the order in which ``auto`` tries them."""
    return tuple(vendor for vendor in VENDORS if vendor.stage == stage)


def embedded(stage: Stage) -> tuple[Vendor, ...]:
    """Return the embedded vendors of a stage, the one to speak or hear for others first.

    Those that are used by name only come last: they may speak or hear as they like.
    """
    own = [vendor for vendor in of_stage(stage) if vendor.kind == "embedded"]
    return tuple(sorted(own, key=lambda vendor: vendor.auto is None))
