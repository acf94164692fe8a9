"""Other voice frameworks, with the same scripted vendors, to compare Viva with.

``make install-bench`` installs them.
"""

__all__: list[str] = []  # each runs in a process of its own
