"""Several worker processes on one port, and the process that supervises them."""

__all__ = ["handover", "peer_metrics", "supervisor_client", "workers"]
