"""The page and docs/protocol.md speak of the same wire."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from transports.browser.messages import (
    Audible,
    ClientReady,
    ClockAsked,
    Hangup,
    Playback,
    parse_client_message,
)

pytestmark = pytest.mark.browser

PROTOCOL = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text()
EXAMPLES = [json.loads(text) for text in re.findall(r"```json\n(.+?)\n```", PROTOCOL)]
FROM_VIVA = [
    example
    for example in EXAMPLES
    if example["type"] not in {"client-ready", "client-message", "disconnect-bot"}
]


def test_the_page_understands_every_message_of_the_protocol(blank: Page) -> None:
    events: list[dict[str, Any]] = blank.evaluate(
        """async (texts) => {
          const { Wire } = await import('/web/call/protocol.js');
          return texts.map((text) => new Wire().receive(text));
        }""",
        [json.dumps(example) for example in FROM_VIVA],
    )
    for example, event in zip(FROM_VIVA, events, strict=True):
        data = example.get("data", {})
        if example["type"] == "server-message":
            assert event == data
        else:
            assert event == data | {"type": example["type"]}


def test_the_server_understands_every_message_of_the_page(blank: Page) -> None:
    texts: list[str] = blank.evaluate(
        """async () => {
          const { Wire } = await import('/web/call/protocol.js');
          const wire = new Wire();
          const report = { kind: 'tick', epoch: 3, samples: 4800, final: true };
          const codecs = { microphone: 'opus', voice: 'pcm' };
          return [wire.clientReady(true, codecs), wire.playback(report), wire.clock(12.345, 0.25),
            wire.audible({ epoch: 3, sample: 5400, at: 90.25 }), wire.hangup()];
        }"""
    )
    ready, playback, clock, audible, hangup = (parse_client_message(text) for text in texts)
    assert isinstance(ready, ClientReady)
    assert ready.data.about.library == "viva-web"
    assert (ready.data.microphone, ready.data.voice) == ("opus", "pcm")
    assert playback == Playback(epoch=3, samples=4800, final=True)
    assert clock == ClockAsked(sent=12.345, late=0.25)
    assert audible == Audible(epoch=3, sample=5400, at=90.25)
    assert hangup == Hangup()


def test_bot_interrupted_begins_an_epoch_and_a_count(blank: Page) -> None:
    seen = blank.evaluate(
        """async () => {
          const { Wire } = await import('/web/call/protocol.js');
          const wire = new Wire();
          const interrupted = '{"label": "rtvi-ai", "type": "bot-interrupted"}';
          const audio = (bytes) => new ArrayBuffer(bytes);
          const parts = [audio(960), audio(480), interrupted, audio(20)];
          return parts.map((part) => wire.receive(part)).map(({ epoch, start }) => [epoch, start]);
        }"""
    )
    assert seen == [[0, 0], [0, 480], [None, None], [1, 0]]


@pytest.mark.parametrize("text", ["{", "[]", '{"label": "other", "type": "x"}', "null"])
def test_what_is_no_message_is_named(blank: Page, text: str) -> None:
    told = blank.evaluate(
        """async (text) => {
          const { Wire, ProtocolError } = await import('/web/call/protocol.js');
          try { new Wire().receive(text); } catch (error) {
            return [error instanceof ProtocolError, error.message];
          }
        }""",
        text,
    )
    assert told[0] is True
    assert told[1]
