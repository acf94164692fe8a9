"""ElevenLabs' text to speech: the service, its connection, and speech requested as a whole.

Import the modules themselves: this package loads nothing, so that settings and other vendors do not
load ElevenLabs' SDK.
"""
