"""Turn taking: its rules, the stage that applies them, and the keeper of turns in progress."""

__all__ = ["contract", "keeper", "processor", "state_machine"]
