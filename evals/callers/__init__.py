"""Simulated callers: personas who call a server over its sockets, many at once.

Each call becomes a recording with its ground truth, to be scored like any other.
"""

__all__ = ["batch", "caller", "lead", "persona", "ray_sites", "site", "voice"]
