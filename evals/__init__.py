"""Evaluations: recorded calls replayed, scored, compared, and held to a standard."""
