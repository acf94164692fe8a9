"""What a call is: its chain, frames, settings, vendors and clock."""
