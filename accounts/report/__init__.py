"""Call reports by mail: written from the ledger, and sent when a call is over."""

__all__ = ["reports"]
