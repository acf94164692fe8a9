"""Both voices in Opus: what is played is what was spoken, sample by sample, and PCM inside Viva."""

import asyncio
import json
import struct
from typing import Any

import av
import numpy as np
import pytest
from aiohttp import WSMessage, WSMsgType

from conversation.observer import Unobserved
from tests.chain import ScriptedSocket
from transports.browser.opus import MAX_PACKET_BYTES, OpusDecoder, OpusEncoder, OpusError
from transports.browser.page import Page

SECS = 1.0
RATE = 24_000


def voice(secs: float = SECS, rate: int = RATE) -> np.ndarray:
    """A tone that never repeats itself: it sweeps, and swells."""
    at = np.arange(round(secs * rate)) / rate
    return np.asarray(9000 * np.sin(2 * np.pi * (200 + 150 * at) * at) * np.sin(5 * at), np.int16)


class Loudspeaker:
    """What a page does with Viva's messages."""

    def __init__(self) -> None:
        self._decoder: Any = av.CodecContext.create("libopus", "r")
        self._decoder.layout = "mono"
        self.played = np.zeros(0, np.int16)

    def play(self, message: bytes) -> None:
        if not message:
            return
        count, skipped = struct.unpack_from("<HH", message)
        at, decoded = 4, []
        while at < len(message):
            (length,) = struct.unpack_from("<H", message, at)
            frames = self._decoder.decode(av.Packet(message[at + 2 : at + 2 + length]))
            decoded += [frame.to_ndarray()[0, ::2] for frame in frames]
            at += 2 + length
        samples = np.concatenate(decoded)[skipped : skipped + count]
        assert len(samples) == count
        self.played = np.concatenate([self.played, samples])


def packet(secs: float = 0.04) -> bytes:
    """What Viva's page sends of 40 ms."""
    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 16_000, "mono", "s16"
    encoder.options = {"frame_duration": "40", "application": "voip"}
    frame = av.AudioFrame.from_ndarray(voice(secs, 16_000)[None], format="s16", layout="mono")
    frame.sample_rate = 16_000
    return bytes(encoder.encode(frame)[0])


def alike(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.astype(float), other.astype(float))[0, 1])


@pytest.mark.parametrize("pieces", [2400, 1, 479, 7001])
def test_what_is_played_is_what_was_spoken_however_it_comes(pieces: int) -> None:
    encoder, loudspeaker, spoken = OpusEncoder(), Loudspeaker(), voice(SECS if pieces > 1 else 0.05)
    middle = len(spoken) // 2 + 11
    for utterance in (spoken[:middle], spoken[middle:]):
        for at in range(0, len(utterance), pieces):
            loudspeaker.play(encoder.encode(utterance[at : at + pieces].tobytes()))
        loudspeaker.play(encoder.rest())
        assert encoder.rest() == b""
    assert len(loudspeaker.played) == len(spoken)
    shifted = {by: alike(np.roll(loudspeaker.played, by), spoken) for by in (-2, -1, 0, 1, 2)}
    assert max(shifted, key=lambda by: shifted[by]) == 0
    assert shifted[0] > 0.98


def test_of_an_answer_that_was_cut_nothing_comes_before_the_next() -> None:
    encoder, loudspeaker, spoken = OpusEncoder(), Loudspeaker(), voice()
    encoder.encode(spoken[:1000].tobytes())
    encoder.drop()
    assert encoder.rest() == b""
    loudspeaker.play(encoder.encode(spoken.tobytes()))
    loudspeaker.play(encoder.rest())
    assert len(loudspeaker.played) == len(spoken)
    assert alike(loudspeaker.played[480:], spoken[480:]) > 0.98


@pytest.mark.parametrize("data", [b"", b"\xff\xff\xff", bytes(MAX_PACKET_BYTES + 1)])
def test_what_is_no_packet_is_refused(data: bytes) -> None:
    decoder = OpusDecoder()
    with pytest.raises(OpusError, match="audio message"):
        decoder.decode(data)
    assert len(decoder.decode(packet())) == 2 * 640, "what comes after it is heard"


def tell(socket: ScriptedSocket, kind: str, data: dict[str, Any]) -> None:
    text = json.dumps({"label": "rtvi-ai", "type": kind, "id": "1", "data": data})
    socket.received.put_nowait(WSMessage(WSMsgType.TEXT, text, None))


class Told(Unobserved):
    """What a recording is told of a page."""

    live = True

    def __init__(self) -> None:
        self.said: list[tuple[str, Any]] = []
        self.voices: list[bytes] = []

    def page_said(self, kind: str, data: Any) -> None:
        self.said.append((kind, dict(data)))

    def heard(self, pcm: bytes) -> None:
        self.voices.append(pcm)

    def sent(self, pcm: bytes) -> None:
        self.voices.append(pcm)


def test_a_page_that_asks_for_opus_has_it_both_ways_and_the_recording_has_pcm() -> None:
    asyncio.run(_call_in_opus())


async def _call_in_opus() -> None:
    socket, told = ScriptedSocket(), Told()
    page = Page(socket)  # type: ignore[arg-type]
    page.observer = told
    can = {"version": "2.2.0", "about": {"library": "x"}, "microphone": "opus", "voice": "opus"}
    tell(socket, "client-ready", can)
    await page.ready()
    page.note_codecs()
    tell(socket, "client-message", {"t": "clock", "d": {"sent": 1.0, "late": 0.8}})
    socket.hear(packet())
    heard = await page.receive()
    assert isinstance(heard, bytes)
    assert len(heard) == 2 * 640
    spoken = voice(0.1).tobytes()
    await page.send_audio(spoken)
    await page.send_rest()
    loudspeaker = Loudspeaker()
    for _, message in socket.sent:
        if isinstance(message, bytes):
            loudspeaker.play(message)
    assert len(loudspeaker.played) == 2400
    assert told.voices == [heard, spoken]
    assert told.said == [
        ("codecs", {"microphone": "opus", "voice": "opus"}),
        ("late", {"secs": 0.8}),
    ]
    assert page.late_secs == 0.8
