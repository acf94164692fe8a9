"""The mailer: sends letters by Resend, by an SMTP server, or into a directory."""

import asyncio
from email.headerregistry import Address
from typing import Protocol

from accounts.mail.letter import Letter, MailError, mailbox
from settings import Settings, SettingsError

SEND_TIMEOUT_SECS = 60.0
"""Time limit for sending one letter."""


class MailBackend(Protocol):
    """Delivers letters: Resend, an SMTP server, or a directory."""

    @property
    def where(self) -> str:
        """Where letters go, in a few words for the terminal."""
        ...

    async def deliver(self, letter: Letter, sender: Address) -> None:
        """Deliver one letter. Repeating it is harmless where the backend detects duplicates.

        Raises:
            MailError: The letter was not accepted.
        """
        ...

    async def verify(self) -> None:
        """Check, as far as possible without sending, that letters would be accepted.

        Raises:
            MailError: They would not.
        """
        ...

    async def close(self) -> None:
        """Close its connections."""
        ...


class Mailer:
    """Sends letters from one sender.

    Parameters:
        carrier: The backend.
        sender: The From address.
        delivers: Whether letters reach their recipients, rather than a directory.
        timeout_secs: Time limit for one letter.
    """

    def __init__(
        self,
        carrier: MailBackend,
        sender: Address,
        *,
        delivers: bool = True,
        timeout_secs: float = SEND_TIMEOUT_SECS,
    ) -> None:
        self.sender = sender
        self.delivers = delivers
        self._carrier = carrier
        self._timeout_secs = timeout_secs

    @classmethod
    def from_settings(cls, settings: Settings) -> "Mailer":
        """A mailer for Resend if its key is set, else ``SMTP_URL``, else ``DATA_DIR/outbox``.

        Raises:
            SettingsError: ``MAIL_FROM`` or ``SMTP_URL`` is not usable.
        """
        try:
            sender = mailbox(settings.mail_from)
        except ValueError:
            raise SettingsError(
                f"MAIL_FROM={settings.mail_from!r} is not a sender; write it as "
                "Name <name@example.com>."
            ) from None
        if settings.resend_api_key is not None:
            from accounts.mail.resend import Resend

            if sender.domain == "localhost":
                raise SettingsError(
                    f"MAIL_FROM={settings.mail_from!r} cannot be sent by Resend; write an address "
                    "of a domain that you have verified at https://resend.com/domains."
                )
            key = settings.resend_api_key.get_secret_value()
            return cls(Resend(key, settings.resend_base_url), sender)
        if settings.smtp_url is not None:
            from accounts.mail.smtp import Smtp

            return cls(Smtp.from_url(settings.smtp_url.get_secret_value()), sender)
        from accounts.mail.folder import Folder

        return cls(Folder(settings.data_dir / "outbox"), sender, delivers=False)

    @property
    def where(self) -> str:
        """Where letters go, in a few words for the terminal."""
        return self._carrier.where

    async def send(self, letter: Letter) -> None:
        """Send one letter.

        Raises:
            MailError: Sending failed. The letter may still have been accepted, if only the reply
                was lost.
        """
        try:
            async with asyncio.timeout(self._timeout_secs):
                await self._carrier.deliver(letter, self.sender)
        except TimeoutError:
            raise MailError(f"{self.where} took longer than {self._timeout_secs:g} s") from None
        except ValueError as error:
            raise MailError(f"the letter is not a valid message: {error}", permanent=True) from None

    async def trouble(self, timeout_secs: float) -> str:
        """Why letters cannot be sent, as far as can be told without sending; empty if they can.

        Args:
            timeout_secs: Time limit for the check.
        """
        try:
            async with asyncio.timeout(timeout_secs):
                await self._carrier.verify()
        except TimeoutError:
            return f"{self.where} did not answer within {timeout_secs:g} s"
        except MailError as error:
            return str(error)
        return ""

    async def close(self) -> None:
        """Close the backend's connections."""
        await self._carrier.close()
