"""Mail: letters, the outbox they wait in, and the ways to deliver them."""
