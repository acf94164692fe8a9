"""The brain: turns each of the caller's turns into one checked decision, streamed as it arrives."""
