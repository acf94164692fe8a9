"""The conformance suite: checks a vendor, turn taking or a filter against its stage's contract.

:mod:`~evals.conformance.suite` runs the checks, each on a small pipeline
(:mod:`~evals.conformance.line`), and ``viva vendors check`` prints them. A check that fails says
whether calls are impossible without it or only degraded, and what is lost.
"""
