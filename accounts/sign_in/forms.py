"""Forms: what a browser sends is read within bounds, and only from a page that was made for it."""

import asyncio
from collections.abc import Mapping

from aiohttp import web

from accounts import secret

MAX_FORM_BYTES = 4096
FORM_TIMEOUT_SECS = 10.0
"""Longest that a form may take to arrive."""

FORM = "application/x-www-form-urlencoded"

_OWN_SITE = ("same-origin", "none")


class ForgedFormError(Exception):
    """A form does not come from a page that was made for this browser, or no longer does."""


async def read(request: web.Request, *, holder: str) -> Mapping[str, str]:
    """The fields of a form that was made for whoever holds a secret.

    Args:
        request: A request that posts a form.
        holder: The secret of the browser, or of its session; empty if it sent none.

    Raises:
        ForgedFormError: It was not made for them.
        web.HTTPException: It is no form, too long, or too slow.
    """
    if request.content_type != FORM:
        raise web.HTTPUnsupportedMediaType(text=f"A form is sent as {FORM}.")
    # Browsers that say where a request comes from cannot be made to say something else.
    if request.headers.get("Sec-Fetch-Site", "none") not in _OWN_SITE:
        raise ForgedFormError
    try:
        async with asyncio.timeout(FORM_TIMEOUT_SECS):
            sent = await request.clone(client_max_size=MAX_FORM_BYTES).post()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="The form took too long to arrive.") from None
    except ValueError:
        raise web.HTTPBadRequest(text="The form cannot be read.") from None
    fields = {name: value for name, value in sent.items() if isinstance(value, str)}
    if not holder or not secret.same(fields.get("form", ""), secret.form_token(holder)):
        raise ForgedFormError
    return fields
