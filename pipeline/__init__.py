"""The pipeline: builds and runs one call from a chain of stages and the chosen vendors.

:class:`~pipeline.call.Call` runs a call from greeting to last words, :mod:`~pipeline.chain` builds
its chain, :class:`~pipeline.engines.Engines` is what all calls of a process share, and
:mod:`pipeline.vendors` declares who can do each stage.
"""

import telemetry as telemetry  # before any library with telemetry  # isort: skip

__all__ = [
    "call",
    "chain",
    "choice",
    "data_dir",
    "engines",
    "escalations",
    "loading",
    "vendor",
    "vendors",
]
