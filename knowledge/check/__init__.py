"""Checks: what a document supports, and what is refused whatever it says."""

from knowledge.check.sensitive import topic_of
from knowledge.check.support import prepare, supporting_lines, unsupported

__all__ = ["prepare", "supporting_lines", "topic_of", "unsupported"]
