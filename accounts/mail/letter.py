"""A letter: what one mail says, and the message it is sent as."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

import idna

MAX_ADDRESS_CHARS = 254
"""Longest address that mail can be sent to (RFC 5321)."""

_MAILBOX = re.compile(
    r"""(?: (?: "(?P<quoted>[^"\\]*)" | (?P<name>[^<>"\\@,;:]*) ) \s* (?P<angle><) )?
    (?P<local> [a-z0-9!#$%&'*+/=?^_`{|}~-]+ (?: \. [a-z0-9!#$%&'*+/=?^_`{|}~-]+ )* )
    @ (?P<domain> [^\s@<>()\[\]"\\,;:]+ )
    (?(angle) > )""",
    re.IGNORECASE | re.VERBOSE | re.ASCII,
)


class MailError(Exception):
    """A letter was not sent, as far as is known.

    Parameters:
        message: What went wrong, in a sentence without secrets.
        permanent: Whether this letter can never be sent. What can be put right without changing
            it (a refused key, a full quota, a sender that is not known yet) is not permanent.
        retry_after_secs: How long to leave the carrier alone, if it said so.
    """

    def __init__(
        self, message: str, *, permanent: bool = False, retry_after_secs: float | None = None
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after_secs = retry_after_secs


def mailbox(text: str) -> Address:
    """The one mailbox that is named, such as ``viva@example.com`` or ``Viva <viva@example.com>``.

    The domain becomes its IDNA 2008 form, in lower case: ``straße.de`` is not ``strasse.de``.

    Raises:
        ValueError: It is not one mailbox, or none that every mail server can deliver to.
    """
    sane = text.isprintable() and len(text) <= 2 * MAX_ADDRESS_CHARS
    found = _MAILBOX.fullmatch(text.strip()) if sane else None
    try:
        given = found["domain"] if found else ""
        domain = idna.encode(given, uts46=True, std3_rules=True).decode()
    except idna.IDNAError:
        domain = ""
    if (
        found is None
        or not domain
        or domain.endswith(".")
        or len(found["local"]) + 1 + len(domain) > MAX_ADDRESS_CHARS
    ):
        raise ValueError(f"{text!r} is not an address such as name@example.com")
    name = found["quoted"] or found["name"] or ""
    return Address(name.strip(), found["local"], domain)


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail to one person. The same letter is the same message, to the byte.

    Parameters:
        key: What it is known by; two letters of one key are one mail.
        recipient: Address.
        subject: One line; line breaks and other controls in it become spaces.
        text: As plain text.
        html: The same as HTML; empty for text alone.
        at: When it was written, Unix seconds.
    """

    key: str
    recipient: str
    subject: str
    text: str
    html: str = ""
    at: float = 0.0

    @property
    def digest(self) -> str:
        """The key as 32 hex digits, which tell nobody whom it is to or what it is about."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:32]

    @property
    def heading(self) -> str:
        """The subject as it is sent."""
        shown = (char if char.isprintable() else " " for char in self.subject)
        return " ".join("".join(shown).split())

    def message(self, sender: Address) -> EmailMessage:
        """The letter as a MIME message, in ASCII on the wire.

        Args:
            sender: Whom it is from.

        Raises:
            ValueError: The recipient is no address, or the text is no text.
        """
        message = EmailMessage(policy=SMTP)
        message["From"] = sender
        message["To"] = Address(addr_spec=mailbox(self.recipient).addr_spec)
        message["Subject"] = self.heading
        message["Date"] = datetime.fromtimestamp(self.at, UTC)
        message["Message-ID"] = f"<{self.digest}@{sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"
        # Quoted-printable has no "=_", so nothing that is said can end a part.
        message.set_content(self.text, cte="quoted-printable")
        if self.html:
            message.add_alternative(self.html, subtype="html", cte="quoted-printable")
            message.set_boundary(f"=_{self.digest}")
        return message
