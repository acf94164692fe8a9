"""One module a version, in the order of their numbers."""

__all__: list[str] = []  # Alembic loads them
