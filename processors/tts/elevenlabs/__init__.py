"""ElevenLabs' text to speech: over a WebSocket sentence by sentence, or a request per answer.

Import from the modules: the package itself exports nothing, so that settings and other vendors do
not load ElevenLabs' SDK.
"""
