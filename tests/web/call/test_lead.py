"""How much silence a network adds to a voice: the page's player and lead, on simulated networks.

The network, and a server that sends as `transports.browser.voice` does, are simulated here, sample
by sample, in no time. ``test_network.py`` holds real calls over a real proxy.
"""

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser

VOICE_SECS = 13.9
LISTEN = """async ([[roundTrip, jitter, loss], adapts, voiceSecs, seeds]) => {
  const { Playout } = await import('/web/call/playout.js');
  const { Lead } = await import('/web/call/lead.js');
  const RATE = 24000, BLOCK = 128, CHUNK = 2400, STALL = 0.25, PACKETS = 4;

  const listen = (seed) => {
    let state = seed;
    const chance = () => {
      state = (state + 0x6D2B79F5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
    const way = () => {
      const sent = [];
      let last = 0;
      return {
        send(now, message, packets = 1) {
          for (let packet = 0; packet < packets; packet += 1) {
            const late = chance() < loss ? STALL : 0;
            const due = now + roundTrip / 2 + (2 * chance() - 1) * jitter + late;
            last = Math.max(last, due); // in order
          }
          sent.push({ due: last, message });
        },
        *arrived(now) {
          while (sent.length && sent[0].due <= now) yield sent.shift().message;
        },
      };
    };
    const [up, down] = [way(), way()];
    const playout = new Playout({ rate: RATE });
    const lead = new Lead();
    const server = { lead: 0.4, sent: 0, played: 0, at: null };
    const total = Math.round(voiceSecs * RATE / CHUNK) * CHUNK;
    const frames = new Float32Array(BLOCK);
    const follow = (now) => {
      const asked = adapts ? lead.change(now) : null;
      if (asked === null) return;
      up.send(now, { lead: asked });
      playout.gather(lead.gathered(now));
    };
    let [silent, underruns, began, asked] = [0, 0, false, -1];
    for (let block = 0; playout.samples < total; block += 1) {
      const now = (block * BLOCK) / RATE;
      if (now > 60) throw new Error('the voice does not end');
      for (const message of up.arrived(now)) {
        if (message.clock !== undefined) down.send(now, message);
        else if (message.lead) server.lead = message.lead;
        else Object.assign(server, { played: message.samples, at: now });
      }
      while (now > 1 && server.sent < total) {
        const since = server.at === null ? 0 : (now - server.at) * RATE;
        const played = Math.min(server.sent, server.played + since);
        if (played >= server.sent) Object.assign(server, { played: server.sent, at: now });
        if ((server.sent - played + CHUNK) / RATE > server.lead) break;
        down.send(now, { voice: true }, PACKETS);
        server.sent += CHUNK;
      }
      for (const message of down.arrived(now)) {
        if (message.voice) {
          lead.audio(CHUNK / RATE, now);
          follow(now);
          playout.write(new Int16Array(CHUNK).fill(1000));
        } else {
          lead.roundTrip(now - message.clock, now);
          follow(now);
        }
      }
      if (now - asked >= (now < 1 ? 0.2 : 1)) {
        asked = now;
        up.send(now, { clock: now });
      }
      playout.render(frames);
      for (const report of playout.reports()) {
        up.send(now, { samples: report.samples });
        if (report.kind === 'first') began = true;
        if (report.kind === 'empty' && report.samples < total) underruns += 1;
      }
      if (began && !playout.playing && playout.samples < total) silent += BLOCK / RATE;
    }
    return { silent, underruns, lead: server.lead };
  };
  return seeds.map(listen);
}"""

ROWS = {
    "0": (0.0, 0.0, 0.0),
    "100": (0.1, 0.0, 0.0),
    "300": (0.3, 0.0, 0.0),
    "350": (0.35, 0.0, 0.0),
    "450": (0.45, 0.0, 0.0),
    "200 ± 50": (0.2, 0.05, 0.0),
    "300 ± 50": (0.3, 0.05, 0.0),
    "60, 2 % loss": (0.06, 0.0, 0.02),
    "120 ± 30, 2 % loss": (0.12, 0.03, 0.02),
}
"""Round trip, jitter each way, share of packets that come 250 ms late, and all behind them."""


def heard(page: Page, row: str, *, adapts: bool, seeds: int = 10) -> list[dict[str, float]]:
    return list(page.evaluate(LISTEN, [ROWS[row], adapts, VOICE_SECS, list(range(1, seeds + 1))]))


@pytest.mark.parametrize("row", ROWS)
def test_a_network_adds_next_to_no_silence(blank: Page, row: str) -> None:
    calls = heard(blank, row, adapts=True)
    assert max(call["silent"] for call in calls) <= 0.15
    assert max(call["lead"] for call in calls) <= 2.0


def test_without_a_lead_that_follows_the_network_the_voice_stutters(blank: Page) -> None:
    (call,) = heard(blank, "450", adapts=False, seeds=1)
    assert call["underruns"] > 20
