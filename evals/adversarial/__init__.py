"""How many lies the guardrails let through, and how many true sentences they refuse."""

__all__: list[str] = []  # run with ``python -m``
