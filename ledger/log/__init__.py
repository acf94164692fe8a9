"""The call log: what the ledger says of calls and turns, filtered, totalled and listed.

:mod:`~ledger.log.filter` reads a filter from a query string, :mod:`~ledger.log.entries` lists what
matches it, :mod:`~ledger.log.totals` adds it up. ``/calls``, ``viva ledger`` and the mailed reports
show the same entries, and :mod:`~ledger.log.cells` keeps a spreadsheet from evaluating what callers
said.
"""

__all__ = ["cells", "entries", "filter", "listing", "query", "sound", "totals"]
