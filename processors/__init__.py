"""One frame processor, or one vendor's service, a file."""
