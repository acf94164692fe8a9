"""Voice activity: whether the caller speaks, and whether they have finished."""
