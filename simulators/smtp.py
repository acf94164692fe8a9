"""An SMTP server on loopback with STARTTLS, passwords and faults."""

import asyncio
import ssl
import subprocess
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, Literal, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong with one message.

    Parameters:
        at: Where it happens. ``sender``, ``recipient`` and ``content`` are refused with ``reply``;
            ``middle`` drops the connection within the content; ``hang`` never answers the content
            and does not accept it; ``answer`` accepts the message but drops the connection before
            answering; ``silence`` accepts it and never answers.
        reply: The refusal, such as ``"450 4.2.0 Greylisted"``.
    """

    at: Literal["sender", "recipient", "content", "middle", "answer", "silence", "hang"]
    reply: str = ""


@dataclass(frozen=True, slots=True)
class Received:
    """A message that was accepted.

    Parameters:
        sender: The envelope's sender.
        recipients: The envelope's recipients.
        content: The message's bytes.
        encrypted: Whether the connection used TLS.
        user: The authenticated user; empty for none.
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    encrypted: bool
    user: str

    @property
    def message(self) -> EmailMessage:
        """The parsed content."""
        parsed = message_from_bytes(self.content, policy=default)
        assert isinstance(parsed, EmailMessage)
        return parsed


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed certificate for ``localhost`` and ``127.0.0.1``.

    Parameters:
        path: The certificate's PEM file.
        key: The private key's PEM file.
    """

    path: Path
    key: Path

    @classmethod
    def make(cls, directory: Path) -> Self:
        """Make a certificate with the ``openssl`` command."""
        made = cls(directory / "certificate.pem", directory / "key.pem")
        subprocess.run(
            [
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                "-out", made.path, "-keyout", made.key,
            ],
            check=True,
            capture_output=True,
        )  # fmt: skip
        return made

    @property
    def context(self) -> ssl.SSLContext:
        """A server's TLS context that uses it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path, self.key)
        return context


class MailServer:
    """Accepts messages while its context is open, and keeps them.

    Parameters:
        users: Passwords by user name; if there are any, clients must authenticate.
        certificate: The certificate; without one, the server offers no TLS.
        implicit_tls: Whether connections use TLS from the start instead of STARTTLS.
        faults: One per message, in order; ``None`` for a message without a fault.
    """

    def __init__(
        self,
        *,
        users: Mapping[str, str] | None = None,
        certificate: Certificate | None = None,
        implicit_tls: bool = False,
        faults: Sequence[Fault | None] = (),
    ) -> None:
        self.received: list[Received] = []
        self.connections = 0
        self.hanging = 0
        self.port = 0
        self._users = users or {}
        self._certificate = certificate
        self._implicit_tls = implicit_tls
        self._faults = list(faults)
        self._fault: Fault | None = None

    async def __aenter__(self) -> Self:
        context = self._certificate.context if self._certificate else None
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Protocol(self, None if self._implicit_tls else context, bool(self._users)),
            "127.0.0.1",
            0,
            ssl=context if self._implicit_tls else None,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    @property
    def host(self) -> str:
        """The address, as ``host:port``."""
        return f"127.0.0.1:{self.port}"

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        """Check a user name and password (aiosmtpd's authenticator)."""
        assert isinstance(data, LoginPassword)
        user = data.login.decode()
        known = self._users.get(user) == data.password.decode()
        return AuthResult(success=known, handled=False, auth_data=user)

    # aiosmtpd's hooks, one per SMTP command.

    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, sender: str, options: list[str]
    ) -> str:
        """``MAIL FROM``: a message begins."""
        self._fault = self._faults.pop(0) if self._faults else None
        if self._fault is not None and self._fault.at == "sender":
            return self._fault.reply
        envelope.mail_from = sender
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, to: str, _options: list[str]
    ) -> str:
        """``RCPT TO``: one of its recipients."""
        if self._fault is not None and self._fault.at == "recipient":
            return self._fault.reply
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """``DATA``: its content is complete."""
        if self._fault is not None and self._fault.at == "content":
            return self._fault.reply
        if self._fault is not None and self._fault.at == "hang":
            await self._hang()
        assert isinstance(envelope.content, bytes)
        self.received.append(
            Received(
                str(envelope.mail_from),
                tuple(envelope.rcpt_tos),
                envelope.content,
                session.ssl is not None or self._implicit_tls,
                str(session.auth_data or ""),
            )
        )
        if self._fault is not None and self._fault.at == "answer":
            _drop(server)
        if self._fault is not None and self._fault.at == "silence":
            await self._hang()
        return "250 OK"

    async def _hang(self) -> None:
        self.hanging += 1
        await asyncio.Event().wait()

    @property
    def drops_content(self) -> bool:
        """Whether the current fault drops the connection within the content."""
        return self._fault is not None and self._fault.at == "middle"


class _Protocol(SMTP):
    def __init__(self, server: MailServer, context: ssl.SSLContext | None, signs_in: bool) -> None:
        with warnings.catch_warnings():
            # aiosmtpd warns of passwords without TLS, which some tests want.
            warnings.simplefilter("ignore", UserWarning)
            self._init(server, context, signs_in)
        self._mail_server = server

    def _init(self, server: MailServer, context: ssl.SSLContext | None, signs_in: bool) -> None:
        super().__init__(
            server,
            hostname="mail.example.com",
            tls_context=context,
            require_starttls=False,
            auth_required=signs_in,
            auth_require_tls=context is not None,
            authenticator=server.authenticate,
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._mail_server.connections += 1
        super().connection_made(transport)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        if not self._mail_server.drops_content:
            await super().smtp_DATA(arg)
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        await self._reader.read(100)
        _drop(self)


def _drop(server: SMTP) -> None:
    assert isinstance(server.transport, asyncio.WriteTransport)
    server.transport.abort()
