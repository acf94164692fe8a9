"""Firefox without a window, driven by WebDriver BiDi, which it speaks itself."""

import asyncio
import itertools
import json
import re
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
MISSING = "Firefox is missing: apt-get install firefox-esr"
START_SECS = 60.0
ANSWER_SECS = 60.0
END_SECS = 10.0

_PREFERENCES: Mapping[str, Any] = {
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "media.autoplay.blocking_policy": 0,
    "media.autoplay.default": 0,
    "media.hardwaremediakeys.enabled": False,
    "media.navigator.permission.disabled": True,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.enabled": False,
}

_BUSES = ("DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS")
"""Where there is no desktop, asking one to stay awake blocks the browser for 20 s."""


class Tab:
    """A page of a running Firefox.

    Parameters:
        socket: The connection.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._context = ""

    async def open(self) -> None:
        """Begin the session."""
        await self._ask("session.new", capabilities={})
        tree = await self._ask("browsingContext.getTree")
        self._context = tree["contexts"][0]["context"]

    async def goto(self, url: str) -> None:
        """Load a page."""
        await self._ask("browsingContext.navigate", context=self._context, url=url, wait="complete")

    async def evaluate(self, expression: str) -> Any:
        """The value of an expression that JSON can hold; promises are waited for."""
        told = await self._ask(
            "script.evaluate",
            expression=f"Promise.resolve({expression}).then((it) => JSON.stringify(it ?? null))",
            target={"context": self._context},
            awaitPromise=True,
            userActivation=True,
        )
        if told["type"] != "success":
            raise AssertionError(told["exceptionDetails"]["text"])
        return json.loads(told["result"]["value"])

    async def until(self, expression: str, *, secs: float = 60.0) -> None:
        """Wait until an expression is true."""
        give_up = time.monotonic() + secs
        while not await self.evaluate(expression):
            assert time.monotonic() < give_up, f"not true after {secs} s: {expression}"
            await asyncio.sleep(0.1)

    async def close(self) -> None:
        """End the browser."""
        await self._ask("browser.close")

    async def _ask(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            told = await self._socket.receive_json(timeout=ANSWER_SECS)
            if told.get("id") == number:
                assert told["type"] == "success", told
                return told["result"]


@asynccontextmanager
async def firefox(folder: Path, environment: Mapping[str, str]) -> AsyncIterator[Tab]:
    """A browser with a profile of its own.

    Args:
        folder: For its profile.
        environment: Its environment, by which it finds its sound server.
    """
    profile = folder / "profile"
    profile.mkdir()
    lines = [f"user_pref({json.dumps(n)}, {json.dumps(v)});" for n, v in _PREFERENCES.items()]
    (profile / "user.js").write_text("\n".join(lines))
    process = await asyncio.create_subprocess_exec(
        FIREFOX or "",
        *("--headless", "--no-remote", "--remote-debugging-port", "0", "--profile", str(profile)),
        env={**environment, **dict.fromkeys(_BUSES, "unix:path=/nowhere")},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        url = ""
        async with asyncio.timeout(START_SECS):
            while not url and (line := await process.stderr.readline()):
                found = re.search(r"BiDi listening on (ws://\S+)", line.decode(errors="replace"))
                url = found[1] if found else ""
        assert url, "Firefox has ended"
        reading = asyncio.create_task(_drain(process.stderr))
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{url}/session", max_msg_size=0) as socket,
        ):
            tab = Tab(socket)
            await tab.open()
            yield tab
            await tab.close()
        await asyncio.wait_for(process.wait(), END_SECS)
        reading.cancel()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _drain(stream: asyncio.StreamReader) -> None:
    """Read what is said, so that whoever says it does not have to wait."""
    while await stream.readline():
        pass
