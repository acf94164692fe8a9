"""The models that run in this process: their files, ONNX sessions, and checks of their outputs.

:func:`models.sessions.open_session` creates all ONNX sessions, :mod:`models.weights` locates and
hashes all weights, and :func:`models.checks.check_models` compares each model's outputs with
reference outputs.
"""

import telemetry as telemetry  # before onnxruntime is imported by anything below

__all__ = [
    "allocation",
    "catalogue",
    "checks",
    "inference",
    "moonshine",
    "moonshine_graphs",
    "processor",
    "replacement",
    "weights",
]
