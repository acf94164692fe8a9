"""The commands ``viva replay``, ``score``, ``compare``, ``gate`` and ``report``."""
