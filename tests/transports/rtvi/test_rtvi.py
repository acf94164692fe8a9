"""The same call for any RTVI client: pipecat's protobuf frames over a real socket."""

import asyncio
import itertools
import json
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import numpy as np
import pytest
import soxr
from aiohttp import WSMessage, WSMsgType
from hypothesis import given
from hypothesis import strategies as st
from pipecat.frames.frames import Frame, InterruptionFrame, TextFrame
from pipecat.frames.protobufs import frames_pb2
from pipecat.processors.frameworks.rtvi import models as rtvi
from pipecat.serializers.protobuf import ProtobufFrameSerializer

from client.wav import INPUT_RATE, OUTPUT_RATE, read_wav
from conversation.observer import Unobserved
from evals.replay import virtual_time
from tests.conftest import AUDIO, ServerFactory, in_virtual_time
from tests.transports.rtvi.client import READY, RtviClient, calling, message
from transports.browser import messages
from transports.browser.page import PageClosedError, PageProtocolError
from transports.rtvi.events import EventTranslator
from transports.rtvi.page import RtviPage

protobuf: Any = frames_pb2  # its classes are made at run time

SILENCE = b"\0" * 512


def speech(name: str, *, rate: int = INPUT_RATE) -> bytes:
    pcm = read_wav(AUDIO / name)
    samples = soxr.resample(np.frombuffer(pcm, np.int16).astype(np.float32), INPUT_RATE, rate)
    return bytes(samples.astype(np.int16).tobytes())


@in_virtual_time
async def test_a_question_is_answered_in_the_words_of_pipecats_clients(
    serving: ServerFactory,
) -> None:
    async with serving() as (_, listening), calling(listening, sample_rate=48_000) as client:
        await client.until(lambda: "bot-stopped-speaking" in client.kinds)
        greeted = len(client.heard)
        client.say(speech("where-studied.wav", rate=48_000))
        await client.until(lambda: client.own("turn"))

    (ready,) = client.data("bot-ready")
    assert ready["version"] == "2.2.0"
    assert ready["capabilities"]["audio_in"] is True
    (turn,) = client.own("turn")
    assert turn["decision"] == "respond"
    assert turn["heard_text"] == turn["answer"]
    assert not turn["interrupted"]
    assert turn["e2e_latency"] is not None
    said = [data for data in client.data("user-transcription") if data["final"]]
    assert "study" in said[-1]["text"].lower()
    assert client.data("user-llm-text") == [{"text": turn["question"]}]
    assert client.data("bot-llm-text") == [{"text": turn["answer"]}]
    assert len(client.audio) > 2 * OUTPUT_RATE * 2

    del client.heard[:greeted]
    kinds = client.kinds
    order = [
        "user-started-speaking",
        "user-transcription",
        "user-stopped-speaking",
        "user-llm-text",
        "bot-llm-started",
        "bot-tts-started",
        "bot-output",
        "bot-started-speaking",
        "audio",
        "bot-tts-stopped",
        "bot-stopped-speaking",
        "metrics",
    ]
    first = [kinds.index(kind) for kind in order]
    assert first == sorted(first), kinds
    spoken = [data["text"] for data in client.data("bot-tts-text")]
    assert spoken == [data["text"] for data in client.data("bot-transcription")]
    assert " ".join(spoken) == turn["answer"]
    output = client.data("bot-output")
    new, done = (
        [(data["segment_id"], data["text"]) for data in output if data["spoken_status"] == status]
        for status in ("new", "completed")
    )
    assert new == done
    assert [text for _, text in new] == spoken


@in_virtual_time
async def test_speaking_over_the_answer_stops_it_for_a_client_that_cannot_drop_it(
    serving: ServerFactory,
) -> None:
    async with serving() as (_, listening), calling(listening) as client:
        await client.until(lambda: "bot-stopped-speaking" in client.kinds)
        client.say(speech("first-compiler.wav"))
        await client.until(lambda: client.kinds.count("bot-started-speaking") == 2)
        await asyncio.sleep(0.8)
        client.say(speech("where-studied.wav"))
        await client.until(lambda: client.data("bot-interrupted"))
        await client.until(lambda: len(client.own("turn")) == 2)

    first, second = client.own("turn")
    assert first["interrupted"]
    assert 0 < len(first["heard_text"]) < len(first["answer"])
    assert "compiler" not in second["question"].lower(), "the first question was answered"
    assert second["heard_text"] == second["answer"]
    # No sample of the cut answer comes after the message that cut it.
    cut = next(
        at for at, received in enumerate(client.heard) if kind_of(received) == "bot-interrupted"
    )
    after = list(itertools.takewhile(lambda kind: kind != "bot-output", kinds_of(client, cut + 1)))
    assert "audio" not in after
    assert [kind for kind in after if kind.startswith("bot-")][:2] == [
        "bot-tts-stopped",
        "bot-stopped-speaking",
    ]
    assert ahead_secs(client) <= RtviPage.lead_secs + 0.06


def kind_of(received: dict[str, Any] | bytes) -> str:
    return "audio" if isinstance(received, bytes) else str(received["type"])


def kinds_of(client: RtviClient, start: int) -> list[str]:
    return [kind_of(item) for item in client.heard[start:]]


def ahead_secs(client: RtviClient) -> float:
    """How much voice a client that plays at once had waiting at most."""
    ends = most = 0.0
    for at, received in zip(client.arrived, client.heard, strict=True):
        if isinstance(received, bytes):
            ends = max(ends, at) + len(received) / 2 / OUTPUT_RATE
            most = max(most, ends - at)
    return most


async def test_what_viva_has_no_use_for_is_refused_as_rtvi_has_it_and_the_call_goes_on(
    serving: ServerFactory,
) -> None:
    async with serving() as (server, listening), calling(listening) as client:
        sent = [
            message("client-message", {"t": "get-voices", "d": {}}, number="a"),
            message("send-text", {"content": 7, "options": {}}, number="b"),
            message("dtmf", {"buttons": ["1"]}, number="c"),
            message("ui-snapshot", {"tree": "x" * 20_000}, number="d"),
            message("append-to-context", {"role": "user", "content": "x"}, number="e"),
        ]
        for request in sent:
            await client.tell(request)
        await client.until(lambda: len(client.data("error-response")) == len(sent))
        refused = [message for message in client.messages if message["type"] == "error-response"]
        assert [error["id"] for error in refused] == [message["id"] for message in sent]
        assert "'get-voices'" in refused[0]["data"]["error"]
        assert not client.data("error")
        assert len(server.calls) == 1
        await client.tell(message("disconnect-bot", {}))
        await client.until(lambda: client.own("end"))
    assert client.own("end")[0]["reason"] == "hangup"
    assert not client.data("error"), "hanging up is no error"


async def test_a_call_that_is_not_taken_is_a_fatal_error_to_an_rtvi_client(
    serving: ServerFactory,
) -> None:
    async with serving(max_calls=1) as (_, listening), calling(listening):
        url = str(listening.make_url("/rtvi")).replace("http", "ws", 1)
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
            second = RtviClient(socket)
            await second.listen()
    assert second.own("end")[0]["reason"] == "capacity"
    assert [data["fatal"] for data in second.data("error")] == [True]


async def test_pages_of_other_sites_call_only_where_they_are_named(serving: ServerFactory) -> None:
    async def status(listening: Any, origin: str) -> int:
        url = str(listening.make_url("/rtvi"))
        async with aiohttp.ClientSession(headers={"Origin": origin}) as session:
            try:
                async with session.ws_connect(url):
                    return 101
            except aiohttp.WSServerHandshakeError as error:
                return error.status

    async with serving(rtvi_origins="https://a.example, https://b.example") as (_, listening):
        assert await status(listening, "https://a.example") == 101
        assert await status(listening, "https://b.example") == 101
        assert await status(listening, "https://c.example") == 403
        own = str(listening.make_url("/")).rstrip("/")
        assert await status(listening, own) == 101
    async with serving() as (_, listening):
        assert await status(listening, "https://a.example") == 403


# The socket alone, in virtual time.


@dataclass
class Socket:
    """The client's end of a socket; it plays nothing and reports nothing."""

    incoming: list[WSMessage] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    closed: bool = False

    async def receive(self) -> WSMessage:
        if not self.incoming:
            return WSMessage(WSMsgType.CLOSED, None, None)
        return self.incoming.pop(0)

    async def send_bytes(self, data: bytes) -> None:
        self.sent.append(data)

    def hear(self, *messages: bytes) -> None:
        self.incoming += [WSMessage(WSMsgType.BINARY, message, None) for message in messages]

    def told(self) -> list[dict[str, Any]]:
        frames = [protobuf.Frame.FromString(data) for data in self.sent]
        return [json.loads(frame.message.data) for frame in frames if frame.HasField("message")]

    def audio(self) -> Any:
        """Everything that was sent, as samples."""
        frames = [protobuf.Frame.FromString(data) for data in self.sent]
        return np.frombuffer(b"".join(frame.audio.audio for frame in frames), np.int16)


def alone(story: Coroutine[Any, Any, None]) -> None:
    async def tell() -> None:
        await story

    virtual_time.run(tell())


def page_on(socket: Socket) -> RtviPage:
    return RtviPage(socket)  # type: ignore[arg-type]


async def wire(frame: Frame) -> bytes:
    data = await ProtobufFrameSerializer().serialize(frame)
    assert isinstance(data, bytes)
    return data


def json_frame(text: str) -> bytes:
    frame = protobuf.Frame()
    frame.message.data = text
    return bytes(frame.SerializeToString())


def audio_frame(audio: bytes, rate: int, channels: int) -> bytes:
    frame = protobuf.Frame()
    frame.audio.audio, frame.audio.sample_rate, frame.audio.num_channels = audio, rate, channels
    return bytes(frame.SerializeToString())


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"\xff\xff\xff", "no protobuf frame"),
        (b"", "no protobuf frame"),
        (json_frame("{"), "its JSON is broken"),
        (json_frame('"text"'), "not a JSON object"),
        (json_frame('{"label": "other", "id": "1"}'), "label is 'other'"),
        (audio_frame(b"\0" * 641, 16_000, 1), "audio of 641 bytes"),
        (audio_frame(b"\0" * 64_002, 16_000, 1), "audio of 64002 bytes; 64000 at most"),
        (audio_frame(SILENCE, 16_000, 0), "no protobuf frame"),
        (audio_frame(SILENCE, 16_000, 2), "num_channels is 2; it must be 1"),
        (audio_frame(SILENCE, 0, 1), "sample_rate is 0; allowed: 8000 to 48000"),
        (audio_frame(SILENCE, 4_000_000_000, 1), "sample_rate is 4000000000"),
    ],
)
async def test_three_unusable_frames_in_a_row_end_the_call_in_words(data: bytes, told: str) -> None:
    socket = Socket()
    page = page_on(socket)
    socket.hear(data, data, audio_frame(SILENCE, 16_000, 1), data, data, data)
    assert await page.receive() == SILENCE
    with pytest.raises(PageProtocolError):
        await page.receive()
    errors = [reply["data"] for reply in socket.told()]
    assert all(told in error["error"] for error in errors)
    assert [error["fatal"] for error in errors] == [False] * 4 + [True]


@pytest.mark.parametrize("frame", [TextFrame("hello"), InterruptionFrame()])
async def test_frames_that_are_no_callers_are_named(frame: Frame) -> None:
    socket = Socket()
    socket.hear(await wire(frame))
    with pytest.raises(PageClosedError):
        await page_on(socket).receive()
    assert type(frame).__name__ in socket.told()[0]["data"]["error"]


async def listen(page: RtviPage) -> None:
    while True:
        await page.receive()


@given(st.lists(st.binary(max_size=64) | st.text(max_size=64).map(json_frame), max_size=8))
def test_no_bytes_can_break_the_socket(frames: list[bytes]) -> None:
    async def story() -> None:
        socket = Socket()
        socket.hear(*frames)
        page = page_on(socket)
        with pytest.raises((PageClosedError, PageProtocolError)):
            await listen(page)

    alone(story())


def test_the_voice_is_lowered_here_for_a_client_that_cannot() -> None:
    async def story() -> None:
        socket = Socket()
        page = page_on(socket)
        voice = np.full(OUTPUT_RATE // 10, 10_000, np.int16).tobytes()
        await page.send_audio(voice)
        await page.send(messages.Duck(on=True))
        await page.send_audio(voice)
        await page.send(messages.Duck(on=False))
        await page.send_audio(voice)
        await page.send(messages.Duck(on=True))
        await page.send_rtvi(rtvi.BotInterruptedMessage())
        await page.send_audio(voice)
        whole, lowered, raised, after = np.split(socket.audio().astype(int), 4)
        assert set(whole) == set(after) == {10_000}
        assert lowered[-1] == pytest.approx(10_000 * 10 ** (-18 / 20), abs=2)
        assert raised[-1] == 10_000
        ramp = round(0.03 * OUTPUT_RATE)
        assert np.all(np.diff(lowered[:ramp]) < 0)
        assert len(set(lowered[ramp:])) == 1
        assert np.abs(np.diff(socket.audio().astype(int)[: 3 * len(whole)])).max() < 20
        assert "duck" not in str(socket.told())

    alone(story())


class Watching(Unobserved):
    """Notes what the page is said to have played, as a recording does."""

    def __init__(self) -> None:
        self.played: list[int] = []

    def page_said(self, kind: str, data: Mapping[str, Any]) -> None:
        if kind == "playback":
            self.played.append(data["samples"])


def test_what_a_client_has_played_is_reckoned_and_all_it_was_sent_is_heard() -> None:
    async def story() -> None:
        socket = Socket()
        page = page_on(socket)
        page.observer = watching = Watching()
        reports = []
        second = np.zeros(OUTPUT_RATE, np.int16).tobytes()
        await page.send_audio(second)
        for _ in range(30):
            await asyncio.sleep(0.016)
            socket.hear(audio_frame(SILENCE, 16_000, 1))
            while (heard := await page.receive()) != SILENCE:
                assert isinstance(heard, messages.Playback)
                reports.append(heard)
        assert reports[0].samples == pytest.approx(0.016 * OUTPUT_RATE, abs=2)
        steps = np.diff([report.samples for report in reports])
        assert len(reports) >= 4
        assert steps.max() <= 0.12 * OUTPUT_RATE
        assert watching.played == [report.samples for report in reports]

        await page.send_rtvi(rtvi.BotInterruptedMessage())
        final = await page.receive()
        assert final == messages.Playback(epoch=0, samples=OUTPUT_RATE, final=True)
        await page.send_audio(second)
        await asyncio.sleep(2.0)
        assert await page.receive() == messages.Playback(epoch=1, samples=OUTPUT_RATE)

        # A client that reports for itself knows better.
        own = message("client-message", {"t": "playback", "d": {"epoch": 1, "samples": 9}})
        socket.hear(json_frame(json.dumps(own)))
        assert await page.receive() == messages.Playback(epoch=1, samples=9)
        await page.send_audio(second)
        await asyncio.sleep(2.0)
        with pytest.raises(PageClosedError):
            await page.receive()

    alone(story())


@pytest.mark.parametrize(
    ("ready", "version", "refused"),
    [
        (READY, "2.2.0", None),
        (message("client-ready", {"version": "1.4.0", "about": {"library": "x"}}), "1.4.0", None),
        (message("client-ready", {"version": "9.0", "about": {"library": "x"}}), "2.2.0", "'9.0'"),
        (message("client-ready", {"version": "?", "about": {"library": "x"}}), "2.2.0", "'?'"),
        (message("client-ready"), "2.2.0", "client-ready"),
    ],
)
async def test_every_version_of_a_client_is_served(
    ready: dict[str, Any], version: str, refused: str | None
) -> None:
    socket = Socket()
    page = page_on(socket)
    socket.hear(json_frame(json.dumps(ready)))
    assert (await page.ready()).id == "1"
    data = rtvi.BotReadyData(version=rtvi.PROTOCOL_VERSION)
    await page.send_rtvi(rtvi.BotReady(id="1", data=data))
    *refusals, told = socket.told()
    assert told["data"]["version"] == version
    assert len(refusals) == bool(refused)
    assert (refused or "") in str(refusals)


def output(text: str) -> rtvi.BotOutputMessage:
    data = rtvi.BotOutputMessageData(
        text=text, output_type="sentence", will_be_spoken=True, spoken_status="new"
    )
    return rtvi.BotOutputMessage(data=data)


def test_an_old_client_is_told_of_the_output_in_its_own_words() -> None:
    translator = EventTranslator()
    assert translator.client_version("1.4.0") == ""
    told = [
        *translator.translate(output("One.")),
        *translator.translate(rtvi.BotStoppedSpeakingMessage()),
    ]
    outputs = [reply.data for reply in told if isinstance(reply, rtvi.BotOutputMessage)]
    assert [(output.text, output.spoken) for output in outputs] == [("One.", True)]


def test_what_was_begun_is_always_ended() -> None:
    translator = EventTranslator()
    said = rtvi.UserTranscriptionMessageData(text="Why?", user_id="", timestamp="", final=True)
    told: list[str] = []
    for event in (
        rtvi.UserTranscriptionMessage(data=said),
        rtvi.UserStoppedSpeakingMessage(),
        output("Because."),
        rtvi.BotInterruptedMessage(),
        rtvi.BotStoppedSpeakingMessage(),
    ):
        told += [str(getattr(given, "type", "")) for given in translator.translate(event)]
    assert told == [
        "user-transcription",
        "user-stopped-speaking",
        "user-llm-text",
        "bot-llm-started",
        "bot-tts-started",
        "bot-output",
        "bot-tts-text",
        "bot-transcription",
        "bot-interrupted",
        "bot-llm-stopped",
        "bot-tts-stopped",
        "bot-stopped-speaking",
    ]
