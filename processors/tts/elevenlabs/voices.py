"""The voices of an ElevenLabs account.

https://elevenlabs.io/docs/api-reference/voices/search. No voice is built in: the vendor's default
voices (``premade``) expire on 31 December 2026, and newer accounts do not have them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
from pipecat.utils.errors import ErrorCategory

from processors.key_check import UnreachableError
from processors.tts.elevenlabs.errors import refusal_of

_TIMEOUT_SECS = 5.0
_MAX_NAMED = 8  # of the account's voices, in a message
_EXPIRING_CATEGORY = "premade"


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice of an account.

    Parameters:
        id: The vendor's id.
        name: Its display name.
        expires: Whether it is one of the vendor's defaults, which expire at the end of 2026.
    """

    id: str
    name: str
    expires: bool


class VoicesError(Exception):
    """No voice can be chosen; the message says why.

    Parameters:
        why: The message.
        permanent: Whether a retry cannot succeed.
    """

    def __init__(self, why: str, *, permanent: bool) -> None:
        super().__init__(why)
        self.permanent = permanent


class UnansweredError(VoicesError):
    """Nobody answered at the vendor's address."""


class NotPermittedError(VoicesError):
    """The key may not list voices, which may be there all the same: it may be for speech alone."""


def list_voices(api_key: str, base_url: str) -> list[Voice]:
    """List the voices of the account. Blocks.

    Raises:
        VoicesError: They cannot be listed.
    """
    listed = _get(api_key, f"{base_url}/v1/voices").get("voices") or []
    return [
        Voice(
            id=str(entry["voice_id"]),
            name=str(entry.get("name", "")),
            expires=entry.get("category") == _EXPIRING_CATEGORY,
        )
        for entry in listed
    ]


def choose_voice(api_key: str, base_url: str, voice_id: str) -> Voice:
    """Return the voice with an id, or with an empty id the first that does not expire. Blocks.

    Raises:
        VoicesError: There is no such voice; the message names those that there are.
    """
    try:
        voices = list_voices(api_key, base_url)
    except NotPermittedError as error:
        if voice_id:
            raise
        raise VoicesError(
            f"{error}; set ELEVENLABS_VOICE_ID to the id of a voice, or give the key the "
            "permission to read voices",
            permanent=True,
        ) from None
    lasting = [voice for voice in voices if not voice.expires]
    if voice_id:
        for voice in voices:
            if voice.id == voice_id:
                return voice
    elif lasting:
        return lasting[0]
    named = ", ".join(f"{voice.name} ({voice.id})" for voice in lasting[:_MAX_NAMED])
    missing = f"no voice {voice_id!r}" if voice_id else "no voice of its own that lasts"
    remedy = (
        f"set ELEVENLABS_VOICE_ID to one of its own: {named}"
        if named
        else "add one in ElevenLabs' voice library, and set ELEVENLABS_VOICE_ID to its id"
    )
    raise VoicesError(f"the account has {missing}; {remedy}", permanent=True)


def _get(api_key: str, url: str) -> Mapping[str, Any]:
    try:
        response = httpx2.get(url, headers={"xi-api-key": api_key}, timeout=_TIMEOUT_SECS)
        if response.status_code == 200:
            return dict(response.json())
    except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
        raise UnansweredError(str(UnreachableError.at(url, error)), permanent=False) from None
    except ValueError as error:
        raise VoicesError(
            f"its voices cannot be read ({type(error).__name__})", permanent=False
        ) from None
    refusal = refusal_of(response.text)
    why = f"HTTP {response.status_code} {refusal.code} {refusal.message}".strip(" .")
    told = f"its voices cannot be listed: {why}"
    if refusal.code == "missing_permissions" or response.status_code == 403:
        raise NotPermittedError(told, permanent=False)
    if refusal.category is ErrorCategory.AUTHENTICATION:
        raise VoicesError(f"it refuses the key in ELEVENLABS_API_KEY ({why})", permanent=True)
    # A key that is refused now is refused in the call, too; what is transient may have passed.
    raise VoicesError(told, permanent=refusal.category is not None)
