"""What ElevenLabs' multi-context WebSocket says and may be told.

https://elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-multi-stream-input
"""

from collections.abc import Mapping

from pydantic import AliasChoices, BaseModel, Field

WHOLE_ANSWER_ATTEMPTS = 2
"""How often a whole answer is asked for, the first time included; each time is charged."""

VOICE_SETTINGS = {
    "stability": (0.0, 1.0),
    "similarity_boost": (0.0, 1.0),
    "style": (0.0, 1.0),
    "speed": (0.7, 1.2),
    "use_speaker_boost": (False, True),
}
"""The least and the most that each may be."""


class Alignment(BaseModel):
    """Which letters the audio of its message speaks, and from when.

    Parameters:
        chars: The letters, white space included.
        begin_ms: When each begins, from the first sample of the message's audio.
    """

    chars: list[str] | None = None
    begin_ms: list[float] | None = Field(None, alias="charStartTimesMs")


class Message(BaseModel):
    """One message: audio and its times, the end of a context, or an error.

    Parameters:
        context_id: The context that it is about; ``None`` for the whole connection.
        audio: In base64.
        alignment: Of the audio, as the text was sent.
        is_final: The context is closed.
        error: The vendor's code of an error.
        message: Its sentence.
    """

    # Both spellings have been seen (https://github.com/livekit/agents/issues/5813).
    context_id: str | None = Field(None, validation_alias=AliasChoices("contextId", "context_id"))
    audio: str | None = None
    alignment: Alignment | None = None
    is_final: bool | None = Field(None, alias="isFinal")
    error: str | None = None
    message: str | None = None


def check_voice(voice_id: str, voice_settings: Mapping[str, float | bool]) -> None:
    """Check what names a voice and how it speaks.

    Raises:
        ValueError: Something is not what it may be; the message names it.
    """
    if not voice_id or not voice_id.replace("_", "").replace("-", "").isalnum():
        raise ValueError(f"voice_id is {voice_id!r}; it must be letters, digits, '-' and '_'")
    for key, value in voice_settings.items():
        if key not in VOICE_SETTINGS:
            raise ValueError(f"voice_settings has {key!r}; allowed: {', '.join(VOICE_SETTINGS)}")
        low, high = VOICE_SETTINGS[key]
        if not low <= value <= high:
            raise ValueError(f"voice_settings[{key!r}] is {value!r}; it must be {low} to {high}")
