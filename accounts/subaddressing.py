"""Sub-addresses: ``ada+calls@example.com`` is delivered to ``ada@example.com`` (RFC 5233)."""

from dataclasses import dataclass
from typing import Any, Self, cast

from sqlalchemy import ColumnElement, and_, or_

from accounts.mail.letter import mailbox
from settings import Settings, SettingsError

SEPARATOR = "+"


@dataclass(frozen=True, slots=True)
class Subaddressing:
    """The domains at which an address with a plus is another name of a mailbox.

    The owner of a mailbox there has any number of addresses, so denials hold for all of them, and
    limits count them together. It never lets anyone in: at another domain such an address may
    belong to somebody else.

    Parameters:
        domains: In ASCII and lower case; ``None`` for every domain.
    """

    domains: frozenset[str] | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The domains of ``SUBADDRESSES``.

        Raises:
            SettingsError: One of them is no domain.
        """
        text = settings.subaddresses.strip()
        if text.lower() in ("all", "none"):
            return cls(None if text.lower() == "all" else frozenset())
        found = set()
        for part in filter(None, (part.strip().removeprefix("@") for part in text.split(","))):
            try:
                found.add(mailbox(f"x@{part}").domain.lower())
            except ValueError:
                raise SettingsError(
                    f"SUBADDRESSES: {part!r} is not a domain; write domains such as example.com, "
                    "separated by commas, or all, or none."
                ) from None
        return cls(frozenset(found))

    def mailbox(self, email: str) -> str:
        """The address without its sub-address, if its domain has them.

        Args:
            email: An address from :func:`accounts.access.normalize_address`.
        """
        local, _, domain = email.rpartition("@")
        base = local.partition(SEPARATOR)[0]
        return f"{base}@{domain}" if base and self._has(domain) else email

    def matches(self, column: Any, email: str) -> ColumnElement[bool]:
        """SQL condition: the column's address is delivered to the same mailbox."""
        local, _, domain = self.mailbox(email).rpartition("@")
        same = cast(ColumnElement[bool], column == f"{local}@{domain}")
        if not self._has(domain):
            return same
        return or_(
            same,
            and_(
                column.startswith(f"{local}{SEPARATOR}", autoescape=True),
                column.endswith(f"@{domain}", autoescape=True),
            ),
        )

    def _has(self, domain: str) -> bool:
        return self.domains is None or domain in self.domains


EVERYWHERE = Subaddressing()
"""Every domain has sub-addresses."""
