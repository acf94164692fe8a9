"""What is odd on this machine or in its settings, and what to change: ``viva doctor``."""
