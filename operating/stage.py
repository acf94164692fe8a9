"""What metrics and traces call stages and vendors: names from a list, never what somebody said."""

from collections import Counter
from collections.abc import Mapping

from conversation.records import TurnRecord
from pipeline.vendors import STAGES, VENDORS

OTHER = "other"
"""In place of a stage or vendor that is not on the list, so that the list stays short."""

KINDS = {vendor.name: vendor.kind for vendor in VENDORS}
"""``embedded`` or ``cloud``, by the name of the vendor."""

_MARKS = (
    ("stt", ("STT", "SpeechToText")),
    ("tts", ("TTS", "TextToSpeech")),
    ("brain", ("GroundedResponder",)),
    ("vad", ("VoiceActivity",)),
)
"""What the names of each stage's processors have in them."""


def vendor_name(name: str) -> str:
    """A vendor's name, as long as there is such a vendor."""
    return name if name in KINDS else OTHER


def stage_name(name: str) -> str:
    """A stage's name, as long as there is such a stage."""
    return name if name in STAGES else OTHER


def stage_of(error: str) -> str:
    """The stage that a trouble was in, told by the processor that it begins with."""
    processor = error.partition(":")[0].strip()
    for stage, marks in _MARKS:
        if processor == stage or any(mark in processor for mark in marks):
            return stage
    return OTHER


def troubles(record: TurnRecord) -> Mapping[str, int]:
    """How many troubles a turn had, by stage."""
    return Counter(map(stage_of, record.errors))


def troubled(record: TurnRecord, stage: str) -> str:
    """The vendor that had a turn's troubles in a stage: where another took over, the first."""
    for failover in record.failovers:
        if failover.stage == stage:
            return vendor_name(failover.failed)
    return vendor_name(record.vendors.get(stage, ""))
