"""The report of a run, or of two, as one HTML file."""
