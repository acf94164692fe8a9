"""What a recorded call is: one MCAP file, written while it goes on, read back whole."""
