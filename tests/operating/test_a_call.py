"""A whole call to a whole server, as its operator sees it."""

import io
import json

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from client.caller import Caller, HeardCall
from operating.logs import setup
from tests.conftest import AUDIO, ServerFactory
from tests.operating.collector import Collector

QUESTION = "where-studied.wav"


async def called(url: str) -> HeardCall:
    return await Caller(url.replace("http", "ws", 1) + "call", [AUDIO / QUESTION]).call()


@pytest.mark.thorough
async def test_a_call_is_in_the_metrics_the_traces_and_the_log(
    serving: ServerFactory, stream: io.StringIO
) -> None:
    async with (
        Collector() as collector,
        serving(otel_exporter_otlp_endpoint=collector.url, log_format="json") as (
            server,
            listening,
        ),
        aiohttp.ClientSession() as session,
    ):
        setup(server.settings, stream)
        url = str(listening.make_url("/"))
        heard = await called(url)
        async with session.get(url + "readyz") as answer:
            assert (answer.status, (await answer.json())["reasons"]) == (200, {})
        async with session.get(url + "metrics") as answer:
            exposition = await answer.text()
    samples = {
        ",".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
    }
    assert samples["viva_calls_total,hangup"] == 1
    assert samples["viva_turns_total,respond"] == 1
    assert samples["viva_e2e_latency_seconds_count"] == 1
    assert samples["viva_transcription_delay_seconds_count,whisper"] == 1
    assert samples["viva_llm_ttfs_seconds_count,extractive"] == 1
    assert samples["viva_tts_ttfb_seconds_count,hibari"] == 1
    assert samples["viva_characters_total,hibari"] > 0
    assert samples["viva_audio_seconds_total,whisper"] > 0
    assert samples["viva_reading_up,money"] == samples["viva_reading_up,ledger"] == 1

    (root,) = collector.named("call")
    (turn,) = collector.under(root)
    operations = [span.attributes["gen_ai.operation.name"] for span in collector.under(turn)]
    assert operations == ["speech_to_text", "chat", "text_to_speech"]

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    ours = [line for line in lines if line.get("call")]
    begins, *_, ends = (line["message"] for line in ours)
    assert begins == "call begins"
    assert ends.startswith("call ends: hangup")
    assert {line["call"] for line in ours} == {root.attributes["gen_ai.conversation.id"]}

    (spoken,) = heard.turns
    assert spoken.transcript
    for said in (spoken.transcript, spoken.heard_text):
        assert said not in exposition
        assert said not in stream.getvalue()
        assert said.encode() not in collector.raw
