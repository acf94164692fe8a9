"""Sends mail by SMTP."""

import asyncio
import ssl
from email.headerregistry import Address
from typing import Self
from urllib.parse import unquote, urlsplit

import aiosmtplib

from accounts.mail.letter import Letter, MailError
from settings import SettingsError

COMMAND_TIMEOUT_SECS = 20.0
"""Time limit for each reply."""

QUIT_TIMEOUT_SECS = 2.0
"""Time limit for QUIT, once the letter has been accepted."""

PORTS = {"smtp": 587, "smtps": 465}
"""Default port by scheme."""

_MOST_CHARS = 200


class Smtp:
    """An SMTP server; opens one connection per letter.

    Encrypts from the start (``smtps``), or by STARTTLS if the server offers it. A password is never
    sent unencrypted, and the server's certificate is always verified; trust a certificate authority
    of your own through ``SSL_CERT_FILE``.

    Parameters:
        host: Host name.
        port: Port.
        username: User name; ``None`` to send without authentication.
        password: Password.
        implicit_tls: Encrypt from the start.
        timeout_secs: Time limit for each reply.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        username: str | None = None,
        password: str | None = None,
        implicit_tls: bool = False,
        timeout_secs: float = COMMAND_TIMEOUT_SECS,
    ) -> None:
        self._host = host
        self._port = port
        self._username = username
        self._password = password
        self._implicit_tls = implicit_tls
        self._timeout_secs = timeout_secs

    @classmethod
    def from_url(cls, url: str) -> Self:
        """The server at ``smtp://user:password@host:587`` or ``smtps://host``.

        Raises:
            SettingsError: The URL is invalid; the message leaves it out, for its password.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or PORTS[parts.scheme]
            known = parts.hostname and parts.path in ("", "/") and not parts.query + parts.fragment
            if not known or bool(parts.username) != bool(parts.password):
                raise ValueError
        except (KeyError, ValueError):
            raise SettingsError(
                "SMTP_URL is not a mail server's address; write smtp://user:password@host:587 or "
                "smtps://user:password@host:465, with % codes for : / @ and % in the password."
            ) from None
        return cls(
            parts.hostname or "",
            port,
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            implicit_tls=parts.scheme == "smtps",
        )

    @property
    def where(self) -> str:
        """Host and port."""
        return f"{self._host}:{self._port}"

    async def deliver(self, letter: Letter, sender: Address) -> None:
        """Send one letter.

        Raises:
            MailError: Sending failed.
        """
        message = letter.message(sender)
        (recipient,) = message["To"].addresses
        try:
            server = await self._connect(sender.domain)
            try:
                await server.sendmail(sender.addr_spec, recipient.addr_spec, message.as_bytes())
            except BaseException:
                server.close()
                raise
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise self._refused(error.recipients[0]) from error
        except aiosmtplib.SMTPResponseException as error:
            raise self._refused(error) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise MailError(f"{self.where}: {error}"[:_MOST_CHARS]) from error
        await self._part(server)

    async def verify(self) -> None:
        """Connect and authenticate, then quit.

        Raises:
            MailError: The server is unreachable, or refuses the credentials.
        """
        try:
            server = await self._connect("localhost")
        except aiosmtplib.SMTPResponseException as error:
            raise self._refused(error) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise MailError(f"{self.where}: {error}"[:_MOST_CHARS]) from error
        await self._part(server)

    async def close(self) -> None:
        """Does nothing: no connection is kept open."""

    async def _connect(self, local_hostname: str) -> aiosmtplib.SMTP:
        server = aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            username=self._username,
            password=self._password,
            local_hostname=local_hostname,
            use_tls=self._implicit_tls,
            start_tls=self._starttls,
            tls_context=await asyncio.to_thread(ssl.create_default_context),
            timeout=self._timeout_secs,
        )
        await server.connect()
        return server

    @property
    def _starttls(self) -> bool | None:
        """Off over TLS, required with a password, else if the server offers it."""
        if self._implicit_tls:
            return False
        return True if self._username else None

    async def _part(self, server: aiosmtplib.SMTP) -> None:
        """Quit. The letter is sent, whether or not this succeeds."""
        try:
            await server.quit(timeout=QUIT_TIMEOUT_SECS)
        except (aiosmtplib.SMTPException, OSError):
            server.close()

    def _refused(self, error: aiosmtplib.SMTPResponseException) -> MailError:
        """The error of a reply; only errors of recipient and content are the letter's fault."""
        about_letter = isinstance(error, aiosmtplib.SMTPRecipientRefused | aiosmtplib.SMTPDataError)
        said = " ".join(error.message.split())[:_MOST_CHARS]
        if isinstance(error, aiosmtplib.SMTPAuthenticationError):
            said += " (are the user and password in SMTP_URL right?)"
        return MailError(
            f"{self.where} answered {error.code}: {said}",
            permanent=about_letter and error.code >= 500,
        )
