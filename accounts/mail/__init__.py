"""Mail: letters, the outbox they wait in, and the backends that deliver them."""

__all__ = ["digest", "letter", "mailer", "outbox"]
