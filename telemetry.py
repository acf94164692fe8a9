"""Turns off the telemetry and the idle threads of every dependency; imported before any of them.

Viva opens no connection that its settings do not name. onnxruntime (from 1.29 on, on Linux, too)
writes a device id into the user's cache and looks up its maker's host as soon as it is imported;
others have switches of their own. Each reads its variable once, on import, so every entry point
imports this module first. Child processes inherit the variables.

numpy's algebra (OpenBLAS) runs a thread for each core, which waits for the next product without
sleeping: with two cores, one product of 0.6 ms took 39 ms of CPU. All products here are small.
"""

import os

SWITCHES = {
    # microsoft/onnxruntime, docs/Privacy.md: read when the library is loaded.
    "ORT_DISABLE_TELEMETRY": "1",
    # huggingface_hub, imported by faster-whisper and hibari: no downloads, no usage figures.
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # Ray sends usage statistics from every cluster that it starts.
    "RAY_USAGE_STATS_ENABLED": "0",
    # consoledonottrack.com: honoured by newer libraries.
    "DO_NOT_TRACK": "1",
}
"""Environment variables by name; values that an operator has set win."""

THREADS = {"OPENBLAS_NUM_THREADS": "1"}
"""The same, for threads."""


def turn_off() -> None:
    """Set every switch that the environment does not set."""
    for name, value in (SWITCHES | THREADS).items():
        os.environ.setdefault(name, value)


turn_off()
