"""Speech to text: the recognisers, and failover between them."""

__all__ = ["contract", "deepgram", "failover", "pipecat_services", "whisper"]
