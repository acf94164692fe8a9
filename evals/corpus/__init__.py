"""The corpus: recorded calls to the bundled CV, with the ground truth of each.

:mod:`~evals.corpus.make` makes the recordings and ``truth.toml`` from ``calls.toml``: a scripted
caller calls the real server in virtual time. ``make eval`` replays and scores them.
"""

__all__ = ["beds", "scenario"]
