"""Stage and vendor labels of metrics and traces, limited to known names."""

from collections import Counter
from collections.abc import Mapping

from conversation.records import TurnRecord
from pipeline.vendors import STAGES, VENDORS

OTHER = "other"
"""Stands for an unknown stage or vendor, so that the label values stay few."""

KINDS = {vendor.name: vendor.kind for vendor in VENDORS}
"""``embedded`` or ``cloud`` by vendor name."""

_MARKS = (
    ("stt", ("STT", "SpeechToText")),
    ("tts", ("TTS", "TextToSpeech")),
    ("brain", ("GroundedResponder",)),
    ("vad", ("VoiceActivity",)),
)
"""Parts of processor names by which each stage is recognized."""


def vendor_name(name: str) -> str:
    """A vendor label: the name if it is known."""
    return name if name in KINDS else OTHER


def stage_name(name: str) -> str:
    """A stage label: the name if it is known."""
    return name if name in STAGES else OTHER


def stage_of(error: str) -> str:
    """The stage of an error, by the processor name it begins with."""
    processor = error.partition(":")[0].strip()
    for stage, marks in _MARKS:
        if processor == stage or any(mark in processor for mark in marks):
            return stage
    return OTHER


def error_counts(record: TurnRecord) -> Mapping[str, int]:
    """Number of a turn's errors by stage."""
    return Counter(map(stage_of, record.errors))


def failed_vendor(record: TurnRecord, stage: str) -> str:
    """The vendor of a stage's errors in a turn: after a failover, the one that failed first."""
    for failover in record.failovers:
        if failover.stage == stage:
            return vendor_name(failover.failed)
    return vendor_name(record.vendors.get(stage, ""))
