"""Checks on answers: support by the document, and sensitive topics."""

from knowledge.check.sensitive import topic_of
from knowledge.check.support import entails, precompute, supporting_lines, unsupported_claims

__all__ = ["entails", "precompute", "supporting_lines", "topic_of", "unsupported_claims"]
