"""A caller on a slow network is heard late: the page knows it, and what is stale is dropped.

The network is simulated, in no time. ``test_network.py`` holds real calls over slow ones.
"""

from typing import Any

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser

PCM = 32_000
OPUS = 2_150
"""Bytes of a caller's voice a second, messages' heads included."""

SPEAK = """async ([voiceRate, secs, links]) => {
  const { Uplink } = await import('/web/call/uplink.js');
  const STEP = 0.04, ASK_BYTES = 140;
  const message = new ArrayBuffer(Math.round(voiceRate * STEP));
  let now = 0;
  const link = () => links.filter(({ from }) => from <= now).at(-1);
  const way = []; // what is under way: {at, bytes, arrives}
  const late = [], answers = [], told = [];
  let free = 0;
  const send = (what) => {
    const { bytesPerSec, trip } = link();
    free = Math.max(free, now) + what.bytes / bytesPerSec;
    way.push({ ...what, arrives: free + trip / 2 });
  };
  let spoken = 0;
  const ask = (sent) => { uplink.asked(sent); send({ bytes: ASK_BYTES, sent }); };
  const uplink = new Uplink((said) => send({ bytes: said.byteLength, said }), ask);
  let heard = 0, worst = 0, asked = -1;
  while (now < secs) {
    now = Math.round((now + STEP) * 1000) / 1000;
    while (way.length && way[0].arrives <= now) {
      const { sent, said } = way.shift();
      if (said) heard += 1;
      else answers.push({ sent, late: now - sent, at: now + link().trip / 2 + link().busySecs });
    }
    while (answers.length && answers[0].at <= now) {
      const { sent, late: came } = answers.shift();
      uplink.answered(sent, came, now);
    }
    if (now - asked >= 1) {
      asked = now;
      ask(now);
    }
    uplink.push(message.slice(0), now);
    spoken += 1;
    const lateSecs = uplink.lateSecs(now);
    worst = Math.max(worst, lateSecs);
    if (told.at(-1)?.slow !== uplink.slow(now)) told.push({ at: now, slow: uplink.slow(now) });
    late.push(lateSecs);
  }
  const after = late.slice(Math.round(late.length / 2));
  return {
    heard: heard / spoken, dropped: uplink.dropped / spoken, worst, told,
    settled: Math.max(...after), underWay: way.length / spoken,
  };
}"""


def link(bits_per_sec: float, trip: float = 0.1, busy: float = 0.0, begin: float = 0) -> Any:
    return {"from": begin, "bytesPerSec": bits_per_sec / 8, "trip": trip, "busySecs": busy}


def speak(page: Page, rate: float, *links: Any, secs: float = 60.0) -> Any:
    return page.evaluate(SPEAK, [rate, secs, links])


def test_a_caller_with_opus_is_heard_in_time_at_32_kbits(blank: Page) -> None:
    found = speak(blank, OPUS, link(32_000))
    assert found["worst"] < 0.3
    assert found["dropped"] == 0
    assert found["told"] == [{"at": 0.04, "slow": False}]


@pytest.mark.parametrize("kbits", [64, 200])
def test_what_a_network_cannot_carry_is_dropped_so_that_the_rest_is_heard(
    blank: Page, kbits: int
) -> None:
    found = speak(blank, PCM, link(kbits * 1000), secs=120.0)
    assert [told["slow"] for told in found["told"]] == [False, True]
    assert found["told"][1]["at"] < 6
    assert found["settled"] < 4.5, "not later and later"
    assert found["heard"] > 0.6 * kbits / 256


def test_a_network_that_stalls_once_loses_nothing(blank: Page) -> None:
    found = speak(blank, OPUS, link(64_000), link(240, begin=10), link(64_000, begin=10.02))
    assert found["dropped"] == 0


def test_a_server_that_is_busy_is_told_all_but_what_was_said_until_that_was_known(
    blank: Page,
) -> None:
    found = speak(blank, OPUS, link(1e6), link(1e6, busy=2.5, begin=10), secs=90.0)
    assert found["dropped"] < 0.05
