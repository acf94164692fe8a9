"""What a lying brain gets past the guardrails, and what an honest one loses to them."""

__all__: list[str] = []  # run with ``python -m``
