"""Call records as OpenTelemetry spans, with attributes by the GenAI conventions.

The names are those of https://github.com/open-telemetry/semantic-conventions-genai, which are still
in development. Their name for tokens written to a cache has changed since the last release, so both
names are set; the operations ``speech_to_text`` and ``text_to_speech`` are only proposed. What has
no name there begins with ``viva.``.

Spans contain nothing of what was said, and nothing that identifies a caller.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from conversation.records import CallRecord, StageCost, TurnRecord
from operating.stage import error_counts, stage_name, vendor_name

OPERATIONS = {"stt": "speech_to_text", "brain": "chat", "tts": "text_to_speech"}
"""The conventions' names for the stages' operations."""

PROVIDERS = {"aura": "deepgram", "claude": "anthropic"}
"""Provider names of vendors whose name in settings differs."""

LATENCIES = (
    *("transcription_delay", "end_of_turn_delay", "llm_ttft", "llm_ttfs", "tts_ttfb"),
    "e2e_latency",
)

Value = str | int | float | bool | tuple[str, ...]
Attributes = dict[str, Value]


@dataclass(frozen=True, slots=True)
class Work:
    """The work of one stage in a turn.

    Parameters:
        stage: ``stt``, ``brain`` or ``tts``.
        vendor: Its vendor's name in settings.
        name: Span name: operation and model.
        start: When it began, Unix seconds.
        end: When its first result arrived, Unix seconds; equal to the start without one.
        failed: Whether it had errors and no result.
        attributes: The span's attributes.
    """

    stage: str
    vendor: str
    name: str
    start: float
    end: float
    failed: bool
    attributes: Attributes


def of_call(call: CallRecord) -> Attributes:
    """The attributes of a call."""
    found: Attributes = {
        "gen_ai.conversation.id": call.id,
        "viva.why": call.why,
        "viva.turns": call.turns,
        **_costs(call.cost),
    }
    if call.why == "fault":
        found["error.type"] = "fault"
    return found


def of_turn(record: TurnRecord) -> Attributes:
    """The attributes of a turn."""
    found: Attributes = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "viva",
        "gen_ai.conversation.id": record.call,
        "viva.turn": record.number,
        "viva.decision": record.decision or "none",
        "viva.interrupted": record.interrupted,
        "viva.withdrawn": record.withdrawn,
        "viva.sections": record.sections,
        "viva.checks.failed": tuple(check.name for check in record.checks if not check.passed),
        **_costs(record.cost),
    }
    if record.reason:
        found["viva.reason"] = record.reason
    if record.confidence:
        found["viva.confidence"] = record.confidence
    for name in LATENCIES:
        if (secs := getattr(record, name)) is not None:
            found[f"viva.{name}"] = secs
    return found


def of_failovers(record: TurnRecord) -> Iterator[Attributes]:
    """The attributes of each failover of a turn."""
    for failover in record.failovers:
        yield {
            "viva.stage": stage_name(failover.stage),
            "viva.failed": vendor_name(failover.failed),
            "viva.vendor": vendor_name(failover.vendor),
        }


def stage_work(record: TurnRecord) -> Iterator[Work]:
    """The work of each stage in a turn, in order.

    Stages without usage and errors are left out.
    """
    spoken = record.at
    ended = spoken + (record.end_of_turn_delay or 0.0)
    decided = record.llm_ttft if record.llm_ttfs is None else record.llm_ttfs
    told = ended + (decided or 0.0)
    times = {
        "stt": (spoken, record.transcription_delay),
        "brain": (ended, decided),
        "tts": (told, record.tts_ttfb),
    }
    wrong = error_counts(record)
    for stage, (start, secs) in times.items():
        used = _used(record, stage)
        if secs is None and not used and not wrong.get(stage):
            continue
        vendor, model = record.vendors.get(stage, ""), record.models.get(stage, "")
        failed = bool(wrong.get(stage)) and (
            secs is None or (stage == "brain" and record.reason == "fault")
        )
        attributes: Attributes = {
            "gen_ai.operation.name": OPERATIONS[stage],
            "gen_ai.provider.name": PROVIDERS.get(vendor, vendor_name(vendor)),
            "gen_ai.conversation.id": record.call,
            "viva.stage": stage,
            "viva.cost_micros": getattr(record.cost, stage),
            **used,
        }
        if model:
            attributes["gen_ai.request.model"] = model
        if wrong.get(stage):
            attributes["viva.errors"] = wrong[stage]
        if failed:
            attributes["error.type"] = "_OTHER"
        yield Work(
            stage=stage,
            vendor=vendor,
            name=f"{OPERATIONS[stage]} {model}".rstrip(),
            start=start,
            end=start + (secs or 0.0),
            failed=failed,
            attributes=attributes,
        )


def end_time(record: TurnRecord) -> float:
    """When the answer could first be heard, or the last stage was done, Unix seconds."""
    heard = record.at + (record.e2e_latency or 0.0)
    return max(
        [heard, record.at + (record.end_of_turn_delay or 0.0)] + [w.end for w in stage_work(record)]
    )


def _used(record: TurnRecord, stage: str) -> Attributes:
    """The usage of a stage, if any."""
    used = record.used
    if stage == "stt" and used.audio_seconds:
        return {"viva.audio_seconds": used.audio_seconds}
    if stage == "tts" and used.characters:
        return {"gen_ai.output.type": "speech", "viva.characters": used.characters}
    prompt = used.input_tokens + used.cache_read_tokens + used.cache_write_tokens
    if stage == "brain" and prompt + used.output_tokens:
        return {
            "gen_ai.usage.input_tokens": prompt,  # includes cached tokens
            "gen_ai.usage.output_tokens": used.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": used.cache_read_tokens,
            "gen_ai.usage.cache_write.input_tokens": used.cache_write_tokens,
            "gen_ai.usage.cache_creation.input_tokens": used.cache_write_tokens,
            "viva.wasted_tokens": record.wasted_tokens,
        }
    return {}


def _costs(cost: StageCost) -> Attributes:
    return {
        "viva.cost_micros": cost.total,
        "viva.cost_micros.stt": cost.stt,
        "viva.cost_micros.brain": cost.brain,
        "viva.cost_micros.tts": cost.tts,
    }
