"""The vendors that can do each stage of a call. Each module declares one, as its ``VENDOR``.

To add one, add its module here (:mod:`pipeline.vendors.cartesia` is a short one) and its test. The
module declares settings, prices and construction; ``.env.example``, the settings, the price table
and ``viva vendors`` read them from there.
"""

from collections.abc import Iterable
from importlib import import_module
from pkgutil import iter_modules

from pipeline.vendor import STAGES, Context, Price, Progress, Stage, Vendor, VendorSettings

__all__ = [
    "STAGES",
    "VENDORS",
    "Context",
    "Price",
    "Progress",
    "Stage",
    "Vendor",
    "VendorSettings",
    "find_vendors",
    "of_stage",
]

_BY_NAME_ONLY = 50


def find_vendors(package: str, folders: Iterable[str]) -> tuple[Vendor, ...]:
    """Find the vendors that a package's modules declare, by stage and in the order of ``auto``.

    Args:
        package: The package's name.
        folders: Its folders, as in its ``__path__``.

    Raises:
        AttributeError: A module declares no ``VENDOR``.
    """
    names = [module.name for module in iter_modules(folders)]
    vendors: list[Vendor] = [import_module(f"{package}.{name}").VENDOR for name in names]

    def place(vendor: Vendor) -> tuple[int, int, str]:
        auto = _BY_NAME_ONLY if vendor.auto is None else vendor.auto
        return STAGES.index(vendor.stage), auto, vendor.name

    return tuple(sorted(vendors, key=place))


VENDORS: tuple[Vendor, ...] = find_vendors(__name__, __path__)
"""Every vendor."""


def of_stage(stage: Stage) -> tuple[Vendor, ...]:
    """The vendors of a stage, in the order in which ``auto`` tries them."""
    return tuple(vendor for vendor in VENDORS if vendor.stage == stage)
