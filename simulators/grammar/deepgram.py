"""What Deepgram sends: Nova over ``/v1/listen``, Flux over ``/v2/listen``.

https://developers.deepgram.com/reference/speech-to-text/listen-streaming and
https://developers.deepgram.com/reference/speech-to-text/listen-flux, with the types of the vendor's
SDK, which are made from the same description.
"""

from collections.abc import Mapping
from typing import Any, Literal

from simulators.grammar.message import Grammar, Shape


class Word(Shape):
    """One word of a transcript."""

    word: str
    start: float | None = None
    end: float | None = None
    confidence: float
    punctuated_word: str | None = None
    language: str | None = None
    languages: list[str] | None = None
    speaker: int | None = None


class Alternative(Shape):
    """One reading of the audio."""

    transcript: str
    confidence: float
    words: list[Word]
    languages: list[str] | None = None
    languages_hinted: list[str] | None = None


class Channel(Shape):
    """What was heard in a channel."""

    alternatives: list[Alternative]


class ModelInfo(Shape):
    """Which model heard it."""

    name: str
    version: str
    arch: str


class ResultsMetadata(Shape):
    """Where it comes from."""

    request_id: str
    model_info: ModelInfo
    model_uuid: str
    diarize_info: dict[str, Any] | None = None


class Results(Shape):
    """``Results``: interim and final words."""

    type: Literal["Results"]
    channel_index: list[int]
    duration: float
    start: float
    is_final: bool | None = None
    speech_final: bool | None = None
    from_finalize: bool | None = None
    channel: Channel
    metadata: ResultsMetadata
    entities: list[dict[str, Any]] | None = None


class Metadata(Shape):
    """``Metadata``: at the end of a stream."""

    type: Literal["Metadata"]
    transaction_key: str
    request_id: str
    created: str
    duration: float
    channels: int
    sha256: str | None = None
    models: list[str] | None = None
    model_info: dict[str, Any] | None = None


class UtteranceEnd(Shape):
    """``UtteranceEnd``: a gap after words."""

    type: Literal["UtteranceEnd"]
    channel: list[int]
    last_word_end: float


class SpeechStarted(Shape):
    """``SpeechStarted``: the vendor's own voice activity."""

    type: Literal["SpeechStarted"]
    channel: list[int]
    timestamp: float


class Error(Shape):
    """``Error`` of Nova."""

    type: Literal["Error"]
    variant: str | None = None
    description: str
    message: str | None = None
    code: str | None = None


class Refusal(Shape):
    """The body of a refused handshake (https://developers.deepgram.com/docs/errors)."""

    err_code: str
    err_msg: str
    request_id: str | None = None


class Connected(Shape):
    """``Connected``: Flux's first message."""

    type: Literal["Connected"]
    request_id: str
    sequence_id: int


class TurnInfo(Shape):
    """``TurnInfo``: where the caller's turn stands."""

    type: Literal["TurnInfo"]
    request_id: str
    sequence_id: int
    event: Literal["Update", "StartOfTurn", "EagerEndOfTurn", "TurnResumed", "EndOfTurn"]
    turn_index: int
    audio_window_start: float
    audio_window_end: float
    transcript: str
    words: list[Word]
    end_of_turn_confidence: float
    trigger: str | None = None
    languages: list[str] | None = None
    languages_hinted: list[str] | None = None


class FatalError(Shape):
    """``Error`` of Flux, which ends the connection."""

    type: Literal["Error"]
    sequence_id: int
    code: str
    description: str


class Warning(Shape):
    """``Warning``: the connection goes on."""

    type: Literal["Warning"]
    request_id: str
    sequence_id: int
    code: str
    description: str


class ConfigureSuccess(Shape):
    """``ConfigureSuccess``: what is in force from now on."""

    type: Literal["ConfigureSuccess"]
    request_id: str
    sequence_id: int | None = None
    thresholds: dict[str, Any] | None = None
    keyterms: Any = None
    language_hints: list[str] | None = None
    numerals: Any = None


class ConfigureFailure(Shape):
    """``ConfigureFailure``: nothing has changed."""

    type: Literal["ConfigureFailure"]
    request_id: str
    sequence_id: int | None = None
    code: str | None = None
    description: str | None = None


CONFIGURED: Mapping[str, type[Shape]] = {
    "ConfigureSuccess": ConfigureSuccess,
    "ConfigureFailure": ConfigureFailure,
    "refusal": Refusal,
}
NOVA_MESSAGES: Mapping[str, type[Shape]] = {
    "Results": Results,
    "Metadata": Metadata,
    "UtteranceEnd": UtteranceEnd,
    "SpeechStarted": SpeechStarted,
    "Error": Error,
    **CONFIGURED,
}
FLUX_MESSAGES: Mapping[str, type[Shape]] = {
    "Connected": Connected,
    "TurnInfo": TurnInfo,
    "Error": FatalError,
    "Warning": Warning,
    **CONFIGURED,
}


def kind_of(message: Mapping[str, Any]) -> str:
    """The kind of a message."""
    return str(message.get("type", "refusal" if "err_code" in message else "?"))


NOVA = Grammar(NOVA_MESSAGES, kind_of, "/v1/listen")
FLUX = Grammar(FLUX_MESSAGES, kind_of, "/v2/listen")
