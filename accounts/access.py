"""Access control: which addresses and domains may sign in (settings, and ``viva accounts``)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, cast

from sqlalchemy import ColumnElement, or_
from sqlmodel import Session, col, select

from accounts.mail.letter import MAX_ADDRESS_CHARS, mailbox
from accounts.subaddressing import EVERYWHERE, Subaddressing
from ledger.store.tables import AccessRule, User
from settings import Settings, SettingsError

OPERATOR = "operator@localhost"
"""The operator, where ``ADMINS`` names no address. Nothing is ever mailed there."""


def normalize_address(text: str) -> str:
    """Normalize an address: lower case, with the domain in ASCII.

    Raises:
        ValueError: The text is not an address such as ``name@example.com``.
    """
    found = mailbox(text)
    if found.display_name or "<" in text or not found.username.isascii():
        raise ValueError(f"{text!r} is not an address such as name@example.com")
    return found.addr_spec.lower()


def is_mailable(caller: str) -> bool:
    """Whether mail can be sent to a caller: they have signed in, and not as the operator."""
    try:
        return caller != OPERATOR and bool(mailbox(caller))
    except ValueError:
        return False


def normalize_pattern(text: str) -> str:
    """Normalize an address, or a domain such as ``@example.com``.

    A domain does not cover its subdomains.

    Raises:
        ValueError: The text is neither an address nor a domain.
    """
    text = text.strip()
    try:
        found = (
            normalize_address(f"x{text}")[1:] if text.startswith("@") else normalize_address(text)
        )
    except ValueError:
        found = ""
    if not found or len(found) > MAX_ADDRESS_CHARS or "*" in text:
        raise ValueError(
            f"{text!r} is neither an address such as name@example.com nor a domain such as "
            "@example.com" + (", which is everybody there: a * stands for nothing" * ("*" in text))
        )
    return found


@dataclass(frozen=True, slots=True)
class Access:
    """The access policy: allowed addresses and domains, and admins.

    A rule that denies an address takes precedence over everything that allows it, and holds for
    every address of the same mailbox.

    Parameters:
        allow: Addresses and domains from ``ALLOW``.
        admins: Addresses that may sign in and see other people's calls.
        subaddressing: Which addresses are of one mailbox.
    """

    allow: frozenset[str]
    admins: tuple[str, ...]
    subaddressing: Subaddressing = EVERYWHERE

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The policy of ``ALLOW``, ``ADMINS`` and ``SUBADDRESSES``.

        Raises:
            SettingsError: One of them contains neither an address nor a domain.
        """
        return cls(
            read_allow(settings), read_admins(settings), Subaddressing.from_settings(settings)
        )

    def admits(self, db: Session, email: str) -> bool:
        """Whether an address may sign in. Takes the same time for every address.

        Args:
            db: The database.
            email: An address from :func:`normalize_address`.
        """
        names = (email, "@" + email.rpartition("@")[2])
        pattern = col(AccessRule.pattern)
        found = or_(pattern.in_(names), self.subaddressing.matches(pattern, email))
        rules = db.exec(select(AccessRule).where(found)).all()
        if email == OPERATOR or not all(rule.allowed for rule in rules):
            return False
        named = {rule.pattern for rule in rules} | self.allow | set(self.admins)
        return not named.isdisjoint(names)

    def is_known(self, db: Session, email: str) -> bool:
        """Whether an address has signed in before, or is allowed by itself, not by its domain.

        Takes the same time for every address.
        """
        rule = select(AccessRule.pattern).where(
            col(AccessRule.pattern) == email, col(AccessRule.allowed)
        )
        user = select(User.id).where(col(User.email) == email)
        known = db.exec(select(or_(rule.exists(), user.exists()))).one()
        return known or email in self.allow or email in self.admins

    def is_admin(self, email: str) -> bool:
        """Whether an address may see other people's calls."""
        return email in self.admins or email == OPERATOR


def address_matches(
    email: Any, whose: str, subaddressing: Subaddressing = EVERYWHERE
) -> ColumnElement[bool]:
    """SQL condition: the column's address matches a mailbox or ``@domain`` pattern."""
    if whose.startswith("@"):
        return cast(ColumnElement[bool], email.endswith(whose, autoescape=True))
    return subaddressing.matches(email, whose)


def list_rules(db: Session) -> list[AccessRule]:
    """All access rules, ordered by pattern."""
    return list(db.exec(select(AccessRule).order_by(col(AccessRule.pattern))))


def set_rule(db: Session, name: str, *, allowed: bool, now: float) -> None:
    """Create the rule for a pattern, or replace it.

    Args:
        db: A writing session.
        name: A pattern from :func:`normalize_pattern`.
        allowed: Whether to allow or to deny.
        now: Unix seconds.
    """
    db.merge(AccessRule(pattern=name, allowed=allowed, created_at=now))


def delete_rule(db: Session, name: str) -> bool:
    """Delete the rule for a pattern; returns whether there was one."""
    found = db.get(AccessRule, name)
    if found is not None:
        db.delete(found)
    return found is not None


def read_allow(settings: Settings) -> frozenset[str]:
    """The addresses and domains of ``ALLOW``.

    Raises:
        SettingsError: An entry is neither.
    """
    return frozenset(_parts("ALLOW", settings.allow, normalize_pattern))


def read_admins(settings: Settings) -> tuple[str, ...]:
    """The addresses of ``ADMINS``.

    Raises:
        SettingsError: An entry is not an address.
    """
    return tuple(_parts("ADMINS", settings.admins, _normalize_admin))


def _normalize_admin(text: str) -> str:
    if "*" in text:
        raise ValueError(f"{text!r} names nobody, as a * stands for nothing: write each address")
    return normalize_address(text)


def _parts(name: str, text: str, read: Callable[[str], str]) -> list[str]:
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            found.append(read(part))
        except ValueError as error:
            raise SettingsError(f"{name}: {error}; put commas between them.") from None
    return found
