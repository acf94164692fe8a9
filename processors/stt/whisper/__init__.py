"""Whisper, the embedded speech to text: the pipecat service, its engine and the model.

Importing the package loads none of its modules, so that settings and other vendors do not
load the model's runtime.
"""

__all__ = ["engine", "model", "service"]
