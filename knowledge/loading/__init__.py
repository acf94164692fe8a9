"""Loads a document, Markdown or JSON Resume with front matter, into sections and lines."""

from knowledge.loading.document import Document, load
from knowledge.loading.section import DocumentError, Line, Persona, Section, SensitiveTopic

__all__ = ["Document", "DocumentError", "Line", "Persona", "Section", "SensitiveTopic", "load"]
