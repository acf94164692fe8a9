"""The brain: turns each of the caller's turns into one checked decision, streamed as it arrives."""

__all__ = [
    "bounded_usage",
    "cached_prompt",
    "claude",
    "claude_models",
    "contract",
    "decision_keeper",
    "decision_run",
    "extractive",
    "failover",
    "fixed_sentences",
    "follow_up",
    "guardrails",
    "openai_compatible",
    "prompt",
    "repair",
    "responder",
    "speculation",
    "tool_call",
    "tools",
    "vendor_fault",
]
