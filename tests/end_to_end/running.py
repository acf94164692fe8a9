"""A server in a process of its own, and a browser that calls it with recorded speech."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import wave
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import soxr
from playwright.async_api import Browser, Page, async_playwright

from client.wav import INPUT_RATE, OUTPUT_RATE, read_wav
from tests.conftest import AUDIO
from tests.engines import share_vectors

CHROMIUM = shutil.which("chromium")
VIVA = Path(sys.executable).with_name("viva")
Samples = npt.NDArray[np.float64]
LISTEN_SECS = 60.0
LOAD_SECS = 180.0
CALL_SECS = 180.0
"""Longest wait for a server to listen, for its models, and for a call to be over."""
MICROPHONE_RATE = 48_000

FLAGS = (
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

# Notes the microphones that are opened, when the caller was loud, and what came over the wire, with
# how much had been played by then. It runs ahead of the page's own code.
_WIRETAP = """
window.wire = { messages: [], epochs: [[]], loud: [] };
window.microphones = [];
delete window.AudioEncoder; // so that both voices come as PCM
delete window.AudioDecoder;
const devices = navigator.mediaDevices;
const ask = devices.getUserMedia.bind(devices);
devices.getUserMedia = async (wanted) => {
  const stream = await ask(wanted);
  microphones.push(...stream.getTracks());
  return stream;
};
window.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    this.addEventListener('message', ({ data }) => {
      if (data instanceof ArrayBuffer) {
        wire.epochs.at(-1).push(data.slice());
        return;
      }
      const message = JSON.parse(data);
      if (message.type === 'bot-interrupted') wire.epochs.push([]);
      const samples = window.tapped?.samples().length ?? 0;
      wire.messages.push({ ...message, samples, at: performance.now() / 1000 });
    });
  }
  send(data) {
    super.send(data);
    if (typeof data === 'string') return;
    const peak = Math.max(...new Int16Array(data));
    if (peak > 1000) wire.loud.push(performance.now() / 1000);
  }
};
"""

# Notes every change of the lit lines and of the state in words, as a caller sees them.
_WATCH = """() => {
  viva.tap().then((tap) => { window.tapped = tap; });
  window.lit = [[]];
  window.words = [];
  const look = () => {
    const now = [...document.querySelectorAll('.lit')].map((line) => line.textContent);
    if (String(now) !== String(lit.at(-1))) lit.push(now);
    const word = document.getElementById('state').textContent;
    if (word && word !== words.at(-1)) words.push(word);
    requestAnimationFrame(look);
  };
  look();
}"""

_PLAYED = """async () => {
  const text = async (...parts) => {
    const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
    let out = '';
    for (const byte of bytes) out += String.fromCharCode(byte);
    return btoa(out);
  };
  const samples = await text(tapped.samples().buffer);
  const sent = await Promise.all(wire.epochs.map((audio) => text(...audio)));
  return { rate: tapped.sampleRate, samples, sent, messages: wire.messages, loud: wire.loud };
}"""


class Viva:
    """``viva serve`` in a session of its own, from a free port to its last process.

    Parameters:
        under: A command that runs it, such as a tracer.
        settings: The environment's settings, by their names.
    """

    def __init__(self, *under: str, **settings: str) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "KNOWLEDGE"}
        self._data = tempfile.TemporaryDirectory(prefix="viva-")
        own = {"PORT": "0", "AUTH": "off", "DATA_DIR": self._data.name}
        with suppress(FileExistsError):  # a second server in the same folder
            share_vectors(Path({**own, **settings}["DATA_DIR"]))
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the process
        self.process = subprocess.Popen(
            [*under, VIVA, "serve"],
            env={**environment, **own, **settings},
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        address = re.search(r"Open (http://[\d.]+:\d+) ", line)
        if address is None:
            self.process.wait(LISTEN_SECS)
            raise AssertionError(f"no address in {line!r}; stderr:\n{self.stderr}")
        self.url = address[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def socket_url(self) -> str:
        """Where it takes calls."""
        return self.url.replace("http", "ws", 1) + "/call"

    @property
    def data_dir(self) -> Path:
        """Where it writes what must last."""
        return Path(self._data.name)

    @property
    def stderr(self) -> str:
        """What it has written there so far."""
        self._said.seek(0)
        return self._said.read()

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    @property
    def workers(self) -> list[int]:
        """Its workers' processes, oldest first: by their numbers, as long as none was replaced."""
        children = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                if int(stat.read_text().rpartition(")")[2].split()[1]) == self.process.pid:
                    children.append(int(stat.parent.name))
            except OSError:
                pass  # it ended while we looked
        return sorted(children)

    @property
    def left(self) -> list[str]:
        """What is left of its processes: their command lines."""
        left = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                session = int(stat.read_text().rpartition(")")[2].split()[3])
                if session == self.process.pid:
                    left.append((stat.parent / "cmdline").read_text().replace("\0", " "))
            except OSError:
                pass  # it ended while we looked
        return left

    def get(self, path: str) -> Any:
        """A JSON answer of the server."""
        with urllib.request.urlopen(f"{self.url}/{path}", timeout=60) as answer:
            return json.load(answer)

    def loaded(self) -> Self:
        """The server itself, once its models are there."""
        deadline = time.monotonic() + LOAD_SECS
        while self.running and not self.get("healthz")["ready"]:
            assert time.monotonic() < deadline, f"no models after {LOAD_SECS} s:\n{self.stderr}"
            time.sleep(0.1)
        assert self.running, f"it ended with {self.process.poll()}:\n{self.stderr}"
        return self

    def stop(self, number: signal.Signals, *, timeout_secs: float) -> int:
        """Send a signal; the exit status, which must come in time."""
        self.process.send_signal(number)
        return self.process.wait(timeout_secs)

    def kill(self) -> None:
        """End it without a word."""
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._data.cleanup()


def viva_call(url: str, wav: Path, *options: str) -> tuple[int, str, str]:
    """The exit status, output and complaints of ``viva call --json``."""
    made = subprocess.run(
        [VIVA, "call", "--wav", wav, "--json", "--url", url, *options],
        capture_output=True,
        text=True,
        timeout=CALL_SECS,
        check=False,
    )
    return made.returncode, made.stdout, " ".join(made.stderr.split())


def microphone(path: Path, *parts: float | str | bytes) -> Path:
    """Write what a browser's microphone hears: seconds of silence, recordings, PCM at 16 kHz."""
    heard = []
    for part in parts:
        if isinstance(part, float):
            heard.append(np.zeros(round(part * INPUT_RATE), np.int16))
        else:
            pcm = read_wav(AUDIO / part) if isinstance(part, str) else part
            heard.append(np.frombuffer(pcm, np.int16))
    samples = soxr.resample(np.concatenate(heard), INPUT_RATE, MICROPHONE_RATE)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(MICROPHONE_RATE)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


@asynccontextmanager
async def chromium(speech: Path) -> AsyncIterator[Browser]:
    """A browser whose microphone hears a file, once, from the moment it is opened."""
    capture = f"--use-file-for-fake-audio-capture={speech}%noloop"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, capture])
        try:
            yield browser
        finally:
            await browser.close()


async def opened(browser: Browser, url: str, **options: Any) -> Page:
    """The page before a call, with its wire and its loudspeaker tapped."""
    context = await browser.new_context(**options)
    page = await context.new_page()
    await page.add_init_script(_WIRETAP)
    await page.goto(url)
    await page.wait_for_selector("main section")
    await page.evaluate(_WATCH)
    return page


async def microphones_in_use(page: Page) -> int:
    """How many microphones the page has opened and not let go."""
    live = await page.evaluate("microphones.filter((track) => track.readyState === 'live').length")
    return int(live)


async def until(page: Page, expression: str, *, secs: float = 60.0) -> None:
    """Wait until an expression is true in the page, whose CSP forbids ``wait_for_function``."""
    deadline = time.monotonic() + secs
    while not await page.evaluate(expression):
        if time.monotonic() > deadline:
            seen = await page.evaluate("[viva.state, window.words, wire.messages.slice(-5)]")
            raise AssertionError(f"not true after {secs} s: {expression}; the page: {seen}")
        await page.wait_for_timeout(20)


@dataclass(frozen=True, slots=True)
class Played:
    """What was handed to a page's loudspeaker since its call began.

    Parameters:
        samples: Mono at 24 kHz, -1 to 1.
        sent: What the server sent of each epoch, in the same way.
        messages: The wire's messages, each with the samples played when it came, and the time.
        loud: When the caller's voice was sent, 32 ms at a time.
    """

    samples: Samples
    sent: list[Samples]
    messages: list[dict[str, Any]]
    loud: list[float]

    @classmethod
    async def on(cls, page: Page) -> Self:
        """All that was played and said so far."""
        tap = await page.evaluate(_PLAYED)
        at_device = np.frombuffer(base64.b64decode(tap["samples"]), "<f4").astype(float)
        samples = soxr.resample(at_device, tap["rate"], OUTPUT_RATE)
        for message in tap["messages"]:
            message["samples"] = round(message["samples"] * OUTPUT_RATE / tap["rate"])
        sent = [np.frombuffer(base64.b64decode(epoch), "<i2") / 32768 for epoch in tap["sent"]]
        return cls(samples, sent, tap["messages"], tap["loud"])

    def when(self, kind: str, *, nth: int = 0) -> int:
        """How many samples had been played when a message came."""
        return int(self.all(kind)[nth]["samples"])

    def all(self, kind: str) -> list[dict[str, Any]]:
        """The messages of a kind, RTVI's or Viva's own."""
        return [
            message
            for message in self.messages
            if kind in (message["type"], (message.get("data") or {}).get("type"))
        ]


async def recognised(engines: Any, samples: Samples, rate: int) -> str:
    """What the embedded recogniser hears in at most 30 s of sound, in lower case."""
    pcm = soxr.resample(samples, rate, INPUT_RATE).astype(np.float32)
    transcript = await engines.loaded["whisper"].transcribe(pcm, final=True)
    return str(transcript.text).lower()


async def spoken(engines: Any, text: str) -> bytes:
    """A sentence in the embedded voice, PCM s16le at 16 kHz."""
    pieces: Iterable[bytes] = [piece async for piece in engines.loaded["hibari"].synthesise(text)]
    samples = np.frombuffer(b"".join(pieces), np.int16).astype(np.float32)
    return bytes(soxr.resample(samples, OUTPUT_RATE, INPUT_RATE).astype(np.int16).tobytes())
