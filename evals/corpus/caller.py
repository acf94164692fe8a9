"""A scripted caller: says each line of a scenario at its cue, over the real protocol."""

import asyncio
from dataclasses import dataclass

from client.connection import connect
from client.handset import Handset, Microphone
from client.protocol import ClientProtocol
from evals.corpus.scenario import Samples, Scenario, ScriptLine

PATIENCE_SECS = 15.0
"""Maximum time that the caller waits for an answer."""

LINGER_SECS = 0.6
"""How long the caller keeps listening before it hangs up."""


class CueError(Exception):
    """A line could not be said at its cue; the text says why."""


@dataclass(frozen=True, slots=True)
class Said:
    """A line, and when it was said.

    Parameters:
        line: The line.
        at: When its file's first sample was spoken, on the event loop's clock.
        over_agent: Whether the agent's voice was playing when its sound began.
    """

    line: ScriptLine
    at: float
    over_agent: bool


class ScriptedCaller:
    """Calls a server and says a scenario's lines.

    Parameters:
        url: The server's WebSocket, ``ws://HOST:PORT/call``.
        scenario: The scenario.
        bed: The background noise, if any.
    """

    def __init__(self, url: str, scenario: Scenario, bed: Samples | None = None) -> None:
        self._url = url
        self._scenario = scenario
        self._protocol = ClientProtocol(server_ahead_secs=0.0)  # one event loop, one clock
        self._handset = Handset(Microphone(bed), self._protocol)
        self._now = asyncio.get_running_loop().time
        self.said: list[Said] = []

    @property
    def call(self) -> str:
        """The call's id."""
        return self._protocol.call

    async def hold(self) -> None:
        """Make the call.

        Raises:
            CueError: A line's cue did not come.
        """
        handset = self._handset
        async with (
            connect(self._url, self._protocol, handset.take) as connection,
            handset.in_call(connection, "viva-corpus"),
        ):
            await self._converse()

    async def _converse(self) -> None:
        for line in self._scenario.lines:
            await self._cue(line)
            at, over = await self._handset.say(
                line.samples, line.speech, takes_turn=line.takes_turn
            )
            self.said.append(Said(line, at, over_agent=over))
        if self._scenario.stays:
            await self._handset.until(lambda: False, 60.0)
            return
        await self._until_quiet(LINGER_SECS)

    async def _until_quiet(self, secs: float) -> None:
        """Wait until the agent has answered, and has been silent for some time."""
        handset = self._handset
        await handset.until(lambda: handset.answered, PATIENCE_SECS)
        await handset.until(lambda: handset.quiet_secs >= secs, 60.0)

    async def _cue(self, line: ScriptLine) -> None:
        handset = self._handset
        if line.cue == "after":
            await self._until_quiet(line.secs)
        elif line.cue == "into":
            await handset.until(lambda: handset.answered, PATIENCE_SECS)
            if handset.voice_at is None:
                raise CueError(f"{line.file}: no answer came that it could be said into")
            await asyncio.sleep(max(0.0, handset.voice_at + line.secs - self._now()))
            if not handset.speaking:
                spoke = handset.heard_until - handset.voice_at
                raise CueError(
                    f"{line.file}: is to be said {line.secs} s into an answer of {spoke:.1f} s"
                )
        else:
            await asyncio.sleep(line.secs)
        if why := self._protocol.ended:
            raise CueError(f"{line.file}: the call was over ({why}) before it could be said")
