"""Speech to text: the recognisers, and what takes over when one fails."""
