"""Converts frames to messages of a recording, and back.

What a process assigns to a frame (id, name, time stamps) is left out, so that two runs of the same
call make the same messages.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from typing import Any

from pipecat.frames.frames import (
    AggregatedTextFrame,
    ErrorFrame,
    Frame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    MetricsFrame,
    ProposedUserStoppedSpeakingFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import STTUsage, STTUsageMetricsData, TTSUsageMetricsData
from pipecat.utils.text.base_text_aggregator import TextType
from pydantic import TypeAdapter

from conversation.frames import (
    CallerTextFrame,
    DecisionFrame,
    DuckFrame,
    EndCallFrame,
    EndOfTurnFrame,
    EscalationFrame,
    Exchange,
    FailoverFrame,
    SentenceFrame,
    SpeechPauseFrame,
    TurnFrame,
    UnduckFrame,
    Usage,
)
from recording.message import Message, pcm_of
from recording.schemas import AUDIO_FORMAT, TOPICS

Data = Mapping[str, Any]


@dataclass(slots=True)
class Contexts:
    """Numbers the contexts of a voice in the order in which they appear.

    pipecat gives each a random id, which would differ in every run.
    """

    _ordinals: dict[str, str] = field(default_factory=dict)

    def ordinal(self, context_id: str | None) -> str:
        """``"1"``, ``"2"`` …; empty for none."""
        if not context_id:
            return ""
        known = self._ordinals.get(context_id)
        if known is None:
            known = self._ordinals[context_id] = str(len(self._ordinals) + 1)
        return known


@dataclass(frozen=True, slots=True)
class _Codec:
    write: Callable[[Any, Contexts], Data]
    read: Callable[[Data], Frame]


def raw_audio(pcm: bytes, sample_rate: int) -> dict[str, Any]:
    """Build Foxglove's ``RawAudio`` from mono samples; the writer adds the time stamp.

    Args:
        pcm: 16-bit samples.
        sample_rate: In Hz.
    """
    return {
        "data": pcm,
        "format": AUDIO_FORMAT,
        "number_of_channels": 1,
        "sample_rate": sample_rate,
    }


def to_message(
    stage: str, frame: Frame, contexts: Contexts | None = None
) -> tuple[str, dict[str, Any]] | None:
    """Convert a frame to its kind and data; ``None`` if recordings of this stage leave it out.

    Args:
        stage: The stage that pushed it: ``vad``, ``stt``, ``turn``, ``brain`` or ``tts``.
        frame: The frame.
        contexts: The call's contexts; by default, ids are written as they are.
    """
    kind = type(frame).__name__
    if isinstance(frame, MetricsFrame):
        return _usage(stage, frame)
    codec = _CODECS.get(kind)
    if codec is None or f"/{stage}/{kind}" not in TOPICS:
        return None
    data = dict(codec.write(frame, contexts or _AS_THEY_ARE))
    if kind == "SentenceFrame" and stage != "tts":
        del data["context"]
    return kind, data


@cache
def kinds_of(stage: str) -> frozenset[str]:
    """Type names of the frames that a recording of a stage can hold."""
    own = {topic.rpartition("/")[2] for topic in TOPICS if topic.startswith(f"/{stage}/")}
    return frozenset(own | {MetricsFrame.__name__})


def from_message(message: Message) -> Frame:
    """Convert a message back to its frame.

    Raises:
        ValueError: The message is not of a frame.
    """
    codec = _CODECS.get(message.kind)
    if codec is None or message.topic not in TOPICS:
        raise ValueError(f"{message.topic} tells of no frame.")
    return codec.read(message.data)


def of_history(history: Iterable[Exchange]) -> list[dict[str, Any]]:
    """Convert finished turns to plain values."""
    plain: list[dict[str, Any]] = _HISTORY.dump_python(tuple(history), mode="json")
    return plain


def of_usage(usage: Usage) -> dict[str, int]:
    """Convert an inference's usage to plain values."""
    return asdict(usage)


_HISTORY = TypeAdapter(tuple[Exchange, ...])


class _AsTheyAre(Contexts):
    def ordinal(self, context_id: str | None) -> str:
        return context_id or ""


_AS_THEY_ARE = _AsTheyAre()


def _usage(stage: str, frame: MetricsFrame) -> tuple[str, dict[str, Any]] | None:
    for usage in frame.data:
        if stage == "stt" and isinstance(usage, STTUsageMetricsData):
            return "STTUsage", {"audio_seconds": usage.value.audio_seconds}
        if stage == "tts" and isinstance(usage, TTSUsageMetricsData):
            return "TTSUsage", {"characters": usage.value}
    return None


def _nothing(make: Callable[[], Frame]) -> _Codec:
    return _Codec(lambda _frame, _contexts: {}, lambda _data: make())


def _fields(make: Callable[..., Frame], *names: str) -> _Codec:
    """Codec of a frame whose fields are plain values; tuples become lists in a message."""

    def write(frame: Any, _contexts: Contexts) -> Data:
        values = ((name, getattr(frame, name)) for name in names)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values}

    def read(data: Data) -> Frame:
        values = ((name, data[name]) for name in names)
        return make(
            **{name: tuple(value) if isinstance(value, list) else value for name, value in values}
        )

    return _Codec(write, read)


def _own(kind: type[Frame], *, optional: str = "") -> _Codec:
    """Codec of one of Viva's frames, by the types of its fields, nested ones included.

    Args:
        kind: The frame's class.
        optional: The field that is left out where it is empty.
    """
    adapter = TypeAdapter(kind)
    names = {field.name for field in fields(kind) if field.init}

    def write(frame: Any, _contexts: Contexts) -> Data:
        data: dict[str, Any] = adapter.dump_python(frame, mode="json", include=names)
        if optional and not data[optional]:
            del data[optional]
        return data

    def read(data: Data) -> Frame:
        # pydantic bypasses a dataclass's own constructor, which pipecat's frames need.
        told = adapter.validate_python(data)
        return kind(**{name: getattr(told, name) for name in names})

    return _Codec(write, read)


def _write_transcription(frame: TranscriptionFrame, _contexts: Contexts) -> Data:
    doubt = frame.metadata.get("doubt", 0.0)
    told = {"doubt": doubt} if doubt else {}
    return told | {"text": frame.text, "finalized": frame.finalized}


def _read_transcription(data: Data) -> Frame:
    frame = TranscriptionFrame(data["text"], "caller", "", finalized=data["finalized"])
    if "doubt" in data:
        frame.metadata["doubt"] = data["doubt"]
    return frame


def _write_error(frame: ErrorFrame, _contexts: Contexts) -> Data:
    permanent = frame.metadata.get("permanent")
    if permanent is None:
        permanent = frame.processor is not None and not frame.processor.is_usable
    return {"error": frame.error, "permanent": bool(permanent)}


def _read_error(data: Data) -> Frame:
    frame = ErrorFrame(data["error"])
    frame.metadata["permanent"] = data["permanent"]
    return frame


def _write_interruption(frame: InterruptionFrame, _contexts: Contexts) -> Data:
    return {"turn": frame.metadata.get("turn")}


def _read_interruption(data: Data) -> Frame:
    frame = InterruptionFrame()
    if data["turn"] is not None:
        frame.metadata["turn"] = data["turn"]
    return frame


def _write_sentence(frame: SentenceFrame, contexts: Contexts) -> Data:
    shown = {} if frame.shown == frame.text else {"shown": frame.shown}
    return shown | {
        "text": frame.text,
        "turn": frame.turn,
        "sections": list(frame.sections),
        "lines": list(frame.lines),
        "context": contexts.ordinal(frame.context_id),
    }


def _read_sentence(data: Data) -> Frame:
    return SentenceFrame(
        data["text"],
        turn=data["turn"],
        sections=tuple(data["sections"]),
        lines=tuple(data["lines"]),
        context_id=data.get("context") or None,
        shown=data.get("shown", ""),
    )


def _write_text(frame: AggregatedTextFrame, contexts: Contexts) -> Data:
    said = frame.metadata.get("shown", frame.text)
    shown = {} if said == frame.text else {"shown": said}
    return shown | {"text": frame.text, "context": contexts.ordinal(frame.context_id)}


def _read_text(data: Data) -> Frame:
    frame = AggregatedTextFrame(
        data["text"], text_type=TextType.SENTENCE, context_id=data["context"] or None
    )
    if "shown" in data:
        frame.metadata["shown"] = data["shown"]
    return frame


def _write_word(frame: TTSTextFrame, contexts: Contexts) -> Data:
    return {
        "text": frame.text,
        "context": contexts.ordinal(frame.context_id),
        "timed": frame.pts is not None,
    }


def _read_word(data: Data) -> Frame:
    frame = TTSTextFrame(data["text"], text_type=TextType.WORD, context_id=data["context"] or None)
    frame.pts = 0 if data["timed"] else None
    return frame


def _write_voice(frame: TTSAudioRawFrame, contexts: Contexts) -> Data:
    return raw_audio(frame.audio, frame.sample_rate) | {
        "context": contexts.ordinal(frame.context_id),
        "samples": len(frame.audio) // 2,
    }


def _read_voice(data: Data) -> Frame:
    return TTSAudioRawFrame(
        pcm_of(data), data["sample_rate"], 1, context_id=data["context"] or None
    )


def _context(make: Callable[..., Frame]) -> _Codec:
    return _Codec(
        lambda frame, contexts: {"context": contexts.ordinal(frame.context_id)},
        lambda data: make(context_id=data["context"] or None),
    )


_CODECS: Mapping[str, _Codec] = {
    "VADUserStartedSpeakingFrame": _fields(VADUserStartedSpeakingFrame, "start_secs"),
    "VADUserStoppedSpeakingFrame": _fields(VADUserStoppedSpeakingFrame, "stop_secs"),
    "SpeechPauseFrame": _fields(SpeechPauseFrame, "pause_secs"),
    "EndOfTurnFrame": _fields(EndOfTurnFrame, "probability", "delay_secs"),
    "InterimTranscriptionFrame": _Codec(
        lambda frame, _contexts: {"text": frame.text},
        lambda data: InterimTranscriptionFrame(data["text"], "caller", ""),
    ),
    "TranscriptionFrame": _Codec(_write_transcription, _read_transcription),
    "ProposedUserStoppedSpeakingFrame": _nothing(ProposedUserStoppedSpeakingFrame),
    "FailoverFrame": _fields(FailoverFrame, "stage", "failed", "vendor", "ends_turns"),
    "ErrorFrame": _Codec(_write_error, _read_error),
    "STTUsage": _Codec(
        lambda _frame, _contexts: {},  # written by _usage
        lambda data: MetricsFrame(
            [STTUsageMetricsData(processor="", value=STTUsage(audio_seconds=data["audio_seconds"]))]
        ),
    ),
    "TTSUsage": _Codec(
        lambda _frame, _contexts: {},  # written by _usage
        lambda data: MetricsFrame([TTSUsageMetricsData(processor="", value=data["characters"])]),
    ),
    "UserStartedSpeakingFrame": _nothing(UserStartedSpeakingFrame),
    "UserStoppedSpeakingFrame": _nothing(UserStoppedSpeakingFrame),
    "TurnFrame": _own(TurnFrame, optional="doubt"),
    "InterruptionFrame": _Codec(_write_interruption, _read_interruption),
    "DuckFrame": _nothing(DuckFrame),
    "UnduckFrame": _nothing(UnduckFrame),
    "CallerTextFrame": _fields(CallerTextFrame, "text", "final"),
    "TTSSpeakFrame": _fields(TTSSpeakFrame, "text"),
    "EndCallFrame": _fields(EndCallFrame, "reason", "last_words"),
    "LLMFullResponseStartFrame": _nothing(LLMFullResponseStartFrame),
    "LLMFullResponseEndFrame": _nothing(LLMFullResponseEndFrame),
    "SentenceFrame": _Codec(_write_sentence, _read_sentence),
    "DecisionFrame": _own(DecisionFrame, optional="looked_up"),
    "EscalationFrame": _fields(EscalationFrame, "turn", "reason", "question"),
    "AggregatedTextFrame": _Codec(_write_text, _read_text),
    "TTSStartedFrame": _context(TTSStartedFrame),
    "TTSAudioRawFrame": _Codec(_write_voice, _read_voice),
    "TTSTextFrame": _Codec(_write_word, _read_word),
    "TTSStoppedFrame": _context(TTSStoppedFrame),
}
