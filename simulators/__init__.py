"""Simulators of the cloud vendors on loopback: their wire protocols and their failures."""

__all__ = [
    "deepgram_recogniser",
    "elevenlabs",
    "grammar",
    "listener",
    "lying",
    "model",
    "openai",
    "simulate",
]
