"""A language model's verdicts on answers, and how far they agree with people's.

Optional, and never the only evidence: what code checks is reported beside them.
"""

__all__ = ["agreement", "judge", "vendors", "verdicts"]
