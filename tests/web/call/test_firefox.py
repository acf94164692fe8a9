"""Firefox in a room in which its microphone hears its loudspeaker: Viva does not hear herself.

``python -m tests.web.call.test_firefox`` prints what became of each call, and how much of the voice
was left in what the page sent.
"""

import asyncio
import base64
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.lateness import in_time
from tests.web.call.test_network import ScriptedServer
from tests.web.firefox import FIREFOX, MISSING, Tab, firefox
from tests.web.room import MISSING as NO_PULSEAUDIO
from tests.web.room import PULSEAUDIO, Room

pytestmark = [
    pytest.mark.browser,
    pytest.mark.thorough,
    pytest.mark.skipif(FIREFOX is None, reason=MISSING),
    pytest.mark.skipif(PULSEAUDIO is None, reason=NO_PULSEAUDIO),
]

ECHO_DB = -20.0
CALLS = 4
ANSWERS = 3
ADAPTED_SECS = 1.0
"""By when a canceller has learned the room; the greeting is longer."""

_NOTE = """(() => {
  window.sent = [];
  window.contexts = [];
  delete window.AudioEncoder; // so that what is sent is PCM
  const { send } = WebSocket.prototype;
  WebSocket.prototype.send = function (data) {
    if (data instanceof ArrayBuffer) sent.push([viva.state, new Int16Array(data.slice(0))]);
    return send.call(this, data);
  };
  const Context = AudioContext;
  window.AudioContext = class extends Context {
    constructor(...given) {
      super(...given);
      contexts.push(this);
    }
  };
})()"""

_SENT = """(() => {
  const said = sent.filter(([state]) => state === 'speaking').map(([, pcm]) => pcm);
  const bytes = new Uint8Array(said.reduce((sum, pcm) => sum + pcm.byteLength, 0));
  let at = 0;
  for (const pcm of said) {
    bytes.set(new Uint8Array(pcm.buffer), at);
    at += pcm.byteLength;
  }
  let text = '';
  for (let from = 0; from < bytes.length; from += 8192) {
    text += String.fromCharCode(...bytes.subarray(from, from + 8192));
  }
  return btoa(text);
})()"""


@dataclass(frozen=True)
class Echo:
    """What became of a call.

    Parameters:
        answers: Turns that were answered to their end.
        turns: All turns.
        interruptions: How often the voice was interrupted.
        rates: Of the page's audio contexts, in Hz.
        left_db: Level of what the page sent while the voice spoke, relative to full scale.
    """

    answers: int
    turns: int
    interruptions: int
    rates: list[int]
    left_db: float

    @property
    def clean(self) -> bool:
        """Whether Viva answered the caller, and only the caller."""
        return (self.answers, self.turns, self.interruptions) == (ANSWERS, ANSWERS, 0)


async def call(tab: Tab, url: str) -> Echo:
    """A caller who types, in silence, and hears the greeting and each answer to its end."""
    await tab.goto(url)
    await tab.evaluate(_NOTE)
    await tab.evaluate("document.getElementById('press').click()")
    await tab.until("viva.state === 'speaking'")
    await tab.until("viva.state === 'listening'")
    for turn in range(1, ANSWERS + 1):
        await tab.evaluate(
            """(() => {
              document.getElementById('typed').value = 'Where did she study?';
              document.getElementById('typing').requestSubmit();
            })()"""
        )
        await tab.until(f"viva.turns.length >= {turn} && viva.state === 'listening'")
    turns = await tab.evaluate("viva.turns")
    epochs = await tab.evaluate("viva.epoch")
    rates = await tab.evaluate("contexts.map((context) => context.sampleRate)")
    pcm = np.frombuffer(base64.b64decode(await tab.evaluate(_SENT)), np.int16) / 32768
    pcm = pcm[round(ADAPTED_SECS * 16_000) :]
    await tab.evaluate("document.getElementById('hangup').click()")
    await tab.until("viva.state === 'ended'")
    level = float(np.sqrt(np.mean(pcm**2))) if len(pcm) else 0.0
    return Echo(
        answers=sum(not turn["interrupted"] for turn in turns),
        turns=len(turns),
        interruptions=epochs,
        rates=rates,
        left_db=round(20 * float(np.log10(max(level, 1e-6))), 1),
    )


async def calls(folder: Path, count: int, *, rate: int = 48_000) -> list[Echo]:
    """Calls in one room."""
    for name in ("data", "room"):
        (folder / name).mkdir()
    room = Room(folder / "room", rate=rate, echo_db=ECHO_DB)
    with ScriptedServer(folder / "data") as served, room:
        async with firefox(folder, room.environment) as tab:
            return [await call(tab, f"http://127.0.0.1:{served.port}/") for _ in range(count)]


@pytest.mark.real_time
@pytest.mark.parametrize("rate", [48_000, 44_100])
async def test_the_voice_in_the_room_is_nobodys_question(tmp_path: Path, rate: int) -> None:
    made = await calls(tmp_path, CALLS, rate=rate)
    assert all(echo.rates == [rate] for echo in made), "one context, at the device's rate"
    with in_time():  # an echo that comes late is not the one that the canceller knows
        assert all(echo.clean for echo in made), made


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for echo in asyncio.run(calls(Path(folder), CALLS)):
            print(echo.clean, echo, file=sys.stdout, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
