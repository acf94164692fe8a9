"""The conformance suite: checks vendors, turn taking and filters against their stage's contract.

:mod:`~evals.conformance.suite` runs the checks, each in a small pipeline of its own
(:mod:`~evals.conformance.harness`); ``viva vendors check`` prints the results. A failed check says
whether it makes calls impossible or only degrades them, and what is lost.
"""

__all__ = ["harness", "live", "subjects", "suite", "turns"]
