"""Reports of calls by mail."""
