"""Whisper, the embedded speech to text: the service, its engine and the model's files.

Import the modules themselves: this package loads nothing, so that settings and other vendors do not
load the model's runtime.
"""
