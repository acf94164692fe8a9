"""The commands of evaluations, such as ``viva replay``, ``score``, ``report`` and ``eval``.

They import what they need when they run: ``viva --help`` loads no numpy.
"""

__all__ = ["callers", "document", "foreign", "replay", "report", "score", "text", "truth", "voices"]
