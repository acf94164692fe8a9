"""Mail: letters, the outbox they wait in, and the backends that deliver them."""

__all__ = ["letter", "mailer", "outbox"]
