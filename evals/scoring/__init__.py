"""Scoring: what happened in recorded calls, measured against the truth, and compared."""
