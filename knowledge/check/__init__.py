"""Checks on answers: support by the document, and sensitive topics."""

__all__ = ["meaning", "recital", "sensitive", "speech", "spelling", "support", "totals", "wording"]
