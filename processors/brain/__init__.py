"""The brain: one turn in, one checked decision out, streamed as it arrives."""
