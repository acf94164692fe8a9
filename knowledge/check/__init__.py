"""Checks on answers: support by the document, and sensitive topics."""

from knowledge.check.sensitive import topic_of
from knowledge.check.support import prepare, supporting_lines, unsupported

__all__ = ["prepare", "supporting_lines", "topic_of", "unsupported"]
