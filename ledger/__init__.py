"""The ledger: what happened in calls, and what it cost.

Tables and the writer are in :mod:`ledger.store`, prices and budgets in :mod:`ledger.money`, and the
call log that pages and commands show in :mod:`ledger.log`.
"""

__all__ = ["commands", "log", "money", "retention", "store"]
