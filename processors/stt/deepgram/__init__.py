"""Deepgram's speech to text: Nova, Flux, and the connection that both use.

Importing the package loads none of its modules, so that settings and other vendors do not
load Deepgram's SDK.
"""

__all__ = ["connection", "flux", "service"]
