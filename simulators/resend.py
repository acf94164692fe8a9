"""A simulator of Resend's ``POST /emails``: validation, idempotency keys and errors.

* https://resend.com/docs/api-reference/emails/send-email
* https://resend.com/docs/dashboard/emails/idempotency-keys
* https://resend.com/docs/api-reference/errors
"""

import asyncio
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

from simulators.listener import Listener

REMEMBERED_SECS = 24 * 3600.0
"""How long Resend remembers an idempotency key."""

_MAX_KEY_CHARS = 256
_FIELDS = frozenset(
    {
        "from", "to", "subject", "html", "text", "cc", "bcc", "reply_to", "headers",
        "attachments", "tags", "scheduled_at", "topic_id", "template",
    }
)  # fmt: skip
_FROM = re.compile(r"(?:[^<>]+ <)?[^\s<>@]+@([^\s<>@]+)>?")
_TO = re.compile(r"(?:[^<>]+ <)?[^\s<>@]+@[^\s<>@]+\.[^\s<>@]+>?")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong with one request.

    Parameters:
        status: The HTTP status; 0 drops the connection instead.
        name: The error's name; empty for an HTML body, such as a proxy's.
        message: The error's message.
        headers: Further headers of the answer.
        accepted: Whether the e-mail is accepted all the same, and only the answer is lost.
        delay_secs: The delay before the answer.
    """

    status: int = 0
    name: str = ""
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    accepted: bool = False
    delay_secs: float = 0.0


@dataclass(frozen=True, slots=True)
class AcceptedEmail:
    """An e-mail that was accepted.

    Parameters:
        key: Its ``Idempotency-Key``, if it had one.
        body: The request's body.
        id: The id in the answer.
    """

    key: str | None
    body: dict[str, Any]
    id: str


class _RefusalError(Exception):
    def __init__(self, status: int, name: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.name = name


class ResendSimulator:
    """Serves ``POST /emails`` while its context is open, and keeps the e-mails it accepted.

    Parameters:
        api_keys: Accepted API keys.
        domains: Verified domains; e-mails from others are refused.
        faults: One per request, in order; ``None`` for a request without a fault.
        host: The address to listen on.
        port: The port to listen on; 0 picks a free one.
    """

    def __init__(
        self,
        *,
        api_keys: Sequence[str] = ("re_key",),
        domains: Sequence[str] = ("example.com",),
        faults: Sequence[Fault | None] = (),
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.url = ""
        self.accepted: list[AcceptedEmail] = []
        self.requests = 0
        self._api_keys = api_keys
        self._domains = domains
        self._faults = list(faults)
        self._known: dict[str, tuple[float, AcceptedEmail]] = {}
        self._deciding: set[str] = set()
        self._where = (host, port)
        self._listener = Listener(access_log=None)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/emails", self._send)
        app.router.add_route("*", "/emails", self._wrong_method)
        app.router.add_route("*", "/{rest:.*}", self._not_found)
        self.url = f"http://{await self._listener.start(app, *self._where)}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._listener.stop()

    def expire_keys(self) -> None:
        """Expire all idempotency keys, as after 24 hours."""
        self._known = {
            key: (at - REMEMBERED_SECS, accepted) for key, (at, accepted) in self._known.items()
        }

    async def _send(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        fault = self._faults.pop(0) if self._faults else None
        if fault is not None and not fault.accepted:
            return await self._fail(request, fault)
        try:
            accepted = await self._accept(request, fault.delay_secs if fault else 0.0)
        except _RefusalError as refusal:
            return _error(refusal.status, refusal.name, str(refusal))
        if fault is not None:
            return await self._fail(request, fault)
        return web.json_response({"id": accepted.id}, headers=_limits())

    async def _accept(self, request: web.Request, delay_secs: float) -> AcceptedEmail:
        self._authorise(request)
        body = await _body(request)
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return self._keep(None, body)
        if not 1 <= len(key) <= _MAX_KEY_CHARS:
            raise _RefusalError(
                400, "invalid_idempotency_key", "The key must be between 1-256 chars."
            )
        if key in self._deciding:
            raise _RefusalError(
                409,
                "concurrent_idempotent_requests",
                "Same idempotency key used while original request is still in progress.",
            )
        self._deciding.add(key)
        try:
            await asyncio.sleep(delay_secs)
            at, known = self._known.get(key, (0.0, None))
            if known is not None and asyncio.get_running_loop().time() - at < REMEMBERED_SECS:
                if known.body != body:
                    raise _RefusalError(
                        409,
                        "invalid_idempotent_request",
                        "Same idempotency key used with a different request payload.",
                    )
                return known
            self._check(body)
            return self._keep(key, body)
        finally:
            self._deciding.discard(key)

    def _authorise(self, request: web.Request) -> None:
        scheme, _, api_key = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not api_key:
            raise _RefusalError(
                401, "missing_api_key", "Missing API key in the authorization header."
            )
        if api_key not in self._api_keys:
            raise _RefusalError(403, "invalid_api_key", "API key is invalid.")
        if not request.headers.get("User-Agent"):
            raise _RefusalError(403, "validation_error", "A User-Agent header is required.")

    def _check(self, body: dict[str, Any]) -> None:
        for name in ("from", "to", "subject"):
            if not body.get(name):
                raise _RefusalError(422, "missing_required_field", f"Missing `{name}` field.")
        if not body.get("html") and not body.get("text"):
            raise _RefusalError(422, "missing_required_field", "Missing `html` or `text` field.")
        if unknown := sorted(set(body) - _FIELDS):
            raise _RefusalError(400, "validation_error", f"Unknown fields: {', '.join(unknown)}.")
        sender = _FROM.fullmatch(str(body["from"]))
        if sender is None:
            raise _RefusalError(422, "invalid_from_address", "Invalid `from` field.")
        to = body["to"] if isinstance(body["to"], list) else [body["to"]]
        if len(to) > 50 or not all(isinstance(it, str) and _TO.fullmatch(it) for it in to):
            raise _RefusalError(422, "validation_error", "Invalid `to` field.")
        headers = body.get("headers", {})
        if any(not isinstance(value, str) or "\n" in value for value in headers.values()):
            raise _RefusalError(422, "validation_error", "Invalid `headers` field.")
        if sender[1] not in self._domains:
            raise _RefusalError(
                403,
                "validation_error",
                f"The {sender[1]} domain is not verified. Please, add and verify your domain.",
            )

    def _keep(self, key: str | None, body: dict[str, Any]) -> AcceptedEmail:
        accepted = AcceptedEmail(key, body, str(uuid.uuid4()))
        self.accepted.append(accepted)
        if key is not None:
            self._known[key] = (asyncio.get_running_loop().time(), accepted)
        return accepted

    async def _fail(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if not fault.accepted:
            await asyncio.sleep(fault.delay_secs)
        if fault.status == 0:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if not fault.name:
            return web.Response(
                status=fault.status,
                text="<html>Bad gateway</html>",
                content_type="text/html",
                headers=fault.headers,
            )
        return _error(fault.status, fault.name, fault.message, fault.headers)

    async def _wrong_method(self, _request: web.Request) -> web.Response:
        return _error(405, "method_not_allowed", "This endpoint does not support this method.")

    async def _not_found(self, _request: web.Request) -> web.Response:
        return _error(404, "not_found", "The requested endpoint does not exist.")


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        body = None
    if request.content_type != "application/json" or not isinstance(body, dict):
        raise _RefusalError(400, "validation_error", "The request body is not a JSON object.")
    return body


def _limits(remaining: int = 1) -> dict[str, str]:
    return {
        "ratelimit-limit": "2",
        "ratelimit-remaining": str(remaining),
        "ratelimit-reset": "1",
    }


def _error(
    status: int, name: str, message: str, headers: dict[str, str] | None = None
) -> web.Response:
    return web.json_response(
        {"statusCode": status, "name": name, "message": message},
        status=status,
        headers=_limits(0 if status == 429 else 1) | (headers or {}),
    )
