"""Text to speech: the voices, the order in which they speak, and what takes over when one fails."""
