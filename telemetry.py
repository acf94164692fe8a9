"""Turns the telemetry of every dependency off; imported before any of them.

Viva opens no connection that its settings do not name. onnxruntime (from 1.29 on, on Linux, too)
writes a device id under the user's cache and looks up its maker's host as soon as it is imported,
and others have switches of their own. Each reads its variable once, when it is imported: so this
module has to come first, and every way into the program imports it first. Child processes inherit
the variables.
"""

import os

SWITCHES = {
    # microsoft/onnxruntime, docs/Privacy.md: read when the library is loaded.
    "ORT_DISABLE_TELEMETRY": "1",
    # huggingface_hub, which faster-whisper and hibari import: neither downloads nor usage figures.
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # Ray sends usage statistics from every cluster that it starts.
    "RAY_USAGE_STATS_ENABLED": "0",
    # consoledonottrack.com: what newer libraries look for.
    "DO_NOT_TRACK": "1",
}
"""Environment variables by name; what an operator has set already is left as it is."""


def turn_off() -> None:
    """Set every switch that the environment does not set."""
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)


turn_off()
