"""Examples of what a developer adds to Viva; docs/developing.md walks through them.

Each has a test of the same name in ``tests/examples``.
"""
