"""ElevenLabs' text to speech: over a WebSocket sentence by sentence, or a request per answer.

Importing the package loads none of its modules, so that settings and other vendors do not
load ElevenLabs' SDK.
"""

__all__ = ["messages", "service", "voices", "whole"]
