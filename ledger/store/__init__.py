"""Storage: the database and its tables, and the writer that loses no record."""
