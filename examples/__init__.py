"""Examples of what a developer adds to Viva; docs/developing.md walks through them.

Each has a test of the same name in ``tests/examples``.
"""

__all__: list[str] = []  # to be copied; named on command lines
