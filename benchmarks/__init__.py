"""Benchmarks: how fast and how right Viva is, compared with other voice frameworks.

``viva bench`` runs them; docs/benchmarks.md has the results and how they were measured.
"""

import telemetry as telemetry  # each may be run by itself

__all__ = ["commands"]
