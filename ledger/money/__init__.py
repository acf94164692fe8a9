"""Money: vendor prices, the daily budget, a call's worst-case cost, and spend settlement.

:class:`~ledger.money.budget.Budget` holds money for a call before it starts,
:class:`~ledger.money.prices.Prices` prices what it uses, and
:class:`~ledger.money.spend_settlement.SpendSettlement` replaces the hold by what it cost. All
amounts are whole micro-dollars. docs/money.md explains the caps.
"""

__all__ = ["budget", "price_table", "prices", "spend_settlement", "worst_case"]
