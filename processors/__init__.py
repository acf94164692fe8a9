"""The stages of a call's chain, a package each, and what they have in common."""

import telemetry as telemetry  # before anything that has some  # isort: skip

__all__ = [
    "audio",
    "brain",
    "contract",
    "daemon",
    "declarations",
    "key_check",
    "pool",
    "stage_boundary",
    "stt",
    "text_filter",
    "tts",
    "turns",
    "vad",
    "window",
]
