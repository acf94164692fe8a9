"""Mail: how letters leave the house, by Resend, by a mail server, or into a folder."""

import asyncio
from email.headerregistry import Address
from typing import Protocol

from accounts.mail.letter import Letter, MailError, mailbox
from settings import Settings, SettingsError

SEND_TIMEOUT_SECS = 60.0
"""Longest that sending one letter may take in all."""


class Carrier(Protocol):
    """Who takes letters."""

    @property
    def where(self) -> str:
        """Where they go, in a few words for the terminal."""
        ...

    async def carry(self, letter: Letter, sender: Address) -> None:
        """Take one letter. Taking the same letter again is harmless where the carrier can tell.

        Raises:
            MailError: It was not taken.
        """
        ...

    async def greet(self) -> None:
        """See whether letters would be taken, as far as can be told without one.

        Raises:
            MailError: They would not.
        """
        ...

    async def close(self) -> None:
        """Give back its connections."""
        ...


class Mail:
    """Sends letters in one sender's name.

    Parameters:
        carrier: Who takes them.
        sender: Whom they are from.
        delivers: Whether they reach anybody, rather than a folder.
        timeout_secs: Longest that one may take.
    """

    def __init__(
        self,
        carrier: Carrier,
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
    def from_settings(cls, settings: Settings) -> "Mail":
        """Mail by Resend where its key is set, else by ``SMTP_URL``, else into ``DATA_DIR/outbox``.

        Raises:
            SettingsError: ``MAIL_FROM`` or ``SMTP_URL`` cannot be used.
        """
        try:
            sender = mailbox(settings.mail_from)
        except ValueError:
            raise SettingsError(
                f"MAIL_FROM={settings.mail_from!r} is no sender; write it as "
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

            return cls(Smtp.at(settings.smtp_url.get_secret_value()), sender)
        from accounts.mail.folder import Folder

        return cls(Folder(settings.data_dir / "outbox"), sender, delivers=False)

    @property
    def where(self) -> str:
        """Where letters go, in a few words for the terminal."""
        return self._carrier.where

    async def send(self, letter: Letter) -> None:
        """Send one letter.

        Raises:
            MailError: It was not sent, as far as is known: an answer may have been lost.
        """
        try:
            async with asyncio.timeout(self._timeout_secs):
                await self._carrier.carry(letter, self.sender)
        except TimeoutError:
            raise MailError(f"{self.where} took longer than {self._timeout_secs:g} s") from None
        except ValueError as error:
            raise MailError(f"no mail can be made of it: {error}", permanent=True) from None

    async def trouble(self, timeout_secs: float) -> str:
        """Why no letter would be sent, as far as can be told without one; empty if one would.

        Args:
            timeout_secs: Longest that this may take.
        """
        try:
            async with asyncio.timeout(timeout_secs):
                await self._carrier.greet()
        except TimeoutError:
            return f"{self.where} did not answer within {timeout_secs:g} s"
        except MailError as error:
            return str(error)
        return ""

    async def close(self) -> None:
        """Give back its connections."""
        await self._carrier.close()
