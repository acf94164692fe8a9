"""hibari, the embedded text to speech: the pipecat service and its engine.

Import from the modules: the package itself exports nothing, so that settings and other vendors do
not load the model's runtime.
"""
