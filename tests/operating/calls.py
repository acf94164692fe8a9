"""Records of calls, as the chain would have kept them."""

from dataclasses import replace
from typing import Any

from conversation.frames import Check
from conversation.records import CallerIdentity, CallRecord, Failover, StageCost, TurnRecord, Used

STARTED_AT = 1_790_000_000.0
CALLER = CallerIdentity(email="ada.lovelace@example.com", key="ada.lovelace@example.com")
QUESTION = "Did she ever live in Poughkeepsie?"
ANSWER = "She taught at Vassar, in Poughkeepsie."
VENDORS = {"stt": "deepgram", "brain": "claude", "tts": "elevenlabs"}
MODELS = {"stt": "nova-3", "brain": "claude-haiku-4-5", "tts": "eleven_flash_v2_5"}


def call(name: str = "c-1", **fields: Any) -> CallRecord:
    """A call that has begun."""
    record = CallRecord(
        id=name,
        caller=CALLER,
        started_at=STARTED_AT,
        day="2026-09-21",
        document="Grace Hopper",
        vendors=VENDORS,
    )
    return replace(record, **fields)


def over(record: CallRecord, why: str = "hangup", **fields: Any) -> CallRecord:
    """The same when it has ended, 60 s later."""
    return replace(record, ended_at=record.started_at + 60.0, why=why, **fields)


def turn(number: int = 1, name: str = "c-1", **fields: Any) -> TurnRecord:
    """A turn that was answered by cloud vendors, 0.9 s after the caller had spoken."""
    record = TurnRecord(
        call=name,
        number=number,
        at=STARTED_AT + 10.0 * number,
        question=QUESTION,
        decision="respond",
        confidence="high",
        sections=("teaching",),
        lines=(12,),
        checks=(Check("sections", passed=True), Check("support", passed=False, detail=ANSWER)),
        answer=ANSWER,
        heard_text=ANSWER,
        transcription_delay=0.25,
        end_of_turn_delay=0.3,
        llm_ttft=0.2,
        llm_ttfs=0.35,
        tts_ttfb=0.1,
        e2e_latency=0.9,
        used=Used(
            input_tokens=100,
            output_tokens=40,
            cache_read_tokens=3000,
            cache_write_tokens=500,
            characters=38,
            audio_seconds=2.5,
        ),
        wasted_tokens=7,
        cost=StageCost(stt=200, brain=1400, tts=1900),
        vendors=VENDORS,
        models=MODELS,
    )
    return replace(record, **fields)


TAKEN_OVER = Failover(stage="stt", failed="deepgram", vendor="whisper")
