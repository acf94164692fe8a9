"""``viva doctor``: checks the machine and its settings, and says what to change."""

__all__ = ["commands"]
