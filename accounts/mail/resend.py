"""Sends mail by Resend's HTTP API.

See https://resend.com/docs/api-reference/emails/send-email and
https://resend.com/docs/api-reference/errors.
"""

import json
from email.headerregistry import Address
from typing import Any

import aiohttp

from accounts.mail.letter import Letter, MailError, mailbox
from processors.brain.vendor_fault import retry_after_secs

CLOUD_URL = "https://api.resend.com"

REQUEST_TIMEOUT_SECS = 30.0
"""Time limit for a response."""

PERMANENT = frozenset(
    {
        "validation_error",
        "invalid_idempotency_key",
        "invalid_idempotent_request",
        "invalid_parameter",
        "missing_required_field",
        "security_error",
    }
)
"""Error names that concern the letter itself, rather than a key, a domain or a quota."""

_MOST_CHARS = 200


class Resend:
    """Resend's API. Its idempotency key makes sending twice within 24 hours harmless.

    Parameters:
        api_key: Resend's API key.
        base_url: Base address; empty for Resend's cloud.
        timeout_secs: Time limit for a response.
    """

    def __init__(
        self, api_key: str, base_url: str = "", *, timeout_secs: float = REQUEST_TIMEOUT_SECS
    ) -> None:
        self._api_key = api_key
        self._url = (base_url or CLOUD_URL).rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_secs)
        self._session: aiohttp.ClientSession | None = None

    @property
    def where(self) -> str:
        """The vendor, with its address unless that is the cloud's."""
        return "Resend" if self._url == CLOUD_URL else f"Resend at {self._url}"

    async def deliver(self, letter: Letter, sender: Address) -> None:
        """Send one letter.

        Raises:
            MailError: Sending failed.
        """
        body: dict[str, Any] = {
            "from": str(sender),
            "to": [mailbox(letter.recipient).addr_spec],
            "subject": letter.heading,
            "text": letter.text,
            # Resend writes its own Message-ID; this id keeps letters in separate threads.
            "headers": {"Auto-Submitted": "auto-generated", "X-Entity-Ref-ID": letter.digest},
        }
        if letter.html:
            body["html"] = letter.html
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        try:
            async with self._session.post(
                f"{self._url}/emails",
                json=body,
                headers={
                    "Authorization": f"Bearer {self._api_key}",
                    "Idempotency-Key": letter.digest,
                    "User-Agent": "viva",
                },
                allow_redirects=False,
            ) as response:
                if not 200 <= response.status < 300:
                    raise _refused(response, await response.text(errors="replace"))
                await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise MailError(f"Resend cannot be reached: {error or type(error).__name__}") from error

    async def verify(self) -> None:
        """Does nothing: Resend checks a key only when a letter is sent."""

    async def close(self) -> None:
        """Close its connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _refused(response: aiohttp.ClientResponse, text: str) -> MailError:
    """The error in a JSON response: ``{"statusCode": 422, "name": …, "message": …}``."""
    try:
        told = json.loads(text)
        name, said = str(told["name"]), str(told["message"])[:_MOST_CHARS]
    except (ValueError, LookupError, TypeError):
        name, said = "", ""
    hint = " (is RESEND_API_KEY right?)" if name.endswith("api_key") else ""
    described = f"Resend answered {response.status} {name}".rstrip() + hint
    return MailError(
        f"{described}: {said}" if said else described,
        # A 403 of this name concerns the sender's domain, which can still be verified.
        permanent=name in PERMANENT and response.status != 403,
        retry_after_secs=retry_after_secs(response.headers),
    )
