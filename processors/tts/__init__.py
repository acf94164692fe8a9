"""Text to speech: the voices, what they add to pipecat's services, and failover between them."""
