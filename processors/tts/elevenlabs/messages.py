"""The messages and voice settings of ElevenLabs' multi-context WebSocket.

https://elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-multi-stream-input
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field, model_validator

WHOLE_ANSWER_ATTEMPTS = 2
"""Maximum requests for a whole answer, including the first; each is charged."""

VOICE_SETTINGS = {
    "stability": (0.0, 1.0),
    "similarity_boost": (0.0, 1.0),
    "style": (0.0, 1.0),
    "speed": (0.7, 1.2),
    "use_speaker_boost": (False, True),
}
"""Minimum and maximum of each."""


class Alignment(BaseModel):
    """The times of the letters in a message's audio.

    Parameters:
        chars: The letters, including white space.
        begin_ms: When each begins, from the first sample of the message's audio.
    """

    chars: list[str] | None = None
    begin_ms: list[float] | None = Field(None, alias="charStartTimesMs")


class Message(BaseModel):
    """A message of the vendor's: audio with its times, the end of a context, or an error.

    Parameters:
        context_id: Its context; ``None`` for the whole connection.
        audio: Base64.
        alignment: The times of the letters, as they were sent.
        is_final: Whether the context is closed.
        error: The code of an error.
        message: The text of an error.
    """

    context_id: str | None = None
    audio: str | None = None
    alignment: Alignment | None = None
    is_final: bool | None = Field(None, alias="isFinal")
    error: str | None = None
    message: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _either_spelling(cls, sent: Any) -> Any:
        """Read the context's name, of which both spellings have been seen, also beside each other.

        https://github.com/livekit/agents/issues/5813
        """
        if isinstance(sent, Mapping):
            named = sent.get("contextId") or sent.get("context_id")
            return {**sent, "context_id": named}
        return sent


def check_voice(voice_id: str, voice_settings: Mapping[str, float | bool]) -> None:
    """Check a voice's id and settings.

    Raises:
        ValueError: One is invalid; the message names it.
    """
    if not voice_id or not voice_id.replace("_", "").replace("-", "").isalnum():
        raise ValueError(f"voice_id is {voice_id!r}; it must be letters, digits, '-' and '_'")
    for key, value in voice_settings.items():
        if key not in VOICE_SETTINGS:
            raise ValueError(f"voice_settings has {key!r}; allowed: {', '.join(VOICE_SETTINGS)}")
        low, high = VOICE_SETTINGS[key]
        if not low <= value <= high:
            raise ValueError(f"voice_settings[{key!r}] is {value!r}; it must be {low} to {high}")
