"""Storage: the database and its tables, and a writer that loses no record."""
