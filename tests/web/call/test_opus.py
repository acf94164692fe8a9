"""Opus between the page and Viva: each understands what the other encodes."""

import base64

import numpy as np
import pytest
from playwright.sync_api import Page

from transports.browser.opus import OpusDecoder, OpusEncoder

pytestmark = pytest.mark.browser

RATE = 24_000


def swell(rate: int) -> np.ndarray:
    """Half a second of a sweeping tone."""
    at = np.arange(rate // 2) / rate
    return np.asarray(9000 * np.sin(2 * np.pi * (200 + 300 * at) * at), np.int16)


def alike(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.astype(float), other.astype(float))[0, 1])


def test_the_page_plays_every_sample_that_viva_spoke_and_no_other(blank: Page) -> None:
    encoder, spoken = OpusEncoder(), swell(RATE)
    messages = [encoder.encode(spoken[at : at + 2400].tobytes()) for at in range(0, 12_000, 2400)]
    played = blank.evaluate(
        """async (texts) => {
          const { VoiceDecoder } = await import('/web/call/opus.js');
          const { Wire } = await import('/web/call/protocol.js');
          const [wire, decoder] = [new Wire(), new VoiceDecoder()];
          wire.clientReady(false, { microphone: 'pcm', voice: 'opus' });
          const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
          const events = texts.map((text) => wire.receive(bytes(text)));
          const heard = await Promise.all(events.map((event) => decoder.decode(event)));
          decoder.close();
          return [events.map(({ start }) => start), heard.flatMap((part) => [...part])];
        }""",
        [base64.b64encode(message).decode() for message in [*messages, encoder.rest()]],
    )
    starts, samples = played
    assert starts == [0, 2244, 4644, 7044, 9444, 11844], "each begins where the one before ended"
    assert len(samples) == len(spoken)
    assert alike(np.array(samples), spoken) > 0.98


def test_viva_hears_what_the_page_encodes(blank: Page) -> None:
    spoken = swell(16_000)
    packets = blank.evaluate(
        """async (samples) => {
          const { MicrophoneEncoder, codecsOf } = await import('/web/call/opus.js');
          const encoder = new MicrophoneEncoder();
          const packets = [];
          encoder.onpacket = (packet) => packets.push([...new Uint8Array(packet)]);
          for (let at = 0; at < samples.length; at += 512) {
            encoder.encode(Int16Array.from(samples.slice(at, at + 512)).buffer);
          }
          for (let tries = 0; packets.length < 12 && tries < 500; tries += 1) {
            await new Promise((resolve) => setTimeout(resolve, 10));
          }
          encoder.close();
          return [packets, await codecsOf(['pcm', 'opus']), await codecsOf(['pcm'])];
        }""",
        spoken.tolist(),
    )
    heard, both, neither = packets
    decoder = OpusDecoder()
    pcm = np.frombuffer(b"".join(decoder.decode(bytes(packet)) for packet in heard), np.int16)
    assert len(pcm) == 12 * 640
    late = max(range(60, 160), key=lambda by: alike(pcm[by:], spoken[: len(pcm) - by]))
    assert alike(pcm[late:], spoken[: len(pcm) - late]) > 0.9
    assert sum(map(len, heard)) / (12 * 0.04) < 4_000, "bytes a second"
    assert both == {"microphone": "opus", "voice": "opus"}
    assert neither == {"microphone": "pcm", "voice": "pcm"}
