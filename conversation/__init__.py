"""What a call is, without any I/O: its frames, turns, playback, use, and the records kept of it."""
