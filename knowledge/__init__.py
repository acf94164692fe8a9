"""The document that calls are answered from: loading, searching, checking and citing it."""

import telemetry as telemetry  # before any library with telemetry  # isort: skip

__all__ = [
    "ages",
    "check",
    "claims",
    "loading",
    "moments",
    "per_document",
    "records",
    "search",
    "suggestions",
    "telling",
    "words",
]
