"""Voice activity detection: when the caller speaks, and whether their turn is over."""
