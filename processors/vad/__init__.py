"""Voice activity detection: when the caller speaks, and whether their turn is over."""

__all__ = ["contract", "silero", "smart_turn", "voice_activity"]
