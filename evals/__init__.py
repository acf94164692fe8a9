"""Evaluations: replay, score and compare recorded calls, and check vendors against contracts.

docs/evaluating.md is the way through. A server imports none of this.
"""

import telemetry as telemetry  # a cluster's workers begin here

__all__ = ["commands", "conformance", "replay", "scoring", "text"]
