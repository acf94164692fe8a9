"""What a lying brain gets past the guardrails, and what an honest one loses to them."""
