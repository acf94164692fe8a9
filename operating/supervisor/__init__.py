"""Several worker processes on one port, and the process that supervises them."""

__all__ = ["peer_metrics", "supervisor_client", "workers"]
