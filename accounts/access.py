"""Who may sign in: addresses and domains, by the settings and by the rules of ``viva accounts``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, cast

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from accounts.mail.letter import MAX_ADDRESS_CHARS, mailbox
from ledger.store.tables import AccessRule
from settings import Settings, SettingsError

OPERATOR = "operator@localhost"
"""Whoever runs this server, as far as it has no name for them. No link is ever mailed there."""


def address(text: str) -> str:
    """An address as it is kept: in lower case, its domain in ASCII.

    Raises:
        ValueError: It is no address such as ``name@example.com``.
    """
    found = mailbox(text)
    if found.display_name or "<" in text or not found.username.isascii():
        raise ValueError(f"{text!r} is not an address such as name@example.com")
    return found.addr_spec.lower()


def pattern(text: str) -> str:
    """An address, or a domain such as ``@example.com``, as it is kept.

    A domain stands for itself, not for the domains below it.

    Raises:
        ValueError: It is neither.
    """
    text = text.strip()
    try:
        found = address(f"x{text}")[1:] if text.startswith("@") else address(text)
    except ValueError:
        found = ""
    if not found or len(found) > MAX_ADDRESS_CHARS:
        raise ValueError(
            f"{text!r} is neither an address such as name@example.com nor a domain such as "
            "@example.com"
        )
    return found


@dataclass(frozen=True, slots=True)
class Access:
    """Who may sign in.

    Whoever is denied by a rule may not, whatever else is said of them.

    Parameters:
        allow: Addresses and domains of the settings.
        admins: Addresses that may sign in and see other people's calls.
    """

    allow: frozenset[str]
    admins: tuple[str, ...]

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """As ``ALLOW`` and ``ADMINS`` say.

        Raises:
            SettingsError: One of them names neither an address nor a domain.
        """
        return cls(
            frozenset(_parts("ALLOW", settings.allow, pattern)),
            tuple(_parts("ADMINS", settings.admins, address)),
        )

    def admits(self, db: Session, email: str) -> bool:
        """Whether an address may sign in; the work is the same for each.

        Args:
            db: The database.
            email: As :func:`address` makes it.
        """
        names = (email, "@" + email.rpartition("@")[2])
        rules = db.exec(select(AccessRule).where(col(AccessRule.pattern).in_(names))).all()
        if email == OPERATOR or not all(rule.allowed for rule in rules):
            return False
        return bool(rules) or not self.allow.isdisjoint(names) or email in self.admins

    def is_admin(self, email: str) -> bool:
        """Whether an address may see other people's calls."""
        return email in self.admins or email == OPERATOR


def belongs(email: Any, whose: str) -> ColumnElement[bool]:
    """Whether a column's address is the one that a pattern names, or is of its domain."""
    return cast(
        ColumnElement[bool],
        email.endswith(whose, autoescape=True) if whose.startswith("@") else email == whose,
    )


def rules(db: Session) -> list[AccessRule]:
    """All rules, by their patterns."""
    return list(db.exec(select(AccessRule).order_by(col(AccessRule.pattern))))


def rule(db: Session, name: str, *, allowed: bool, now: float) -> None:
    """Make a rule; it replaces the one of the same pattern.

    Args:
        db: The database, to be written.
        name: As :func:`pattern` makes it.
        allowed: Whether it allows or denies.
        now: Unix seconds.
    """
    db.merge(AccessRule(pattern=name, allowed=allowed, created_at=now))


def forget(db: Session, name: str) -> bool:
    """Drop a rule; whether there was one."""
    found = db.get(AccessRule, name)
    if found is not None:
        db.delete(found)
    return found is not None


def _parts(name: str, text: str, read: Callable[[str], str]) -> list[str]:
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            found.append(read(part))
        except ValueError as error:
            raise SettingsError(f"{name}: {error}; put commas between them.") from None
    return found
