"""Calls transcribed by Deepgram's SDK from a simulated Flux on loopback, in virtual time."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import aiohttp
import pytest
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    EagerTranscriptionFrame,
    Frame,
    ProposedUserStoppedSpeakingFrame,
    TranscriptionFrame,
    VADUserStoppedSpeakingFrame,
)

from evals.replay import virtual_time
from processors.key_check import UnreachableError
from processors.stt.deepgram.connection import create_client, flux_refusal
from processors.stt.deepgram.flux import DeepgramFluxSTT
from processors.vad.silero import SileroEngine
from simulators.deepgram import DeepgramSimulator, Fault, Utterance
from simulators.deepgram_recogniser import speech_secs
from tests.processors.stt.test_deepgram import KEY, QUESTION, Call, recording, silence

STUDIED = "Where did she study, mathematics?"
EVENTS = ("StartOfTurn", "EagerEndOfTurn", "TurnResumed", "EndOfTurn")

Story = Callable[[Call, DeepgramSimulator], Coroutine[Any, Any, None]]


def told(
    silero: SileroEngine,
    story: Story,
    script: Sequence[Utterance | str],
    *,
    settings: dict[str, Any] | None = None,
    **simulated: Any,
) -> tuple[Call, DeepgramSimulator]:
    """Tell a story in virtual time; what is left of it afterwards."""

    async def main() -> tuple[Call, DeepgramSimulator]:
        async with DeepgramSimulator(script, **simulated) as simulator:
            client = create_client(KEY, base_url=simulator.url)
            stt = DeepgramFluxSTT(client=client, **{"eager_eot_threshold": 0.5, **(settings or {})})
            async with Call(silero, stt) as call:
                await story(call, simulator)
            return call, simulator

    return virtual_time.run(main())


def said(name: str, text: str, **more: Any) -> Utterance:
    return Utterance(text, speech_secs=speech_secs(recording(name)), pauses=True, **more)


async def ask(call: Call, _: DeepgramSimulator) -> None:
    await call.say(silence(0.5), recording("where-studied"), silence(1.5))


def turns(simulator: DeepgramSimulator) -> list[str]:
    """The events of all connections but ``Update``, in order."""
    sent = [message for request in simulator.requests for _, message in request.sent]
    return [message["event"] for message in sent if message.get("event") in EVENTS]


def story_of(call: Call) -> list[str]:
    names: dict[type[Frame], Callable[[Any], str]] = {
        EagerTranscriptionFrame: lambda frame: f"foretold: {frame.text}",
        EagerEndOfTurnCancelFrame: lambda _: "withdrawn",
        TranscriptionFrame: lambda frame: f"final: {frame.text}",
        ProposedUserStoppedSpeakingFrame: lambda _: "end proposed",
    }
    return [names[type(frame)](frame) for _, frame in call.down(*names)]


def test_a_question_is_one_turn_foretold_and_ended_by_flux(silero: SileroEngine) -> None:
    call, simulator = told(silero, ask, [said("where-studied", QUESTION)], settings={
        "keyterms": ("COBOL",), "eot_timeout_ms": 4000,
    })  # fmt: skip
    assert story_of(call) == [f"foretold: {QUESTION}", f"final: {QUESTION}", "end proposed"]
    (request,) = simulator.requests
    assert request.path == "/v2/listen"
    assert dict(request.query) == {
        "model": "flux-general-en",
        "encoding": "linear16",
        "sample_rate": "16000",
        "eot_threshold": "0.7",
        "eager_eot_threshold": "0.5",
        "eot_timeout_ms": "4000",
        "keyterm": "COBOL",
    }
    assert request.kinds() == ["CloseStream"]
    assert request.audio_bytes / request.audio_messages == pytest.approx(2560, rel=0.02), "80 ms"
    stopped = call.down(VADUserStoppedSpeakingFrame)[-1][0]
    ended = call.down(ProposedUserStoppedSpeakingFrame)[-1][0]
    assert ended - stopped < 0.35
    assert not call.errors()


def test_a_pause_in_a_question_is_foretold_in_vain_at_most(silero: SileroEngine) -> None:
    async def story(call: Call, _: DeepgramSimulator) -> None:
        await call.say(silence(0.3), recording("pause-studied"), silence(1.5))

    call, simulator = told(silero, story, [said("pause-studied", STUDIED)])
    assert story_of(call) == [
        "foretold: Where did she",
        "withdrawn",
        f"foretold: {STUDIED}",
        f"final: {STUDIED}",
        "end proposed",
    ]
    assert turns(simulator) == [
        "StartOfTurn",
        "EagerEndOfTurn",
        "TurnResumed",
        "EagerEndOfTurn",
        "EndOfTurn",
    ]


def test_a_noise_without_words_is_a_final_without_words(silero: SileroEngine) -> None:
    async def story(call: Call, _: DeepgramSimulator) -> None:
        await call.say(silence(0.5), recording("yeah"), silence(2))

    call, _ = told(silero, story, [Utterance("")])
    assert story_of(call) == ["final: "]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("drop", at_secs=1.5, connection=0),
        Fault("close", at_secs=1.5, connection=0, code=1011, reason="NET-0000"),
        Fault("stall", at_secs=1.2, connection=0),
        Fault("status", connection=0, code=429),
        Fault("garbage", at_secs=1.2, connection=0),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.code}",
)
def test_no_word_is_lost_when_the_connection_is(silero: SileroEngine, fault: Fault) -> None:
    async def story(call: Call, _: DeepgramSimulator) -> None:
        await call.say(silence(0.5), recording("where-studied"), silence(5))

    call, _ = told(silero, story, [said("where-studied", QUESTION)], faults=[fault])
    assert call.finals()[-1] == QUESTION
    assert call.words() == QUESTION
    assert call.stt.is_usable


def test_a_beginning_is_given_up_where_the_connection_stays_lost(silero: SileroEngine) -> None:
    async def story(call: Call, _: DeepgramSimulator) -> None:
        await call.say(silence(0.5), recording("where-studied"), silence(4))

    lost = [Fault("status", connection=number, code=500) for number in range(1, 20)]
    lost.append(Fault("drop", at_secs=1.2, connection=0))
    call, simulator = told(silero, story, [said("where-studied", QUESTION)], faults=lost)
    assert turns(simulator) == ["StartOfTurn"]
    assert call.finals() == [""], "its first words are no question"
    (stopped,) = call.down(VADUserStoppedSpeakingFrame)
    (given_up,) = call.down(TranscriptionFrame)
    assert given_up[0] - stopped[0] == pytest.approx(3.0, abs=0.2)


def test_a_line_that_is_given_no_audio_is_kept_open_and_knows_its_place(
    silero: SileroEngine,
) -> None:
    async def story(call: Call, simulator: DeepgramSimulator) -> None:
        await asyncio.sleep(21)
        await ask(call, simulator)

    call, simulator = told(silero, story, [said("where-studied", QUESTION)])
    assert len(simulator.requests) == 1
    assert call.words() == QUESTION
    assert call.stt._connection.untranscribed.end < 32_000 * 5  # type: ignore[attr-defined]


@pytest.mark.parametrize("code", [400, 401, 402, 403])
def test_a_refusal_is_for_good(silero: SileroEngine, code: int) -> None:
    call, simulator = told(silero, ask, [QUESTION], faults=[Fault("status", code=code)])
    assert len(simulator.requests) == 1
    assert f"refused the connection with {code}" in call.errors()[0]
    assert not call.stt.is_usable


def test_an_account_without_flux_is_told_so_at_start() -> None:
    async def main() -> None:
        async with DeepgramSimulator(flux=False) as simulator:

            async def refusal(key: str, url: str = simulator.url) -> str:
                return await asyncio.to_thread(
                    flux_refusal, key, base_url=url, model="flux-general-en"
                )

            assert "403" in await refusal(KEY)
            assert "does not have access to this model" in await refusal(KEY)
            assert await refusal("k" * 8) == "", "a wrong key is wrong for all"
            with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:9 \(connection refused"):
                await refusal(KEY, "ws://127.0.0.1:9")
            simulator.flux = True
            assert not await refusal(KEY)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"eot_threshold": 0.4}, "eot_threshold is 0.4: it must be 0.5 to 1"),
        ({"eager_eot_threshold": 0.8}, "at most eot_threshold=0.7"),
        ({"eot_timeout_ms": 100}, "eot_timeout_ms is 100: it must be 500 to 60000"),
    ],
)
def test_settings_out_of_range_are_named(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        DeepgramFluxSTT(client=create_client(KEY), **settings)


# --- The simulator itself, by its own documents --------------------------------------------------


def talk(*steps: bytes | dict[str, Any], query: str = "", **simulated: Any) -> list[dict[str, Any]]:
    """What a client that sends audio and messages is answered, over a socket of its own."""

    async def main() -> list[dict[str, Any]]:
        async with DeepgramSimulator(**simulated) as simulator, aiohttp.ClientSession() as http:
            url = f"{simulator.url}/v2/listen?model=flux-general-en&encoding=linear16"
            headers = {"authorization": f"Token {KEY}"}
            async with http.ws_connect(f"{url}&sample_rate=16000{query}", headers=headers) as line:
                for step in steps:
                    if isinstance(step, dict):
                        await line.send_json(step)
                        continue
                    for at in range(0, len(step), 2560):
                        await line.send_bytes(step[at : at + 2560])
                        await asyncio.sleep(0.08)
                await asyncio.sleep(0.5)
                await line.send_json({"type": "CloseStream"})
                return [json.loads(message.data) async for message in line]

    return virtual_time.run(main())


def test_messages_are_numbered_and_updates_come_four_times_a_second_from_the_first() -> None:
    answers = talk(silence(1.1))
    assert [answer["sequence_id"] for answer in answers] == list(range(len(answers)))
    assert [answer["type"] for answer in answers] == ["Connected", *["TurnInfo"] * 4]
    assert [answer["audio_window_end"] for answer in answers[1:]] == [0.25, 0.5, 0.75, 1.0]
    assert {answer["transcript"] for answer in answers[1:]} == {""}


def test_a_turn_can_be_forced_to_end_and_only_while_there_is_one() -> None:
    force = {"type": "ForceEndTurn"}
    speech = recording("where-studied")[:40_000]
    answers = talk(silence(0.5), force, speech, force, silence(0.5), script=["one two three four"])
    ends = [answer for answer in answers if answer.get("event") == "EndOfTurn"]
    assert [end["trigger"] for end in ends] == ["manual"]
    assert answers[-1]["turn_index"] == 1


def test_a_stream_is_configured_in_midstream_and_refusals_change_nothing() -> None:
    answers = talk(
        silence(0.3),
        {"type": "Configure", "thresholds": {"eot_threshold": 0.9}, "keyterms": ["COBOL"]},
        {"type": "Configure", "thresholds": {"eot_threshold": 2}},
        {"type": "Configure", "thresholds": {"eager_eot_threshold": 0.6}},
    )
    configured = [answer for answer in answers if answer["type"].startswith("Configure")]
    assert [message["type"] for message in configured] == [
        "ConfigureSuccess",
        "ConfigureFailure",
        "ConfigureSuccess",
    ]
    assert configured[2]["thresholds"] == {
        "eot_threshold": 0.9,
        "eager_eot_threshold": 0.6,
        "eot_timeout_ms": 5000,
    }
    assert configured[2]["keyterms"] == ["COBOL"]


def test_a_turn_that_nobody_ends_is_over_with_the_timeout() -> None:
    speech = recording("where-studied")
    script = [Utterance("one two three four five", speech_secs=9.0, pauses=True)]
    answers = talk(speech, silence(2.0), query="&eot_timeout_ms=1000", script=script)
    (end,) = [answer for answer in answers if answer.get("event") == "EndOfTurn"]
    assert end["trigger"] == "timeout"


def test_what_is_no_message_of_its_ends_the_connection_with_an_error() -> None:
    answers = talk(silence(0.3), {"type": "KeepAlive"})
    assert answers[-1]["type"] == "Error"
    assert answers[-1]["code"] == "UNPARSABLE_CLIENT_MESSAGE"
