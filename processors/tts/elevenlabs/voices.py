"""The voices that an account of ElevenLabs has.

https://elevenlabs.io/docs/api-reference/voices/search. No voice is built in: those that the vendor
calls default (``premade``) expire on 31 December 2026, and newer accounts do not have them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from processors.tts.elevenlabs.errors import status_of

_TIMEOUT_SECS = 5.0
_MOST_NAMED = 8
_EXPIRES = "premade"


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice.

    Parameters:
        id: The vendor's id of it.
        name: Its name for people.
        expires: It is one of the vendor's defaults, which end with the year 2026.
    """

    id: str
    name: str
    expires: bool


class VoicesError(Exception):
    """The voices cannot be told; the text says why. ``lasting`` if asking again changes nothing."""

    def __init__(self, why: str, *, lasting: bool) -> None:
        super().__init__(why)
        self.lasting = lasting


def voices(api_key: str, base_url: str) -> list[Voice]:
    """All voices of the account; blocks.

    Raises:
        VoicesError: They cannot be listed.
    """
    listed = _get(api_key, f"{base_url}/v1/voices").get("voices") or []
    return [
        Voice(str(one["voice_id"]), str(one.get("name", "")), one.get("category") == _EXPIRES)
        for one in listed
    ]


def chosen(api_key: str, base_url: str, voice_id: str) -> Voice:
    """The voice that is set, or the account's first that does not expire; blocks.

    Raises:
        VoicesError: There is none; the text names those that there are.
    """
    known = voices(api_key, base_url)
    lasting = [one for one in known if not one.expires]
    if voice_id:
        for one in known:
            if one.id == voice_id:
                return one
    elif lasting:
        return lasting[0]
    named = ", ".join(f"{one.name} ({one.id})" for one in lasting[:_MOST_NAMED])
    missing = f"no voice {voice_id!r}" if voice_id else "no voice of its own that lasts"
    there = (
        f"set ELEVENLABS_VOICE_ID to one of its own: {named}"
        if named
        else ("add one in ElevenLabs' voice library, and set ELEVENLABS_VOICE_ID to its id")
    )
    raise VoicesError(f"the account has {missing}; {there}", lasting=True)


def _get(api_key: str, url: str) -> Mapping[str, Any]:
    try:
        response = httpx2.get(url, headers={"xi-api-key": api_key}, timeout=_TIMEOUT_SECS)
        if response.status_code == 200:
            return dict(response.json())
    except (httpx2.HTTPError, ValueError) as error:
        raise VoicesError(
            f"its voices cannot be asked for ({type(error).__name__})", lasting=False
        ) from None
    code, said = status_of(response.text)
    # A key may be for speech alone, or wrong altogether, which the call itself will say.
    raise VoicesError(
        f"its voices cannot be listed: HTTP {response.status_code} {code} {said}".strip(),
        lasting=False,
    )
