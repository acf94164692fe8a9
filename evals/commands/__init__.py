"""The commands ``viva replay``, ``score``, ``compare``, ``gate``, ``report``, ``ask`` and ``eval``.

They import what they need when they run: ``viva --help`` loads no numpy.
"""

__all__ = ["document", "replay", "report", "score", "text", "voices"]
