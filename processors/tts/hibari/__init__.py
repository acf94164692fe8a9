"""hibari, the embedded text to speech: the service and its engine.

Import the modules themselves: this package loads nothing, so that settings and other vendors do not
load the model's runtime.
"""
