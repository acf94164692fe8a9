"""Loading a document: Markdown or JSON Resume, with its front matter, as sections and lines."""

from knowledge.loading.document import Document, load
from knowledge.loading.section import DocumentError, Line, Persona, Section, SensitiveTopic

__all__ = ["Document", "DocumentError", "Line", "Persona", "Section", "SensitiveTopic", "load"]
