"""Text to speech: the voices, what they add to pipecat's services, and failover between them."""

__all__ = [
    "contract",
    "elevenlabs",
    "failover",
    "hibari",
    "normalisation",
    "pipecat_services",
    "speech_queue",
]
