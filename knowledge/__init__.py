"""The document a caller asks: load it, section it, cite it."""

from knowledge.document import Document, load
from knowledge.section import DocumentError, Line, Persona, Section, SensitiveTopic
from knowledge.sensitive import topic_of
from knowledge.support import supporting_lines, unsupported

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
    "unsupported",
]
