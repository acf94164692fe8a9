"""The vendors that are services elsewhere, each used when its key is set."""

from pipeline.vendor import Vendor

CLOUD: tuple[Vendor, ...] = ()
