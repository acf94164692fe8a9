"""Deepgram's speech to text: the service, and the connection it keeps open.

Import :class:`processors.stt.deepgram.service.DeepgramSTT` itself: this package loads nothing, so
that settings and other vendors do not load Deepgram's SDK.
"""
