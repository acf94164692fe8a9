"""Where simulated callers call from: this machine, with a server of its own or another's."""

import asyncio
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import aiohttp

from client.caller import CallerError
from evals.callers.caller import SimulatedCall, SimulatedCaller
from evals.callers.lead import Lead, LeadError, ModelLead, ScriptLead, persona_model
from evals.callers.persona import Persona, VoiceChoice
from evals.callers.truth import truth_of
from evals.callers.voice import CallerVoice, VoiceError
from evals.forced_call import ForcedCallModel
from knowledge.loading.document import load
from recording.recording import Recording, RecordingError
from settings import Settings

SERVER_SECS = 300.0
"""Maximum time for a server of our own to load its models."""

STOP_SECS = 20.0
"""Maximum time for it to stop; then it is killed."""

RECORDING_SECS = 15.0
"""Maximum time after a call until its recording is complete."""

BUSY_SECS = 5.0
"""How long a caller waits to call again when all lines are busy."""

BUSY_CALLS = 24
"""How often a caller calls until a line is free."""

_LISTENING = re.compile(r"Open (http://[\w.:\[\]]+) ")


class SiteError(Exception):
    """No calls can be made; the text says why."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One call to make.

    Parameters:
        number: Its number, from 1.
        persona: Who calls.
        seed: What chance is drawn by.
    """

    number: int
    persona: Persona
    seed: int

    @property
    def file(self) -> str:
        """The recording's file name."""
        return f"{self.persona.id}-{self.number:03d}.mcap"


@dataclass(frozen=True, slots=True)
class Target:
    """What is called.

    Parameters:
        url: A running server's socket; empty for a server of our own.
        key: Its operator key.
        recordings: The folder where a running server keeps its recordings.
        knowledge: What a server of our own answers from; ``None`` for that of the settings.
        model: The model that plays personas without a script; empty for that of the settings.
        at_once: The largest number of calls at the same time.
    """

    url: str = ""
    key: str = ""
    recordings: Path | None = None
    knowledge: Path | None = None
    model: str = ""
    at_once: int = 1


@dataclass(frozen=True, slots=True)
class Held:
    """A call that was made, or the reason why it was not.

    Parameters:
        file: The recording's file name.
        persona: The persona's id.
        seed: What chance was drawn by.
        call: The call's id.
        ended: Why it ended.
        gave_up: Whether the caller lost patience.
        said: The number of lines that the caller said.
        waits_secs: For each answered line, seconds from its last word to the answer's first sound.
        error: Why it could not be made or is not recorded; empty if it was and is.
        truth: Its ground truth, in TOML; empty if it is not recorded.
        recording: The recording; empty if there is none.
    """

    file: str
    persona: str
    seed: int
    call: str = ""
    ended: str = ""
    gave_up: bool = False
    said: int = 0
    waits_secs: tuple[float, ...] = ()
    error: str = ""
    truth: str = field(default="", repr=False)
    recording: bytes = field(default=b"", repr=False)

    def as_dict(self) -> dict[str, Any]:
        """What ``callers.json`` holds of it."""
        plain = asdict(self)
        for large in ("truth", "recording"):
            del plain[large]
        return plain | {"waits_secs": [round(secs, 3) for secs in self.waits_secs]}


class Site:
    """Makes calls from this process; an asynchronous context manager.

    Parameters:
        target: What is called.
        personas: Those who call.
    """

    def __init__(self, target: Target, personas: Sequence[Persona]) -> None:
        self._target = target
        self._personas = personas
        self._voices: dict[VoiceChoice, CallerVoice] = {}
        self._model: ForcedCallModel | None = None
        self._url = target.url
        self._recordings = target.recordings
        self._owned = AsyncExitStack()
        self._own_server = not target.url

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            if self._own_server:
                server = await stack.enter_async_context(OwnServer(self._target))
                self._url, self._recordings = server.url, server.recordings
            settings = Settings.load()
            document = load(self._target.knowledge or settings.knowledge)
            for choice in dict.fromkeys(persona.voice for persona in self._personas):
                voice = self._voices[choice] = await CallerVoice.load(choice, document)
                stack.push_async_callback(voice.close)
            if any(persona.leader == "model" for persona in self._personas):
                self._model = persona_model(settings, self._target.model)
                stack.push_async_callback(self._model.close)
            self._owned = stack.pop_all()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._owned.aclose()

    @property
    def nodes(self) -> int:
        """One: this process."""
        return 1

    async def hold(self, planned: Planned) -> Held:
        """Make one call."""
        persona, seed = planned.persona, planned.seed
        held = Held(planned.file, persona.id, seed)
        try:
            went = await self._call(persona, seed)
            busy = 1
            while went.ended == "capacity" and not went.call and busy < BUSY_CALLS:
                await asyncio.sleep(BUSY_SECS)
                went = await self._call(persona, seed)
                busy += 1
        except (CallerError, LeadError, VoiceError) as error:
            return replace(held, error=str(error))
        held = replace(
            held,
            call=went.call,
            ended=went.ended,
            gave_up=went.gave_up,
            said=len(went.said),
            waits_secs=tuple(went.waits_secs),
        )
        if not went.call:
            return replace(held, error=f"the server did not take the call: {went.ended}")
        recording, missing = await self._recording(went)
        if recording is None:
            return replace(held, error=missing)
        truth = truth_of(planned.file, persona, went, began=recording.started_at)
        content = await asyncio.to_thread(self._path(went).read_bytes)
        if self._own_server:
            self._path(went).unlink()
        return replace(held, truth=truth, recording=content)

    async def _call(self, persona: Persona, seed: int) -> SimulatedCall:
        voice, lead = self._voices[persona.voice], self._lead(persona, seed)
        key = self._target.key
        return await SimulatedCaller(self._url, persona, voice, lead, seed=seed, key=key).hold()

    def _lead(self, persona: Persona, seed: int) -> Lead:
        if persona.script or self._model is None:
            return ScriptLead(persona.script)
        return ModelLead(persona, self._model, seed)

    def _path(self, went: SimulatedCall) -> Path:
        return (self._recordings or Path()) / f"{went.call}.mcap"

    async def _recording(self, went: SimulatedCall) -> tuple[Recording | None, str]:
        """The recording of a call once it is complete, or the reason why there is none."""
        if not went.recorded:
            return None, "the server does not record it; RECORD=all or RECORD=calls does"
        if self._recordings is None:
            return None, "its recording is with the server; --recordings DIR names the folder"
        path = self._path(went)
        loop = asyncio.get_running_loop()
        until = loop.time() + RECORDING_SECS
        trouble = f"{path} is not there"
        while loop.time() < until:
            if path.exists():
                try:
                    recording = await asyncio.to_thread(Recording.load, path)
                except RecordingError as error:
                    trouble = str(error)
                else:
                    if recording.whole:
                        return recording, ""
                    trouble = f"{path} is incomplete: {recording.trouble}"
            await asyncio.sleep(0.2)
        return None, trouble


class OwnServer:
    """A server in a process of its own that records all calls; an asynchronous context manager.

    It answers on loopback only, at a free port, and keeps nothing after its end. Its settings are
    those of this process, so that it uses the same vendors.

    Parameters:
        target: What it answers from, and how many calls at once.
        settings: Environment variables that replace those of this process.
    """

    def __init__(self, target: Target, settings: Mapping[str, str] | None = None) -> None:
        self._target = target
        self._settings = settings or {}
        self._folder = tempfile.TemporaryDirectory(prefix="viva-callers-")
        self._process: asyncio.subprocess.Process | None = None
        self._log = Path(self._folder.name) / "server.log"
        self.url = ""

    @property
    def recordings(self) -> Path:
        """Where its recordings are."""
        return Path(self._folder.name) / "data" / "recordings"

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(SERVER_SECS):
                await self._start()
        except TimeoutError:
            await self._stop()
            raise SiteError(f"the server was not ready in {SERVER_SECS:g} s.") from None
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stop()

    def _environment(self) -> Mapping[str, str]:
        own = {
            "HOST": "127.0.0.1",
            "PORT": "0",
            "WORKERS": "1",
            "AUTH": "off",
            "RECORD": "all",
            "DATA_DIR": str(Path(self._folder.name) / "data"),
            "DATABASE_URL": "",
            # A line is held for a moment after its call.
            "MAX_CALLS": str(2 * self._target.at_once),
            "OPEN_CALLS_PER_CALLER": "0",
            "CALLS_PER_CALLER_PER_DAY": "0",
        }
        if self._target.knowledge is not None:
            own["KNOWLEDGE"] = str(self._target.knowledge.resolve())
        return {**os.environ, **own, **self._settings}

    async def _start(self) -> None:
        viva = shutil.which("viva", path=str(Path(sys.executable).parent)) or "viva"
        with self._log.open("wb") as log:
            process = self._process = await asyncio.create_subprocess_exec(
                viva,
                "serve",
                env=self._environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the callers, who hang up first
            )
        if process.stdout is None:
            raise RuntimeError("the server's output is not piped")
        line = (await process.stdout.readline()).decode(errors="replace")
        found = _LISTENING.search(line)
        if found is None:
            await process.wait()
            raise SiteError(f"the server did not start: {self._last_words() or line.strip()}")
        self.url = found[1].replace("http", "ws", 1) + "/call"
        async with aiohttp.ClientSession() as session:
            while not await _ready(session, found[1]):
                if process.returncode is not None:
                    raise SiteError(f"the server did not start: {self._last_words()}")
                await asyncio.sleep(0.2)

    def _last_words(self) -> str:
        lines = self._log.read_text("utf-8", "replace").strip().splitlines()
        return " ".join(lines[-3:])

    async def _stop(self) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_SECS):
                    await process.wait()
            except TimeoutError:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        self._folder.cleanup()


async def _ready(session: aiohttp.ClientSession, address: str) -> bool:
    try:
        async with session.get(f"{address}/readyz") as answer:
            return answer.ok
    except aiohttp.ClientError:
        return False
