"""Pages for signing in and out. They work without styles, and do not reveal who may call."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from aiohttp import web
from loguru import logger
from sqlalchemy.exc import SQLAlchemyError
from yarl import URL

from accounts import secret
from accounts.access import normalize_address
from accounts.network import (
    client_network,
    from_loopback,
    is_loopback_host,
    listening_address,
    root_path,
)
from accounts.sign_in import cookies, forms, limits
from accounts.sign_in.authenticator import Authenticator, TooManyLinksError
from accounts.sign_in.cookies import BROWSER, SESSION
from accounts.sign_in.forms import ForgedFormError
from accounts.sign_in.link_mail import LinkMail
from accounts.sign_in.links import LINK_SECS, LinkError
from accounts.sign_in.refusals import (
    LINKS,
    NO_ADDRESS,
    OUT_OF_DATE,
    OUT_OF_ORDER,
    Refusal,
    too_many,
    too_many_for_address,
)
from accounts.templating import render
from conversation.records import CallerIdentity
from settings import Settings

HOME = "/"
SIGN_IN = "/sign-in"
LINK = "/sign-in/link"
SIGN_OUT = "/sign-out"
ACCOUNT = "/account.json"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Pages:
    """``/sign-in``, ``/sign-in/link`` and ``/sign-out``.

    A link is ``/sign-in/link#TOKEN``: the fragment stays in the browser until a button is pressed,
    so that it appears in no log and no ``Referer``, and link scanners do not use it up. Redirects
    always lead to the call; nothing in a request can change the target.

    Parameters:
        settings: The settings.
        sign_in: Manages links and sessions.
        mail: Sends links.
        in_terminal: Whether links are printed, because no mail is configured.
        caller: Identifies who makes a request.
    """

    def __init__(
        self,
        settings: Settings,
        sign_in: Authenticator,
        mail: LinkMail,
        *,
        in_terminal: bool,
        caller: Callable[[web.Request], Awaitable[CallerIdentity | None]],
    ) -> None:
        self._settings = settings
        self._sign_in = sign_in
        self._mail = mail
        self._in_terminal = in_terminal
        self._caller = caller

    def setup(self, app: web.Application) -> None:
        """Add the routes."""
        router = app.router
        router.add_get(SIGN_IN, self._explained(self._ask))
        router.add_post(SIGN_IN, self._explained(self._asked))
        router.add_get(LINK, self._explained(self._link))
        router.add_post(LINK, self._explained(self._enter))
        router.add_get(SIGN_OUT, self._explained(self._leave))
        router.add_post(SIGN_OUT, self._explained(self._left))
        router.add_get(ACCOUNT, self._account)

    def _explained(self, handler: Handler) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                return await handler(request)
            except ForgedFormError:
                return self._refused(request, OUT_OF_DATE)
            except TooManyLinksError as error:
                return self._refused_by(request, error.limit, too_many)
            except LinkError as error:
                caller = await self._caller(request)
                email = "" if caller is None else caller.email
                return self._refused(request, LINKS[error.reason], signed_in=email)
            except SQLAlchemyError as error:
                logger.error("accounts: the database cannot be used: {}", type(error).__name__)
                return self._refused(request, OUT_OF_ORDER)

        return handle

    # Asking for a link.

    async def _ask(self, request: web.Request) -> web.StreamResponse:
        if await self._caller(request) is not None:
            return _to(HOME)
        if own := self._other_name(request):
            return _to(own + SIGN_IN)
        return self._form(request, "sign_in.html.j2", email="", trouble="")

    async def _asked(self, request: web.Request) -> web.StreamResponse:
        browser = self._held(request, BROWSER)
        fields = await forms.read_form(request, holder=browser)
        typed = fields.get("email", "").strip()
        try:
            email = normalize_address(typed)
        except ValueError:
            trouble = "This is not an address such as name@example.com."
            return self._form(
                request, "sign_in.html.j2", status=400, email=typed[:254], trouble=trouble
            )
        base_url = self._base_url(request)
        if not base_url:
            return self._refused(request, NO_ADDRESS)
        network = client_network(request, self._settings)
        asked = await self._sign_in.request_link(email, browser=browser, network=network)
        if asked.exceeded is not None:
            return self._refused_by(request, asked.exceeded, too_many_for_address)
        url = link_url(base_url, asked.token)
        store = partial(
            self._sign_in.store_link, asked.token, email, browser=browser, network=network
        )
        self._mail.send_later(
            email, asked.token, url, granted=asked.granted, store=store if asked.busy else None
        )
        return self._form(
            request,
            "sign_in_sent.html.j2",
            email=email,
            in_terminal=self._in_terminal,
            busy=asked.busy,
            minutes=round(LINK_SECS / 60),
            most=limits.BROWSER_LINKS,
        )

    def _base_url(self, request: web.Request) -> str:
        """The base address of links; empty if unknown.

        The ``Host`` header is client input: all that it decides is whether there are links.
        """
        if self._settings.public_url:
            return self._settings.public_url.rstrip("/")
        if not is_loopback_host(request.host):
            return ""
        return listening_address(request)

    def _other_name(self, request: web.Request) -> str:
        """The base address of links, if the browser knows this server by another name.

        Such as ``localhost``: cookies belong to a name, and a link to the other would find none.
        """
        own = listening_address(request)
        if self._settings.public_url or not own or not is_loopback_host(request.host):
            return ""
        name, port = URL(own).host, URL(own).port
        asked = URL.build(scheme=request.scheme, authority=request.host)
        return own if asked.host != name and asked.port == port else ""

    # Opening it.

    async def _link(self, request: web.Request) -> web.StreamResponse:
        return self._form(request, "sign_in_link.html.j2")

    async def _enter(self, request: web.Request) -> web.StreamResponse:
        browser = self._held(request, BROWSER)
        fields = await forms.read_form(request, holder=browser)
        try:
            session = await self._sign_in.redeem_link(
                fields.get("token", ""),
                browser=browser,
                loopback=from_loopback(request, self._settings),
                session=self._held(request, SESSION),
            )
        except LinkError as error:
            caller = await self._caller(request)
            if error.reason == "used" and caller is not None and caller.email == error.email:
                return _to(HOME)  # the link was used by this browser, it seems
            raise
        response = _to(HOME)
        secs = self._sign_in.session_secs
        cookies.set_cookie(response, request, self._settings, SESSION, session, secs=secs)
        return response

    # Signing out.

    async def _leave(self, request: web.Request) -> web.StreamResponse:
        session = self._held(request, SESSION)
        email = await self._sign_in.find_email(session)
        if email is None:
            return _to(SIGN_IN)
        return self._page(request, "sign_out.html.j2", form=secret.form_token(session), email=email)

    async def _left(self, request: web.Request) -> web.StreamResponse:
        session = self._held(request, SESSION)
        await forms.read_form(request, holder=session)
        await self._sign_in.sign_out(session)
        response = _to(SIGN_IN)
        cookies.delete_cookie(response, request, self._settings, SESSION)
        return response

    async def _account(self, request: web.Request) -> web.StreamResponse:
        """Who is signed in, and the token of the sign-out form on the call's page."""
        caller = await self._caller(request)
        if caller is None:
            raise web.HTTPUnauthorized(text=f"Please sign in at {SIGN_IN}.")
        session = self._held(request, SESSION)
        account = {
            "email": caller.email,
            "admin": caller.admin,
            "form": secret.form_token(session) if session else "",
        }
        return web.json_response(account, headers={"Cache-Control": "no-store"})

    def _held(self, request: web.Request, cookie: cookies.Cookie) -> str:
        return cookies.read_cookie(request, self._settings, cookie)

    def _form(
        self, request: web.Request, template: str, *, status: int = 200, **values: object
    ) -> web.Response:
        """Render a page with a form; sets the browser cookie that the form's token is bound to."""
        browser = self._held(request, BROWSER) or secret.new_secret()
        response = self._page(
            request, template, status=status, form=secret.form_token(browser), **values
        )
        secs = cookies.BROWSER_SECS
        cookies.set_cookie(response, request, self._settings, BROWSER, browser, secs=secs)
        return response

    def _page(
        self, request: web.Request, template: str, *, status: int = 200, **values: object
    ) -> web.Response:
        return web.Response(
            status=status,
            text=render(template, root=root_path(request, self._settings), **values),
            content_type="text/html",
            headers={"Cache-Control": "no-store"},
        )

    def _refused_by(
        self, request: web.Request, limit: limits.Limit, refusal: Callable[[str], Refusal]
    ) -> web.Response:
        after = {limits.QUARTER: "in 15 minutes", limits.HOUR: "in an hour"}
        again = after.get(limit.secs, "tomorrow")
        return self._refused(request, refusal(again), {"Retry-After": f"{limit.secs:.0f}"})

    def _refused(
        self,
        request: web.Request,
        refusal: Refusal,
        headers: Mapping[str, str] | None = None,
        *,
        signed_in: str = "",
    ) -> web.Response:
        response = self._page(
            request,
            "sign_in_refused.html.j2",
            status=refusal.status,
            heading=refusal.heading,
            said=refusal.said,
            again=refusal.again,
            signed_in=signed_in,
        )
        response.headers.update(headers or {})
        return response


def link_url(base_url: str, token: str) -> str:
    """The address of a link."""
    return f"{base_url}{LINK}#{token}"


def _to(path: str) -> web.Response:
    return web.Response(status=303, headers={"Location": path, "Cache-Control": "no-store"})
