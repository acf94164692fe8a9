"""Records of calls, as a call makes them, for the ledger's tests."""

from datetime import UTC, datetime
from typing import Any

from conversation.frames import Check
from conversation.records import CallerIdentity, CallRecord, Failover, StageCost, TurnRecord, Used
from ledger.store.database import Database
from ledger.store.entry import Entry
from ledger.store.posting import write_entries

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()
TODAY = "2026-11-24"
DAY_SECS = 86_400.0

ADA = CallerIdentity(email="ada@example.com", key="ada@example.com")
JOE = CallerIdentity(email="joe@example.com", key="joe@example.com")
VENDORS = {"stt": "deepgram", "brain": "claude", "tts": "elevenlabs"}


def a_call(
    id: str = "c-1", *, at: float = NOON, caller: CallerIdentity = ADA, **more: Any
) -> CallRecord:
    """A call as it begins."""
    day = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
    known = {"day": day, "document": "Grace Hopper", "document_hash": "ab" * 32}
    return CallRecord(id=id, caller=caller, started_at=at, **({"vendors": VENDORS} | known | more))


def a_call_that_ended(
    id: str = "c-1", *, at: float = NOON, caller: CallerIdentity = ADA, **more: Any
) -> CallRecord:
    """A call as it ends, a minute later."""
    return a_call(id, at=at, caller=caller, **({"ended_at": at + 60, "why": "hangup"} | more))


def a_turn(call: str = "c-1", number: int = 1, *, at: float = NOON, **more: Any) -> TurnRecord:
    """A turn with a value in every field."""
    known: dict[str, Any] = {
        "question": "Where did she study?",
        "decision": "respond",
        "confidence": "high",
        "sections": ("education",),
        "lines": (3, 4),
        "checks": (Check("sections", True), Check("support", True)),
        "answer": "She studied at Yale.",
        "heard_text": "She studied at Yale.",
        "transcription_delay": 0.2,
        "end_of_turn_delay": 0.3,
        "llm_ttft": 0.4,
        "llm_ttfs": 0.5,
        "tts_ttfb": 0.1,
        "e2e_latency": 1.1,
        "used": Used(100, 20, 3000, 40, 21, 1.5),
        "wasted_tokens": 7,
        "cost": StageCost(190, 640, 1050),
        "vendors": VENDORS,
        "models": {"stt": "nova-3", "brain": "claude-haiku-4-5", "tts": "eleven_flash_v2_5"},
        "errors": ("Claude: overloaded",),
        "failovers": (Failover("brain", "claude", "extractive"),),
    }
    return TurnRecord(call=call, number=number, at=at, **(known | more))


def keep(database: Database, *records: CallRecord | TurnRecord) -> None:
    """Write records to the ledger."""
    write_entries(
        database,
        [
            Entry.of_turn(record) if isinstance(record, TurnRecord) else Entry.of_call(record)
            for record in records
        ],
    )
