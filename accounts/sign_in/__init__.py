"""Signing in: links by mail, sessions, and their pages."""
