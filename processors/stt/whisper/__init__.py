"""Whisper, the embedded speech to text: the pipecat service, its engine and the model.

Import from the modules: the package itself exports nothing, so that settings and other vendors do
not load the model's runtime.
"""
