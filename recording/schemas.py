"""The topics of a recording, and the JSON schema of each."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

Schema = Mapping[str, Any]

AUDIO_FORMAT = "pcm-s16"
"""Foxglove's name for 16-bit little-endian samples."""

_TEXT: Schema = {"type": "string"}
_WHOLE: Schema = {"type": "integer"}
_NUMBER: Schema = {"type": "number"}
_TRUTH: Schema = {"type": "boolean"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_WHOLES: Schema = {"type": "array", "items": _WHOLE}


def _or_null(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def _object(
    fields: Mapping[str, Schema] | None = None,
    *,
    optional: tuple[str, ...] = (),
    more: bool = False,
    **further: Schema,
) -> Schema:
    """Schema of an object with these fields; ``more`` allows others."""
    fields = {**(fields or {}), **further}
    return {
        "type": "object",
        "properties": fields,
        "required": [name for name in fields if name not in optional],
        "additionalProperties": more,
    }


_AUDIO: Mapping[str, Schema] = {
    "timestamp": _object(sec=_WHOLE, nsec=_WHOLE),
    "data": {"type": "string", "contentEncoding": "base64"},
    "format": _TEXT,
    "sample_rate": _WHOLE,
    "number_of_channels": _WHOLE,
    "samples": _WHOLE,
}
_RAW_AUDIO = _object(_AUDIO, optional=("samples",))
_MESSAGE = _object(more=True, type=_TEXT)
_NOTHING = _object()
_USAGE = _object(
    input_tokens=_WHOLE, output_tokens=_WHOLE, cache_read_tokens=_WHOLE, cache_write_tokens=_WHOLE
)
_CHECKS: Schema = {
    "type": "array",
    "items": _object(name=_TEXT, passed=_TRUTH, detail=_TEXT),
}
_HISTORY: Schema = {
    "type": "array",
    "items": _object(
        question=_TEXT, answer=_TEXT, sections=_TEXTS, decision=_TEXT, interrupted=_TRUTH
    ),
}
_CALLS: Schema = {
    "type": "array",
    "items": _object(
        optional=("said",),
        tool=_TEXT,
        arguments=_TEXT,
        result=_TEXT,
        ok=_TRUTH,
        secs=_NUMBER,
        said=_TEXT,
    ),
}
_LOOKED_UP: Schema = {
    "type": "array",
    "items": _object(section=_TEXT, title=_TEXT, text=_TEXT),
}
_FAILOVER = _object(stage=_TEXT, failed=_TEXT, vendor=_TEXT, ends_turns=_TRUTH)
_ERROR = _object(error=_TEXT, permanent=_TRUTH)
_SENTENCE = _object(
    optional=("context", "shown"),
    text=_TEXT,
    shown=_TEXT,
    turn=_WHOLE,
    sections=_TEXTS,
    lines=_WHOLES,
    context=_TEXT,
)
_CONTEXT = _object(context=_TEXT)
_COST = _object(stt=_WHOLE, brain=_WHOLE, tts=_WHOLE)
_NAMES: Schema = {"type": "object", "additionalProperties": _TEXT}
_USED = _object(
    input_tokens=_WHOLE,
    output_tokens=_WHOLE,
    cache_read_tokens=_WHOLE,
    cache_write_tokens=_WHOLE,
    characters=_WHOLE,
    audio_seconds=_NUMBER,
)
_SECONDS = _or_null(_NUMBER)

TOPICS: Mapping[str, Schema] = {
    "/caller/audio": _RAW_AUDIO,
    "/agent/audio": _RAW_AUDIO,
    "/caller/page": _MESSAGE,
    "/agent/page": _MESSAGE,
    "/vad/VADUserStartedSpeakingFrame": _object(start_secs=_NUMBER),
    "/vad/VADUserStoppedSpeakingFrame": _object(stop_secs=_NUMBER),
    "/vad/SpeechPauseFrame": _object(pause_secs=_NUMBER),
    "/vad/EndOfTurnFrame": _object(probability=_NUMBER, delay_secs=_NUMBER),
    "/stt/InterimTranscriptionFrame": _object(text=_TEXT),
    "/stt/TranscriptionFrame": _object(
        optional=("doubt",), text=_TEXT, finalized=_TRUTH, doubt=_NUMBER
    ),
    "/stt/ProposedUserStoppedSpeakingFrame": _NOTHING,
    "/stt/FailoverFrame": _FAILOVER,
    "/stt/ErrorFrame": _ERROR,
    "/stt/STTUsage": _object(audio_seconds=_NUMBER),
    "/turn/UserStartedSpeakingFrame": _NOTHING,
    "/turn/UserStoppedSpeakingFrame": _NOTHING,
    "/turn/TurnFrame": _object(
        optional=("doubt",),
        turn=_WHOLE,
        question=_TEXT,
        history=_HISTORY,
        speculation=_TRUTH,
        doubt=_NUMBER,
    ),
    "/turn/InterruptionFrame": _object(turn=_or_null(_WHOLE)),
    "/turn/DuckFrame": _NOTHING,
    "/turn/UnduckFrame": _NOTHING,
    "/turn/CallerTextFrame": _object(text=_TEXT, final=_TRUTH),
    "/turn/TTSSpeakFrame": _object(text=_TEXT),
    "/turn/EndCallFrame": _object(reason=_TEXT, last_words=_TEXT),
    "/brain/Asked": _object(
        optional=("calls",), ask=_WHOLE, question=_TEXT, history=_HISTORY, calls=_CALLS
    ),
    "/brain/Event": _object(
        optional=("name", "json", "usage", "ways", "error", "permanent", "retry_after_secs"),
        ask=_WHOLE,
        event={
            "type": "string",
            "enum": ["tool_start", "arguments", "usage", "repaired", "error", "end", "aborted"],
        },
        brain=_TEXT,
        name=_TEXT,
        json=_TEXT,
        usage=_USAGE,
        ways=_TEXTS,
        error=_TEXT,
        permanent=_TRUTH,
        retry_after_secs=_SECONDS,
    ),
    "/brain/LLMFullResponseStartFrame": _NOTHING,
    "/brain/LLMFullResponseEndFrame": _NOTHING,
    "/brain/SentenceFrame": _SENTENCE,
    "/brain/DecisionFrame": _object(
        optional=("looked_up",),
        turn=_WHOLE,
        decision=_TEXT,
        sections=_TEXTS,
        lines=_WHOLES,
        confidence=_or_null(_TEXT),
        text=_TEXT,
        reason=_TEXT,
        checks=_CHECKS,
        usage=_USAGE,
        brain=_TEXT,
        ttft_secs=_SECONDS,
        ttfs_secs=_SECONDS,
        looked_up=_LOOKED_UP,
    ),
    "/brain/EscalationFrame": _object(turn=_WHOLE, reason=_TEXT, question=_TEXT),
    "/brain/FailoverFrame": _FAILOVER,
    "/brain/ErrorFrame": _ERROR,
    "/tts/AggregatedTextFrame": _object(
        optional=("shown",), text=_TEXT, shown=_TEXT, context=_TEXT
    ),
    "/tts/SentenceFrame": _SENTENCE,
    "/tts/TTSStartedFrame": _CONTEXT,
    "/tts/TTSAudioRawFrame": _object(_AUDIO, context=_TEXT),
    "/tts/TTSTextFrame": _object(text=_TEXT, context=_TEXT, timed=_TRUTH),
    "/tts/TTSStoppedFrame": _CONTEXT,
    "/tts/FailoverFrame": _FAILOVER,
    "/tts/ErrorFrame": _ERROR,
    "/tts/TTSUsage": _object(characters=_WHOLE),
    "/call/Begin": _object(
        optional=("by_clause", "follow_up"),
        call=_TEXT,
        document=_TEXT,
        document_hash=_TEXT,
        vendors=_NAMES,
        models=_NAMES,
        ending={"type": "string", "enum": ["model", "transcript", "recogniser"]},
        preemptive=_TRUTH,
        by_clause=_TRUTH,
        limit_secs=_NUMBER,
        follow_up={"type": "string", "enum": ["address", "nobody"]},
    ),
    "/call/Turn": _object(
        optional=("looked_up",),
        number=_WHOLE,
        at=_NUMBER,
        question=_TEXT,
        decision=_or_null(_TEXT),
        reason=_TEXT,
        confidence=_or_null(_TEXT),
        sections=_TEXTS,
        lines=_WHOLES,
        checks=_CHECKS,
        answer=_TEXT,
        heard_text=_TEXT,
        interrupted=_TRUTH,
        withdrawn=_TRUTH,
        transcription_delay=_SECONDS,
        end_of_turn_delay=_SECONDS,
        llm_ttft=_SECONDS,
        llm_ttfs=_SECONDS,
        tts_ttfb=_SECONDS,
        e2e_latency=_SECONDS,
        used=_USED,
        wasted_tokens=_WHOLE,
        cost=_COST,
        vendors=_NAMES,
        models=_NAMES,
        errors=_TEXTS,
        failovers={
            "type": "array",
            "items": _object(stage=_TEXT, failed=_TEXT, vendor=_TEXT),
        },
        looked_up=_LOOKED_UP,
    ),
    "/call/End": _object(reason=_TEXT, turns=_WHOLE, duration_secs=_NUMBER, cost=_COST),
    "/replay/Shift": _object(recorded=_NUMBER, replayed=_NUMBER, utterance=_WHOLE),
    "/replay/Missing": _object(stage=_TEXT, what=_TEXT),
}
"""Every topic of recordings, with the schema of its messages.

Readers refuse a message without a required field, so one that older versions lack is optional.
"""

_NAMED: Mapping[str, str] = {
    "/caller/audio": "foxglove.RawAudio",
    "/agent/audio": "foxglove.RawAudio",
    "/caller/page": "viva.PageMessage",
    "/agent/page": "viva.PageMessage",
    "/brain/Event": "viva.BrainEvent",
    "/call/Begin": "viva.CallBegin",
    "/call/Turn": "viva.TurnRecord",
    "/call/End": "viva.CallEnd",
}

AUDIO_TOPICS = frozenset({"/caller/audio", "/agent/audio", "/tts/TTSAudioRawFrame"})
"""Topics of audio messages."""


def schema_name(topic: str) -> str:
    """Name of a topic's schema; several topics may share one."""
    named = _NAMED.get(topic)
    return named if named is not None else f"viva.{topic.rpartition('/')[2]}"


_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


_NEEDED: Mapping[tuple[str, str], Schema] = {
    ("/brain/Event", "tool_start"): _object(more=True, name=_TEXT),
    ("/brain/Event", "arguments"): _object(more=True, json=_TEXT),
    ("/brain/Event", "usage"): _object(more=True, usage=_USAGE),
    ("/brain/Event", "repaired"): _object(more=True, ways=_TEXTS),
    ("/agent/page", "sentence"): _object(
        more=True, turn=_WHOLE, epoch=_WHOLE, start=_WHOLE, text=_TEXT, sections=_TEXTS
    ),
    ("/caller/page", "playback"): _object(more=True, epoch=_WHOLE, samples=_WHOLE),
}
"""Fields that readers need of messages of one topic and one event or type."""

_LARGEST = 2**63


_Misfit = tuple[str, str]
"""Where a value is wrong, such as ``history[2].text``, and what is; nothing if it is missing."""

_Check = Callable[[Any], _Misfit | None]


def misfit(topic: str, data: Any) -> str:
    """What is wrong with a message of a topic, as in ``has no text``; empty if nothing.

    Fields that the schema does not know are left to later versions.
    """
    wrong = _check_of(topic)(data)
    if wrong is None:
        kind = str(data.get("event", data.get("type")))
        if (topic, kind) in _NEEDED:
            wrong = _needed_check(topic, kind)(data)
    return "" if wrong is None else _in_words(wrong)


def _in_words(wrong: _Misfit) -> str:
    where, what = wrong
    if not what:
        return f"has no {where}"
    return f"has {where}, which is {what}" if where else f"is {what}".replace("no ", "no JSON ", 1)


@cache
def _check_of(topic: str) -> _Check:
    return _check(TOPICS[topic])


@cache
def _needed_check(topic: str, kind: str) -> _Check:
    return _check(_NEEDED[topic, kind])


def _check(schema: Schema) -> _Check:
    """Make a function that checks a value, once a schema: recordings have many messages."""
    names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    # True is an int to Python, and no number in JSON.
    types = frozenset(kind for name in names for kind in _TYPES[name])
    allowed = schema.get("enum")
    items = _check(schema["items"]) if "items" in schema else None
    fields = {name: _check(of) for name, of in schema.get("properties", {}).items()}
    further = schema.get("additionalProperties")
    others = _check(further) if isinstance(further, dict) else None
    required = tuple(schema.get("required", ()))

    def check(value: Any) -> _Misfit | None:
        kind = type(value)
        if kind not in types or (
            (kind is int or kind is float) and not -_LARGEST <= value < _LARGEST
        ):
            return "", f"no {' or '.join(names)}"
        if allowed is not None and value not in allowed:
            return "", f"none of {', '.join(allowed)}"
        if kind is list and items is not None:
            for place, item in enumerate(value):
                if (wrong := items(item)) is not None:
                    return _within(f"[{place}]", wrong)
        elif kind is dict:
            for name in required:
                if name not in value:
                    return name, ""
            for name, item in value.items():
                known = fields.get(name, others)
                if known is not None and (wrong := known(item)) is not None:
                    return _within(name, wrong)
        return None

    return check


def _within(outer: str, wrong: _Misfit) -> _Misfit:
    where, what = wrong
    return f"{outer}{'.' if where and where[0] != '[' else ''}{where}", what


@cache
def schema_text(topic: str) -> bytes:
    """JSON schema of a topic, as written into the file."""
    schema = {"title": schema_name(topic), **TOPICS[topic]}
    return json.dumps(schema, sort_keys=True, separators=(",", ":")).encode()
