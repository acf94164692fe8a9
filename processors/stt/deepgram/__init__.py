"""Deepgram's speech to text: Nova, Flux, and the connection that both use.

Import from the modules: the package itself exports nothing, so that settings and other vendors do
not load Deepgram's SDK.
"""
