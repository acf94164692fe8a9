"""Accounts: who may call, sign-in by mailed links, admission of calls, and mailed reports."""
