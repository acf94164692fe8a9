"""The vendors: who can do each stage of a call, and who is chosen."""

from pipeline.vendors.choice import VENDORS, Choice, choose, choose_for, of_stage
from pipeline.vendors.vendor import STAGES, Context, Progress, Stage, Vendor

__all__ = [
    "STAGES",
    "VENDORS",
    "Choice",
    "Context",
    "Progress",
    "Stage",
    "Vendor",
    "choose",
    "choose_for",
    "of_stage",
]
