"""The document that callers ask: loading, searching and citing it."""

import telemetry as telemetry  # before any library with telemetry  # isort: skip

__all__ = ["check", "claims", "loading", "moments", "records", "search", "words"]
