"""Reads posted forms: size and time are bounded, and a CSRF token is required."""

import asyncio
from collections.abc import Mapping

from aiohttp import web

from accounts import secret

MAX_FORM_BYTES = 4096
FORM_TIMEOUT_SECS = 10.0
"""Time limit for a form to arrive."""

FORM = "application/x-www-form-urlencoded"

_OWN_SITE = ("same-origin", "none")


class ForgedFormError(Exception):
    """The form's CSRF token is missing, wrong or out of date."""


async def read_form(request: web.Request, *, holder: str) -> Mapping[str, str]:
    """Read the fields of a form, after checking its CSRF token.

    Args:
        request: The POST request.
        holder: The browser's or the session's secret; empty if the request has none.

    Raises:
        ForgedFormError: The form was not served to the holder of that secret.
        web.HTTPException: The body is not a form, is too long, or is too slow.
    """
    if request.content_type != FORM:
        raise web.HTTPUnsupportedMediaType(text=f"A form must be sent as {FORM}.")
    # A page cannot forge this header.
    if request.headers.get("Sec-Fetch-Site", "none") not in _OWN_SITE:
        raise ForgedFormError
    try:
        async with asyncio.timeout(FORM_TIMEOUT_SECS):
            sent = await request.clone(client_max_size=MAX_FORM_BYTES).post()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="The form took too long to arrive.") from None
    except (ValueError, LookupError, web.RequestPayloadError):  # of its encodings, too
        raise web.HTTPBadRequest(text="The form cannot be read.") from None
    fields = {name: value for name, value in sent.items() if isinstance(value, str)}
    if not holder or not secret.constant_time_equal(
        fields.get("form", ""), secret.form_token(holder)
    ):
        raise ForgedFormError
    return fields
