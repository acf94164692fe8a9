"""Benchmarks of Viva's speed and quality, some compared with other voice frameworks.

``viva bench`` runs them; docs/benchmarks.md has the results and how they were measured.
"""

import telemetry as telemetry  # each benchmark may run on its own

__all__ = ["commands"]
