"""Accounts: who may call, sign-in by mailed links, admission of calls, and mailed reports."""

__all__ = [
    "access",
    "accounts",
    "admission",
    "commands",
    "feedback",
    "headers",
    "mail",
    "network",
    "operator_key",
    "report",
    "visitors",
]
