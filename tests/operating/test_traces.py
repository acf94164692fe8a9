import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import get_tracer_provider

from conversation.records import CallRecord, StageCost, TurnRecord, Used
from operating.traces import MAX_CALLS, MAX_SPANS, MAX_TURNS, Traces
from settings import Settings
from tests.operating.calls import (
    ANSWER,
    CALLER,
    QUESTION,
    STARTED_AT,
    TAKEN_OVER,
    call,
    over,
    turn,
)
from tests.operating.collector import Collector

CLIENT, SERVER, INTERNAL = 3, 2, 1


def traces_to(url: str) -> Traces:
    settings = Settings(_env_file=None, otel_exporter_otlp_endpoint=url)  # type: ignore[call-arg]
    traces = Traces.from_settings(settings, export_timeout_secs=0.5)
    assert traces is not None
    return traces


async def sent(*turns: TurnRecord, ended: CallRecord | None = None) -> Collector:
    """What a collector has of one call."""
    async with Collector() as collector:
        traces = traces_to(collector.url + "/")
        traces.begun(call())
        for record in turns:
            traces.turn(record)
        traces.ended(ended or over(call(), turns=len(turns)))
        assert await traces.close()
    return collector


def test_without_an_endpoint_there_are_none() -> None:
    assert Traces.from_settings(Settings(_env_file=None)) is None  # type: ignore[call-arg]


async def test_a_call_is_one_trace_of_turns_and_of_what_stages_did_in_them() -> None:
    collector = await sent(turn(1), turn(2))
    (root,) = collector.named("call")
    assert root.parent == b""
    assert {span.trace for span in collector.spans} == {root.trace}
    assert [span.name for span in collector.under(root)] == ["turn", "turn"]
    for span in collector.under(root):
        assert [stage.name for stage in collector.under(span)] == [
            "speech_to_text nova-3",
            "chat claude-haiku-4-5",
            "text_to_speech eleven_flash_v2_5",
        ]
    assert len(collector.spans) == 9


async def test_the_times_are_those_of_the_records() -> None:
    collector = await sent(turn(1))
    (root,), (one,) = collector.named("call"), collector.named("turn")
    assert root.start == STARTED_AT
    assert root.secs == 60.0
    assert one.start == STARTED_AT + 10.0
    assert one.secs == 0.9, "until the answer could be heard"
    stt, brain, tts = collector.under(one)
    at = [round(stage.start - one.start, 3) for stage in (stt, brain, tts)]
    assert at == [0.0, 0.3, 0.65]
    assert [stage.secs for stage in (stt, brain, tts)] == [0.25, 0.35, 0.1]


async def test_the_attributes_are_named_as_the_conventions_name_them() -> None:
    collector = await sent(turn(1), ended=over(call(), "hangup", turns=1, cost=turn().cost))
    (root,), (one,) = collector.named("call"), collector.named("turn")
    stt, brain, tts = collector.under(one)
    assert root.kind == SERVER
    assert root.attributes == {
        "gen_ai.conversation.id": "c-1",
        "viva.why": "hangup",
        "viva.turns": 1,
        "viva.cost_micros": 3500,
        "viva.cost_micros.stt": 200,
        "viva.cost_micros.brain": 1400,
        "viva.cost_micros.tts": 1900,
    }
    assert one.kind == INTERNAL
    assert one.attributes == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "viva",
        "gen_ai.conversation.id": "c-1",
        "viva.turn": 1,
        "viva.decision": "respond",
        "viva.confidence": "high",
        "viva.interrupted": False,
        "viva.withdrawn": False,
        "viva.sections": ["teaching"],
        "viva.checks.failed": ["support"],
        "viva.transcription_delay": 0.25,
        "viva.end_of_turn_delay": 0.3,
        "viva.llm_ttft": 0.2,
        "viva.llm_ttfs": 0.35,
        "viva.tts_ttfb": 0.1,
        "viva.e2e_latency": 0.9,
        "viva.cost_micros": 3500,
        "viva.cost_micros.stt": 200,
        "viva.cost_micros.brain": 1400,
        "viva.cost_micros.tts": 1900,
    }
    assert {stt.kind, brain.kind, tts.kind} == {CLIENT}
    assert stt.attributes == {
        "gen_ai.operation.name": "speech_to_text",
        "gen_ai.provider.name": "deepgram",
        "gen_ai.request.model": "nova-3",
        "gen_ai.conversation.id": "c-1",
        "viva.stage": "stt",
        "viva.audio_seconds": 2.5,
        "viva.cost_micros": 200,
    }
    assert brain.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-haiku-4-5",
        "gen_ai.conversation.id": "c-1",
        "gen_ai.usage.input_tokens": 3600,  # the cache's are among them
        "gen_ai.usage.output_tokens": 40,
        "gen_ai.usage.cache_read.input_tokens": 3000,
        "gen_ai.usage.cache_write.input_tokens": 500,
        "gen_ai.usage.cache_creation.input_tokens": 500,
        "viva.stage": "brain",
        "viva.wasted_tokens": 7,
        "viva.cost_micros": 1400,
    }
    assert tts.attributes == {
        "gen_ai.operation.name": "text_to_speech",
        "gen_ai.output.type": "speech",
        "gen_ai.provider.name": "elevenlabs",
        "gen_ai.request.model": "eleven_flash_v2_5",
        "gen_ai.conversation.id": "c-1",
        "viva.stage": "tts",
        "viva.characters": 38,
        "viva.cost_micros": 1900,
    }


async def test_nobody_can_read_from_them_what_was_said_or_by_whom() -> None:
    spoken = turn(1, errors=(f"DeepgramSTT: {QUESTION}",), reason="")
    collector = await sent(spoken, turn(2))
    assert b"claude-haiku-4-5" in collector.raw
    for said in (QUESTION, ANSWER, CALLER.email, "Poughkeepsie", "lovelace"):
        assert said.encode() not in collector.raw


async def test_the_service_is_named_and_the_environment_may_name_it_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (await sent(turn())).resource["service.name"] == "viva"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "viva-test")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=ci")
    resource = (await sent(turn())).resource
    assert resource["service.name"] == "viva-test"
    assert resource["deployment.environment.name"] == "ci"


async def test_of_a_turn_that_was_recorded_again_the_last_record_stands() -> None:
    collector = await sent(turn(1, e2e_latency=None), turn(2), turn(1, e2e_latency=0.75))
    first, _ = collector.named("turn")
    assert first.attributes["viva.e2e_latency"] == 0.75


async def test_embedded_stages_run_in_this_process_and_have_no_tokens() -> None:
    embedded = turn(
        1,
        vendors={"stt": "whisper", "brain": "extractive", "tts": "hibari"},
        models={},
        used=Used(audio_seconds=2.0, characters=30),
        cost=StageCost(),
    )
    collector = await sent(embedded)
    stt, brain, tts = collector.under(collector.named("turn")[0])
    assert [span.name for span in (stt, brain, tts)] == ["speech_to_text", "chat", "text_to_speech"]
    assert {stt.kind, brain.kind, tts.kind} == {INTERNAL}
    assert brain.attributes["gen_ai.provider.name"] == "extractive"
    assert "gen_ai.usage.input_tokens" not in brain.attributes
    assert "gen_ai.request.model" not in brain.attributes


async def test_a_stage_that_failed_is_told_from_one_that_recovered() -> None:
    recovered = turn(1, errors=("DeepgramSTT: lost",), failovers=(TAKEN_OVER,))
    failed = turn(
        2,
        errors=("GroundedResponder: claude could not decide",),
        decision="escalate",
        reason="fault",
        confidence=None,
        llm_ttft=None,
        llm_ttfs=None,
    )
    collector = await sent(recovered, failed, ended=over(call(), "fault"))
    first, second = collector.named("turn")
    stt = collector.under(first)[0]
    assert not stt.failed
    assert stt.attributes["viva.errors"] == 1
    assert first.events == [
        ("failover", {"viva.stage": "stt", "viva.failed": "deepgram", "viva.vendor": "whisper"})
    ]
    brain = collector.under(second)[1]
    assert brain.failed
    assert brain.attributes["error.type"] == "_OTHER"
    assert second.attributes["viva.reason"] == "fault"
    (root,) = collector.named("call")
    assert root.failed
    assert root.attributes["error.type"] == "fault"


async def test_a_stage_that_had_nothing_to_do_has_no_span() -> None:
    unanswered = turn(
        1,
        decision=None,
        llm_ttft=None,
        llm_ttfs=None,
        tts_ttfb=None,
        e2e_latency=None,
        used=Used(audio_seconds=1.0),
    )
    collector = await sent(unanswered)
    (one,) = collector.named("turn")
    assert [stage.name for stage in collector.under(one)] == ["speech_to_text nova-3"]
    assert one.secs == 0.3


async def test_a_call_without_turns_is_a_trace_too() -> None:
    collector = await sent(turn(0, decision=None, cost=StageCost(brain=900)))
    assert [span.name for span in collector.spans] == ["call"]


# A collector that is away, or slow, is nobody's trouble but its own.


class Held(SpanExporter):
    """An exporter that is stuck until it is let go."""

    def __init__(self) -> None:
        self.stuck = threading.Event()
        self.free = threading.Event()
        self.given = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.stuck.set()
        self.free.wait(30.0)
        self.given += len(spans)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.free.set()


async def test_a_collector_that_hangs_holds_up_no_call_and_no_end() -> None:
    async with Collector() as collector:
        collector.answering.clear()
        traces = traces_to(collector.url)
        for number in range(200):
            record = call(f"c-{number}")
            traces.begun(record)
            for n in range(1, 4):
                traces.turn(turn(n, record.id))
            traces.ended(over(record))
        await collector.asked.wait()
        assert not collector.answering.is_set(), "it is still being asked"
        traces.begun(call("one more"))
        traces.ended(over(call("one more")))
        assert await traces.close(0.05) is False
        assert collector.spans == []


async def test_what_waits_to_be_sent_is_bounded() -> None:
    exporter = Held()
    traces = Traces(exporter)
    calls = MAX_SPANS // 4
    for number in range(calls):
        record = call(f"c-{number}")
        traces.begun(record)
        traces.turn(turn(1, record.id))
        traces.ended(over(record))
        await asyncio.sleep(0)
    await asyncio.gather(*traces._making)
    assert await asyncio.to_thread(exporter.stuck.wait, 10.0)
    exporter.free.set()
    assert await traces.close(20.0)
    made = calls * 5
    assert MAX_SPANS <= exporter.given < made


@pytest.mark.parametrize("how", ["refuses", "is away"])
async def test_a_collector_that_is_of_no_use_is_told_of_once(log: list[str], how: str) -> None:
    async with Collector() as collector:
        collector.status = 400
    if how == "refuses":
        await collector.__aenter__()
    try:
        traces = traces_to(collector.url)
        for number in range(3):
            traces.begun(call(f"c-{number}"))
            traces.ended(over(call(f"c-{number}")))
            await asyncio.gather(*traces._making)
            await asyncio.to_thread(traces._provider.force_flush)
        await traces.close()
    finally:
        if how == "refuses":
            await collector.__aexit__()
    assert [line for line in log if "is failing" in line] == [
        f"trace export to {collector.url}/v1/traces is failing, dropping traces"
    ]


async def test_a_collector_that_comes_back_is_sent_what_comes_then(log: list[str]) -> None:
    async with Collector() as collector:
        collector.status = 400
        traces = traces_to(collector.url)
        for name in ("lost", "kept"):
            traces.begun(call(name))
            traces.ended(over(call(name)))
            await asyncio.gather(*traces._making)
            await asyncio.to_thread(traces._provider.force_flush)
            collector.status = 200
        assert await traces.close()
    assert [span.attributes["gen_ai.conversation.id"] for span in collector.spans] == ["kept"]
    assert log[-1] == f"trace export to {collector.url}/v1/traces is working again"


async def test_an_exporter_that_raises_is_one_that_fails(log: list[str]) -> None:
    class Broken(InMemorySpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            raise RuntimeError("no space")

    traces = Traces(Broken(), where="nowhere")
    traces.begun(call())
    traces.ended(over(call()))
    assert await traces.close()
    assert log == ["trace export to nowhere is failing, dropping traces: RuntimeError: no space"]


async def test_records_of_calls_that_never_end_do_not_pile_up() -> None:
    traces = Traces(InMemorySpanExporter())
    for number in range(MAX_CALLS + 5):
        traces.begun(call(f"c-{number}"))
    assert len(traces._calls) == MAX_CALLS
    for number in range(1, MAX_TURNS + 5):
        traces.turn(turn(number, f"c-{MAX_CALLS}"))
    assert len(traces._calls[f"c-{MAX_CALLS}"]) == MAX_TURNS
    traces.turn(replace(turn(1, "c-0")))
    assert "c-0" not in traces._calls
    assert await traces.close()


async def test_no_other_program_traces_through_it() -> None:
    traces = Traces(InMemorySpanExporter())
    assert get_tracer_provider() is not traces._provider
    assert await traces.close()
