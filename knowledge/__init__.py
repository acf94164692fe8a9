"""The document that callers ask: loading, searching and citing it."""

import telemetry as telemetry  # before any library with telemetry  # isort: skip

from knowledge.check.sensitive import topic_of
from knowledge.check.support import supporting_lines, unsupported_claims
from knowledge.loading.document import Document, load
from knowledge.loading.section import DocumentError, Line, Persona, Section, SensitiveTopic

__all__ = [
    "Document",
    "DocumentError",
    "Line",
    "Persona",
    "Section",
    "SensitiveTopic",
    "load",
    "supporting_lines",
    "topic_of",
    "unsupported_claims",
]
