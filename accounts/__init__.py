"""Who may call, and who is told."""
