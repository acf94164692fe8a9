"""The models that run in this process: their files, their sessions, and whether they are right.

Every ONNX session of Viva is made by :func:`models.sessions.open_session`, every file of weights is
found and hashed by :mod:`models.weights`, and :func:`models.checks.check_models` holds each model
against reference outputs.
"""

import telemetry as telemetry  # before onnxruntime is imported by anything below
