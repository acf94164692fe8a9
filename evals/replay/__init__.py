"""Replay: recorded calls held again in virtual time, with any stage done by another vendor."""
