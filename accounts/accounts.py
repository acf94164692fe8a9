"""Authentication of requests: by session, by the operator's key, or not at all (``AUTH=off``)."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from aiohttp import web
from loguru import logger
from sqlalchemy.exc import SQLAlchemyError

from accounts import operator_key, secret
from accounts.access import OPERATOR, Access, read_admins, read_allow
from accounts.network import from_loopback, is_loopback_host, trusted_networks
from accounts.sign_in import cookies
from accounts.sign_in.authenticator import Authenticator
from accounts.sign_in.link_mail import LinkMail, SendMail
from accounts.sign_in.pages import Pages, link_url
from accounts.subaddressing import Subaddressing
from accounts.visitors import FIELD, Visitors, embedding_origins
from conversation.records import CallerIdentity
from ledger.store.database import Database
from settings import Settings, SettingsError

DAY_SECS = 86400.0

_PATH = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?")
"""What may follow the host of ``PUBLIC_URL``: a path without anything that has to be quoted."""

ANYBODY = CallerIdentity(admin=True, key="local")
"""The caller of every request under ``AUTH=off``."""

THE_OPERATOR = CallerIdentity(email=OPERATOR, admin=True, key=OPERATOR)


class Accounts:
    """Signs callers in and identifies who makes a request.

    A session that ends elsewhere (``viva accounts deny`` or ``revoke``, another process) is
    rejected within :data:`accounts.sign_in.authenticator.REMEMBER_SECS`. A call in progress is not
    cut off.

    Parameters:
        database: Holds sign-in links, sessions and access rules.
        settings: Settings that :func:`check_settings` has accepted.
        send: Sends mail.
        tell: Receives each link when no mail is configured and the server is on loopback.
        clock: Returns Unix seconds; the system clock by default.
        delay: Returns the seconds to wait before a link is sent.

    Raises:
        SettingsError: The operator's key cannot be stored in ``DATA_DIR``.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        send: SendMail,
        *,
        tell: Callable[[str], None] | None = None,
        clock: Callable[[], float] | None = None,
        delay: Callable[[], float] | None = None,
    ) -> None:
        self._settings = settings
        self._access = Access.from_settings(settings)
        self._key = operator_key.load_or_create(settings.data_dir)
        self._sign_in = Authenticator(
            database, self._access, session_secs=settings.session_days * DAY_SECS, clock=clock
        )
        self.visitors = Visitors(settings, self._key, clock=clock)
        told = tell if self._in_terminal else None
        self._mail = LinkMail(send, tell=told, delay=delay)

    def setup(self, app: web.Application) -> None:
        """Add the routes."""
        Pages(
            self._settings,
            self._sign_in,
            self._mail,
            in_terminal=self._in_terminal,
            caller=self.identify,
        ).setup(app)

        async def shut_down(_app: web.Application) -> None:
            await self.close()

        app.on_shutdown.append(shut_down)

    async def close(self) -> None:
        """Send the pending links; the application calls this on shutdown."""
        await self._mail.close()

    async def identify(self, request: web.Request) -> CallerIdentity | None:
        """Identify who makes a request; ``None`` if they must sign in first.

        With an ``Authorization: Bearer`` header, only that key counts.

        Raises:
            web.HTTPServiceUnavailable: The database cannot be read.
        """
        if FIELD in request.query:  # whoever else they are: they call from another site's page
            return self.visitors.identify(request) if self._may_be_visitor(request) else None
        if self._settings.auth == "off":
            return ANYBODY if self._is_local(request) else None
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            known = secret.constant_time_equal(key.strip(), self._key) and from_loopback(
                request, self._settings
            )
            return THE_OPERATOR if known else None
        session = cookies.read_cookie(request, self._settings, cookies.SESSION)
        try:
            email = await self._sign_in.find_email(session)
        except SQLAlchemyError as error:
            logger.error("accounts: the database cannot be used: {}", type(error).__name__)
            raise web.HTTPServiceUnavailable(
                text="Sign-in is temporarily unavailable. Please try again in a minute."
            ) from error
        if email is None or (email == OPERATOR and not from_loopback(request, self._settings)):
            return None
        key = self._access.subaddressing.mailbox(email)
        return CallerIdentity(email=email, admin=self._access.is_admin(email), key=key)

    def returning(self, request: web.Request) -> CallerIdentity | None:
        """A visitor of another site who comes back to their call from another network."""
        return self.visitors.returning(request) if self._may_be_visitor(request) else None

    async def welcome_link(self, base_url: str) -> str | None:
        """A sign-in link for the operator, to print when the server starts on their own machine.

        It works once, for 15 minutes, in any browser on this machine.

        Args:
            base_url: The server's address, such as ``http://127.0.0.1:7860``.

        Returns:
            The link; ``None`` under ``AUTH=off`` or when mail is configured.

        Raises:
            SQLAlchemyError: The database cannot be used.
        """
        if not self._in_terminal:
            return None
        return link_url(base_url, await self._sign_in.create_operator_link())

    @property
    def _in_terminal(self) -> bool:
        """Whether links are printed, as no mail is configured and callers are on this machine."""
        settings = self._settings
        delivers = settings.smtp_url is not None or settings.resend_api_key is not None
        return settings.auth == "link" and not delivers and is_loopback_host(settings.host)

    def _may_be_visitor(self, request: web.Request) -> bool:
        return self._settings.auth != "off" or self._is_local(request)

    def _is_local(self, request: web.Request) -> bool:
        """Whether the request is local, and not from a site whose name resolves to loopback."""
        return from_loopback(request, self._settings) and is_loopback_host(request.host)


def check_settings(settings: Settings) -> None:
    """Check that the settings for access go together.

    Raises:
        SettingsError: They do not; the message says which setting to change, and how.
    """
    for check in CHECKS:
        check(settings)


def _check_reach(settings: Settings) -> None:
    """Check ``PUBLIC_URL``, and that others reach this server only if it knows its callers."""
    public = _public_host(settings.public_url)
    on_loopback = is_loopback_host(settings.host)
    if settings.auth == "off":
        if not on_loopback:
            raise SettingsError(
                f"AUTH=off is refused with HOST={settings.host}: anyone who can reach it could "
                "make calls at your expense. Set HOST=127.0.0.1, or AUTH=link."
            )
        if settings.trusted_proxies or (public and not is_loopback_host(public)):
            name = "TRUSTED_PROXIES" if settings.trusted_proxies else "PUBLIC_URL"
            raise SettingsError(
                f"AUTH=off is refused with {name}, which makes this server reachable for others. "
                f"Leave {name} empty, or set AUTH=link."
            )
    elif not on_loopback and not public:
        raise SettingsError(
            f"HOST={settings.host} needs PUBLIC_URL: the address that callers open, such as "
            "https://viva.example.com. Sign-in links begin with it."
        )


CHECKS: tuple[Callable[[Settings], object], ...] = (
    read_allow,
    read_admins,
    Subaddressing.from_settings,
    lambda settings: trusted_networks(settings.trusted_proxies),
    embedding_origins,
    _check_reach,
)
"""The checks of :func:`check_settings`, each of which raises :class:`SettingsError`."""


def _public_host(url: str) -> str:
    """The host of ``PUBLIC_URL``; empty if that is unset."""
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    beyond = url.removeprefix(f"{parts.scheme}://{parts.netloc}") if host else url
    known = host and "@" not in url and parts.scheme in ("https", "http")
    if not known or not _PATH.fullmatch(beyond):
        raise SettingsError(
            f"PUBLIC_URL={url!r} is not a server's address; write it as https://viva.example.com, "
            "with nothing after the host but a port and a path, such as /viva."
        )
    if parts.scheme == "http" and not is_loopback_host(host):
        raise SettingsError(
            f"PUBLIC_URL={url!r} must begin with https://: without it, browsers give no access to "
            "the microphone and keep nobody signed in."
        )
    return host
