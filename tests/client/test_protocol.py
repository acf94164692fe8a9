"""The caller's side of the wire, without a socket: whatever comes, in whatever order and cut."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.loudspeaker import JITTER_SECS, Loudspeaker
from client.protocol import REPORT_SAMPLES, Audio, ClientProtocol, Message, Unusable
from client.wav import OUTPUT_RATE
from transports.browser.messages import (
    Audible,
    ClientReady,
    ClockAsked,
    Hangup,
    Playback,
    parse_client_message,
)

PROTOCOL = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
FROM_SERVER: list[str] = re.findall(
    r"```json\n(.*?)\n```", PROTOCOL.partition("## Viva → page")[2], re.S
)
LOUD, QUIET = 5000, 20
TICK_SECS = 0.02


def rtvi(kind: str, data: Any = None) -> str:
    return json.dumps({"label": "rtvi-ai", "type": kind, "data": data})


def own(kind: str, **fields: Any) -> str:
    return rtvi("server-message", {"type": kind, **fields})


def sentence(turn: int, *, epoch: int, start: int) -> str:
    told = {"text": "She studied at Yale.", "sections": [], "lines": []}
    return own("sentence", turn=turn, epoch=epoch, start=start, **told)


def pcm(samples: int, level: int = LOUD) -> bytes:
    return np.full(samples, level, "<i2").tobytes()


@dataclass
class Listener:
    """A caller who only listens: a protocol, its loudspeaker, and a clock that a test turns."""

    protocol: ClientProtocol = field(default_factory=lambda: ClientProtocol(server_ahead_secs=0.0))
    speaker: Loudspeaker = field(default_factory=Loudspeaker)
    now: float = 0.0
    said: list[Any] = field(default_factory=list)

    def take(self, message: str | bytes) -> None:
        """A message comes."""
        self.protocol.receive(message, self.now)
        for event in self.protocol.events_received():
            if isinstance(event, Audio):
                self.speaker.receive(event.pcm, self.now)
            elif isinstance(event, Message) and event.kind == "bot-interrupted":
                self.speaker.flush()
        self._send()

    def play(self, ticks: int) -> None:
        """Time passes, 20 ms a tick."""
        for _ in range(ticks):
            self.speaker.play(TICK_SECS, self.now)
            playing = self.speaker.playing
            self.protocol.played(self.speaker.samples, self.now, playing=playing)
            self._send()
            self.now += TICK_SECS

    def reports(self) -> list[Playback]:
        return [message for message in self.said if isinstance(message, Playback)]

    def audible(self) -> list[Audible]:
        return [message for message in self.said if isinstance(message, Audible)]

    def _send(self) -> None:
        texts = [piece for piece in self.protocol.data_to_send() if isinstance(piece, str)]
        self.said += [parse_client_message(text) for text in texts]


def test_what_a_caller_says_is_what_the_server_reads() -> None:
    protocol = ClientProtocol()
    protocol.ready("a test", record=True)
    protocol.ask_time(12.5)
    protocol.speak(bytes(640))
    protocol.hang_up()
    ready, asked, audio, leaving = protocol.data_to_send()
    assert audio == bytes(640)
    told = [parse_client_message(str(message)) for message in (ready, asked, leaving)]
    assert isinstance(told[0], ClientReady)
    assert told[0].data.record
    assert told[1:] == [ClockAsked(sent=12.5), Hangup()]
    assert not list(protocol.data_to_send()), "each message is sent once"


@pytest.mark.parametrize("text", FROM_SERVER)
def test_every_message_of_the_documentation_is_understood(text: str) -> None:
    protocol = ClientProtocol()
    protocol.receive(text, 0.0)
    (told,) = protocol.events_received()
    assert isinstance(told, Message)
    assert told.envelope == json.loads(text)
    assert told.kind == told.data.get("type", told.envelope["type"])


def test_a_call_has_an_id_an_epoch_and_an_end() -> None:
    protocol = ClientProtocol()
    protocol.receive(rtvi("bot-ready", {"version": "2.2.0", "about": {"call": "c-1"}}), 0.0)
    protocol.receive(rtvi("bot-interrupted"), 1.0)
    assert (protocol.call, protocol.epoch, protocol.ended) == ("c-1", 1, "")
    protocol.receive(own("end", reason="cap", message="Time is up."), 2.0)
    assert protocol.ended == "cap"
    protocol.hang_up()
    protocol.speak(bytes(640))
    assert not list(protocol.data_to_send()), "there is nobody left to say it to"
    protocol.receive_eof()
    assert protocol.ended == "cap", "the socket that closes behind it changes nothing"


def test_a_socket_that_just_closes_ends_the_call() -> None:
    protocol = ClientProtocol()
    protocol.ready("a test")
    protocol.receive_eof()
    assert protocol.ended == "disconnected"
    assert not list(protocol.data_to_send())


def test_the_quickest_answer_says_how_far_the_server_s_clock_is_ahead() -> None:
    protocol = ClientProtocol()
    for sent, took, way_there in ((1.0, 0.4, 0.3), (2.0, 0.02, 0.01), (3.0, 0.3, 0.2)):
        protocol.ask_time(sent)
        protocol.receive(own("clock", sent=sent, now=sent + way_there + 700.0), sent + took)
    assert protocol.server_ahead_secs == pytest.approx(700.0)
    protocol.receive(own("clock", sent=9.0, now=0.0), 9.0)
    assert protocol.server_ahead_secs == pytest.approx(700.0), "nobody asked"


def test_an_answer_is_reported_when_its_first_loud_sample_leaves_the_loudspeaker() -> None:
    caller = Listener(ClientProtocol())
    caller.protocol.ask_time(0.0)
    caller.take(own("clock", sent=0.0, now=1000.0))
    caller.take(pcm(480))  # the end of what was said before, which is no answer
    caller.take(sentence(1, epoch=0, start=480))
    caller.take(pcm(720, QUIET))
    caller.take(sentence(1, epoch=0, start=1200))  # its second sentence, long before the first
    caller.take(pcm(1200))
    caller.play(10)
    (heard,) = caller.audible()
    assert (heard.epoch, heard.sample) == (0, 1200)
    assert heard.at == pytest.approx(1000.0 + 1200 / OUTPUT_RATE)


def test_playing_starts_once_enough_has_come_and_waits_no_longer_for_it() -> None:
    little, enough = Listener(), Listener()
    little.speaker.receive(pcm(480), 0.0)
    enough.speaker.receive(pcm(480), 0.0)
    enough.speaker.receive(pcm(960), 0.02)
    assert enough.speaker.play(TICK_SECS, 0.02) == 0.02
    assert little.speaker.play(TICK_SECS, 0.04) is None
    assert little.speaker.play(TICK_SECS, JITTER_SECS) == JITTER_SECS


@pytest.mark.parametrize("turn", [0, 1])
def test_a_greeting_and_an_answer_heard_before_are_not_reported(turn: int) -> None:
    caller = Listener()
    caller.take(sentence(1, epoch=0, start=0))
    caller.take(pcm(480))
    caller.play(5)
    caller.take(sentence(turn, epoch=0, start=480))
    caller.take(pcm(480))
    caller.play(5)
    assert [report.sample for report in caller.audible()] == [0]


def test_playback_is_reported_at_its_first_sample_every_100_ms_and_when_it_runs_dry() -> None:
    caller = Listener()
    caller.take(pcm(6000))  # 250 ms
    caller.play(30)
    assert [report.samples for report in caller.reports()] == [480, 2880, 5280, 6000]
    caller.take(pcm(480))
    caller.play(5)
    assert [report.samples for report in caller.reports()][4:] == [6480], (
        "once, though it begins and ends"
    )


def test_an_interruption_says_how_much_was_heard_and_begins_again_at_0() -> None:
    caller = Listener()
    caller.take(pcm(24_000))
    caller.play(7)
    caller.take(rtvi("bot-interrupted"))
    caller.take(pcm(480))
    caller.play(5)
    assert caller.reports()[-2:] == [
        Playback(epoch=0, samples=7 * 480, final=True),
        Playback(epoch=1, samples=480, final=False),
    ]


@pytest.mark.parametrize("samples", [479, 4801])
def test_a_loudspeaker_cannot_have_played_less_than_before_nor_what_never_came(
    samples: int,
) -> None:
    protocol = ClientProtocol()
    protocol.receive(pcm(4800), 0.0)
    protocol.played(480, 0.0, playing=True)
    with pytest.raises(ValueError, match=r"must be 480 to 4800"):
        protocol.played(samples, 0.02, playing=True)


# Whatever comes, in whatever order.

AUDIO = st.tuples(st.integers(0, 3000), st.sampled_from([LOUD, QUIET]))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("audio"), AUDIO),
        st.tuples(st.just("sentence"), st.integers(0, 4)),
        st.tuples(st.just("play"), st.integers(1, 12)),
        st.tuples(st.just("interrupt"), st.none()),
        st.tuples(st.just("duck"), st.booleans()),
    ),
    max_size=40,
)


@given(STEPS)
def test_reports_are_true_whatever_comes_in_whatever_order(
    steps: Sequence[tuple[str, Any]],
) -> None:
    caller = Listener()
    sent = [b""]
    begun: dict[int, tuple[int, int]] = {}  # turn → epoch and sample of its first sentence
    for kind, what in steps:
        epoch, start = len(sent) - 1, len(sent[-1]) // 2
        match kind:
            case "audio":
                sent[-1] += pcm(*what)
                caller.take(pcm(*what))
            case "sentence":
                begun.setdefault(what, (epoch, start))
                caller.take(sentence(what, epoch=epoch, start=start))
            case "play":
                caller.play(what)
                left = caller.speaker.samples - caller.protocol._reported
                assert left < (REPORT_SAMPLES if caller.speaker.playing else 1)
            case "interrupt":
                sent.append(b"")
                caller.take(rtvi("bot-interrupted"))
                assert caller.reports()[-1].final
            case "duck":
                caller.take(own("duck", on=what))
    reports = caller.reports()
    assert [report.epoch for report in reports if report.final] == list(range(len(sent) - 1))
    for before, after in pairwise(reports):
        assert (before.epoch, before.samples) <= (after.epoch, after.samples)
        assert before.final == (before.epoch < after.epoch), "a final report is an epoch's last"
    for report in reports:
        assert report.samples <= len(sent[report.epoch]) // 2
    for heard in caller.audible():
        assert abs(np.frombuffer(sent[heard.epoch], "<i2")[heard.sample]) == LOUD
        assert any(first <= (heard.epoch, heard.sample) for first in begun.values())
        assert 0 <= heard.at <= caller.now
    assert len(caller.audible()) <= len(begun.keys() - {0}), "once an answer"


@given(st.lists(st.integers(1, 900), min_size=1, max_size=12), st.integers(0, 4000))
def test_it_makes_no_difference_where_the_voice_is_cut(cuts: list[int], quiet: int) -> None:
    voice = pcm(quiet, QUIET) + pcm(4000 - quiet)
    whole, cut = Listener(), Listener()
    for caller in (whole, cut):
        caller.take(sentence(1, epoch=0, start=0))
    whole.take(voice)
    for length in cuts:
        cut.take(voice[: 2 * length])
        voice = voice[2 * length :]
    cut.take(voice)
    for caller in (whole, cut):
        caller.play(20)
    assert cut.said == whole.said
    assert cut.speaker.heard == whole.speaker.heard


# What no server may send.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
KINDS = st.sampled_from(["bot-ready", "bot-interrupted", "server-message", "bot-output", "", "x"])
OWN = st.sampled_from(["sentence", "duck", "clock", "end", "turn", "decision", "", "x"])
FIELDS = st.sampled_from(["turn", "start", "epoch", "on", "sent", "now", "reason", "message"])
GARBAGE = st.one_of(
    st.text(),
    st.binary(),
    JSON.map(json.dumps),
    st.builds(rtvi, KINDS, JSON),
    st.builds(lambda kind, rest: own(kind, **rest), OWN, st.dictionaries(FIELDS, JSON)),
    st.builds(
        lambda text, cut: text[: cut % len(text)], st.sampled_from(FROM_SERVER), st.integers()
    ),
    st.sampled_from(FROM_SERVER),
    st.just("[" * 100_000),
)


@given(st.lists(GARBAGE, max_size=20))
def test_garbage_is_said_to_be_so_and_otherwise_ignored(messages: list[str | bytes]) -> None:
    caller = Listener()
    for message in messages:
        caller.protocol.receive(message, caller.now)
        (event,) = caller.protocol.events_received()
        if isinstance(event, Unusable):
            assert event.why
        elif isinstance(event, Audio):
            assert event.pcm == message
    caller._send()  # whatever it says, a server can read
    if not caller.protocol.ended:
        epoch, before = caller.protocol.epoch, caller.protocol.received
        caller.take(rtvi("bot-interrupted"))
        assert (caller.protocol.epoch, before >= 0) == (epoch + 1, True)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"\0\0\0", "audio of 3 bytes; 16-bit samples need an even length"),
        ("{", "text message is not JSON"),
        ('{"type": "bot-ready"}', "text message is not a JSON object with the label 'rtvi-ai'"),
        (rtvi("bot-ready", {"about": "viva"}), "bot-ready: data.about.call must be"),
        (rtvi("bot-output", []), "bot-output: data is no object"),
        (own("duck", on="yes"), "server-message: duck.on: Input should be a valid boolean"),
        (own("dance"), "server-message: data: Input tag 'dance' found"),
    ],
)
def test_what_is_wrong_with_a_message_is_said_in_words(message: str | bytes, why: str) -> None:
    protocol = ClientProtocol()
    protocol.receive(message, 0.0)
    (event,) = protocol.events_received()
    assert isinstance(event, Unusable)
    assert event.why.startswith(why)
