"""Storage: the database and its tables, and a writer that loses no record.

:class:`~ledger.store.database.Database` opens SQLite or PostgreSQL and migrates its tables;
:class:`~ledger.store.writer.LedgerWriter` writes records in a thread, and spools them to disk while
the database fails.
"""

__all__ = ["database", "posting", "spool", "tables", "writer"]
