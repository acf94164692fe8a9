"""hibari, the embedded text to speech: the pipecat service and its engine.

Importing the package loads none of its modules, so that settings and other vendors do not
load the model's runtime.
"""

__all__ = ["engine", "service"]
