"""Who makes a request: by a session, by the operator's key, or anybody where that is allowed."""

from collections.abc import Callable
from urllib.parse import urlsplit

from aiohttp import web
from loguru import logger
from sqlalchemy.exc import SQLAlchemyError

from accounts import operator_key, secret
from accounts.access import OPERATOR, Access
from accounts.network import from_loopback, is_loopback_host, trusted_networks
from accounts.sign_in import cookies
from accounts.sign_in.link_mail import LinkMail, Send
from accounts.sign_in.pages import Pages, link_url
from accounts.sign_in.sign_in import SignIn
from conversation.records import Caller
from ledger.store.database import Database
from settings import Settings, SettingsError

DAY_SECS = 86400.0

ANYBODY = Caller(admin=True, key="local")
"""Whoever calls where nobody signs in."""

THE_OPERATOR = Caller(email=OPERATOR, admin=True, key=OPERATOR)


class Accounts:
    """Who may call.

    What ends a session elsewhere (``viva accounts deny`` or ``revoke``, another process) is felt
    within :data:`accounts.sign_in.sign_in.REMEMBER_SECS`. A call that has begun goes on to its end.

    Parameters:
        database: Where links, sessions and rules are.
        settings: The settings; :func:`check_settings` has passed them.
        send: Who sends mail.
        tell: Told the links that are sent, if no mail is set up on a machine's own server.
        clock: Unix seconds; the present when not given.
        delay: Seconds until a link is handed on.

    Raises:
        SettingsError: ``DATA_DIR`` cannot hold the operator's key.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        send: Send,
        *,
        tell: Callable[[str], None] | None = None,
        clock: Callable[[], float] | None = None,
        delay: Callable[[], float] | None = None,
    ) -> None:
        self._settings = settings
        self._access = Access.from_settings(settings)
        self._key = operator_key.make(settings.data_dir)
        self._sign_in = SignIn(
            database, self._access, session_secs=settings.session_days * DAY_SECS, clock=clock
        )
        told = tell if self._in_terminal else None
        self._mail = LinkMail(send, tell=told, delay=delay)

    def setup(self, app: web.Application) -> None:
        """Add the routes."""
        Pages(
            self._settings,
            self._sign_in,
            self._mail,
            in_terminal=self._in_terminal,
            caller=self.caller,
        ).setup(app)

        async def shut_down(_app: web.Application) -> None:
            await self.close()

        app.on_shutdown.append(shut_down)

    async def close(self) -> None:
        """Hand on the links that were asked for last; the application does so when it ends."""
        await self._mail.close()

    async def caller(self, request: web.Request) -> Caller | None:
        """Who makes a request; ``None`` for whoever has to sign in first.

        A request with an ``Authorization: Bearer`` is known by that alone.

        Raises:
            web.HTTPServiceUnavailable: It cannot be looked up just now.
        """
        if self._settings.auth == "off":
            return ANYBODY if self._is_local(request) else None
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            known = secret.same(key.strip(), self._key) and from_loopback(request, self._settings)
            return THE_OPERATOR if known else None
        session = cookies.held(request, self._settings, cookies.SESSION)
        try:
            email = await self._sign_in.who(session)
        except SQLAlchemyError as error:
            logger.error("accounts: the database cannot be used: {}", type(error).__name__)
            raise web.HTTPServiceUnavailable(
                text="It cannot be looked up just now who you are. Please try again in a minute."
            ) from error
        if email is None or (email == OPERATOR and not from_loopback(request, self._settings)):
            return None
        return Caller(email=email, admin=self._access.is_admin(email), key=email)

    async def welcome_link(self, base_url: str) -> str | None:
        """A link for whoever starts this server on their own machine, to be shown to them.

        It works once, for 15 minutes, in any browser of this machine.

        Args:
            base_url: Where the server is, such as ``http://127.0.0.1:7860``.

        Returns:
            The link; ``None`` where nobody signs in, or mail is set up to do so.

        Raises:
            SQLAlchemyError: The database cannot be used.
        """
        if not self._in_terminal:
            return None
        return link_url(base_url, await self._sign_in.welcome())

    @property
    def _in_terminal(self) -> bool:
        """Whether links are printed, as there is no mail but for files on this machine."""
        settings = self._settings
        delivers = settings.smtp_url is not None or settings.resend_api_key is not None
        return settings.auth == "link" and not delivers and is_loopback_host(settings.host)

    def _is_local(self, request: web.Request) -> bool:
        """Whether this machine's own user asks, rather than a site that leads its name here."""
        return from_loopback(request, self._settings) and is_loopback_host(request.host)


def check_settings(settings: Settings) -> None:
    """See whether the settings that say who may call go together.

    Raises:
        SettingsError: They do not; the text says which, and what to set.
    """
    Access.from_settings(settings)
    trusted_networks(settings.trusted_proxies)
    public = _public_host(settings.public_url)
    on_loopback = is_loopback_host(settings.host)
    if settings.auth == "off":
        if not on_loopback:
            raise SettingsError(
                f"AUTH=off is refused with HOST={settings.host}: anybody who can reach it could "
                "call at your cost. Set HOST=127.0.0.1, or AUTH=link."
            )
        if settings.trusted_proxies or (public and not is_loopback_host(public)):
            name = "TRUSTED_PROXIES" if settings.trusted_proxies else "PUBLIC_URL"
            raise SettingsError(
                f"AUTH=off is refused with {name}, by which others can reach this server. "
                f"Leave {name} empty, or set AUTH=link."
            )
    elif not on_loopback and not public:
        raise SettingsError(
            f"HOST={settings.host} needs PUBLIC_URL: the address that callers open, such as "
            "https://viva.example.com. The links that sign them in begin with it."
        )


def _public_host(url: str) -> str:
    """The host of ``PUBLIC_URL``; empty if that is."""
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    beyond = url.removeprefix(f"{parts.scheme}://{parts.netloc}") if host else url
    if not host or "@" in url or parts.scheme not in ("https", "http") or beyond not in ("", "/"):
        raise SettingsError(
            f"PUBLIC_URL={url!r} is no server's address; write it as https://viva.example.com, "
            "with nothing behind the host but a port."
        )
    if parts.scheme == "http" and not is_loopback_host(host):
        raise SettingsError(
            f"PUBLIC_URL={url!r} must begin with https://: browsers open microphones and keep "
            "callers signed in nowhere else."
        )
    return host
