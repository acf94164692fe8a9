"""A simulated caller: holds one call as its persona, over the real protocol."""

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace

from client.caller import open_socket
from client.handset import Handset, Microphone
from client.protocol import ClientProtocol, Message
from evals.callers.lead import Lead, Next, Spoken
from evals.callers.persona import Line, Persona
from evals.callers.voice import Speaker, Speech, background
from evals.scoring.expectation import says

CLOCK_QUESTIONS = 3
"""How often the server is asked for its time; the quickest answer counts."""

LINGER_SECS = 0.6
"""How long the caller keeps listening before it hangs up."""

ANSWER_SECS = 60.0
"""Maximum length of an answer; after it the caller speaks again."""

CALL_SECS = 600.0
"""Maximum length of a call; after it the caller hangs up."""


@dataclass(frozen=True, slots=True)
class Mood:
    """What a caller does about one answer; drawn before the call, so that a seed repeats it.

    Parameters:
        cuts_in: Seconds into the answer after which they talk over it; ``None`` if they do not.
        cut: What they say first when they do.
        nods: Seconds into the answer after which they say that they listen; ``None`` if not.
        nod: What they say then.
        reaction_secs: Their silence before they speak, if they do not cut in.
    """

    cuts_in: float | None
    cut: str
    nods: float | None
    nod: str
    reaction_secs: float


def moods(persona: Persona, seed: int) -> list[Mood]:
    """The moods of a call, an answer each; the same seed gives the same."""
    drawn = random.Random(f"{persona.id}/{seed}")
    found = []
    for _ in range(2 * max(persona.most_turns, len(persona.script)) + 2 + persona.patience.times):
        chances = drawn.random(), drawn.random()
        spans = [
            drawn.uniform(*habit.after_secs)
            for habit in (persona.interruptions, persona.backchannels)
        ]
        said = [
            drawn.choice(habit.says) if habit.says else ""
            for habit in (persona.interruptions, persona.backchannels)
        ]
        cuts_in = spans[0] if chances[0] < persona.interruptions.share else None
        nods = spans[1] if chances[1] < persona.backchannels.share else None
        reaction = drawn.uniform(*persona.reaction_secs)
        found.append(Mood(cuts_in, said[0], nods, said[1], reaction))
    return found


@dataclass(frozen=True, slots=True)
class Said:
    """What a caller said, and when.

    Parameters:
        line: The words, and what a right answer is.
        kind: A kind of :data:`evals.scoring.truth.KINDS`.
        start: When its first word began, on the event loop's clock.
        end: When its last word ended.
        over_agent: Whether the agent was heard as it began.
    """

    line: Line
    kind: str
    start: float
    end: float
    over_agent: bool


@dataclass
class SimulatedCall:
    """How a call went.

    Parameters:
        call: Its id; empty if it never began.
        said: What the caller said.
        spoken: What both sides said, in order; of the agent, what was heard.
        ended: Why it ended.
        gave_up: Whether the caller lost patience.
        recorded: Whether the server said that it records the call.
        loop_began: What the event loop's clock shows at the Unix epoch.
        waits_secs: For each answered line, seconds from its last word to the answer's first sound.
    """

    call: str = ""
    said: list[Said] = field(default_factory=list)
    spoken: list[Spoken] = field(default_factory=list)
    ended: str = ""
    gave_up: bool = False
    recorded: bool = False
    loop_began: float = 0.0
    waits_secs: list[float] = field(default_factory=list)


class SimulatedCaller:
    """Calls a server as a persona.

    Parameters:
        url: The server's WebSocket, ``ws://HOST:PORT/call``.
        persona: Who calls.
        voice: The persona's voice.
        lead: Decides what is said.
        seed: What chance is drawn by.
        key: The server's operator key, if it needs one.
    """

    def __init__(
        self,
        url: str,
        persona: Persona,
        voice: Speaker,
        lead: Lead,
        *,
        seed: int,
        key: str = "",
    ) -> None:
        self._url = url
        self._persona = persona
        self._voice = voice
        self._lead = lead
        self._seed = seed
        self._key = key
        self._moods = moods(persona, seed)
        self._protocol = ClientProtocol()
        self._heard: list[str] = []  # the agent's sentences since the caller's last line
        self._result = SimulatedCall()
        self._now = asyncio.get_running_loop().time

    async def hold(self) -> SimulatedCall:
        """Make the call.

        Raises:
            CallerError: No server answers.
            LeadError: Nobody said what comes next.
            VoiceError: A line could not be spoken.
        """
        bed = None
        if self._persona.background is not None:
            speech = await self._voice.speak(self._sample)
            bed = background(self._persona.background, [speech.samples], self._seed)
        handset = self._handset = Handset(Microphone(bed), self._protocol, self._take)
        async with (
            open_socket(self._url, self._protocol, handset.take, key=self._key) as connection,
            handset.in_call(connection, "viva-simulated", record=True, clock=CLOCK_QUESTIONS),
        ):
            self._result.call = self._protocol.call
            self._result.loop_began = self._now() - time.time()
            with suppress(TimeoutError):  # then the caller hangs up
                async with asyncio.timeout(CALL_SECS):
                    await self._converse()
            self._gather_spoken()
        self._result.ended = self._protocol.ended or "disconnected"
        return self._result

    @property
    def _sample(self) -> str:
        """Some words of the persona's, to set the background's level by."""
        return self._persona.script[0].text if self._persona.script else self._persona.goal

    async def _converse(self) -> None:
        waited = 0
        for mood in self._moods:
            if not await self._is_answered():
                if waited == self._persona.patience.times:
                    self._result.gave_up = not self._handset.ended
                    return
                text = self._persona.patience.says[waited % len(self._persona.patience.says)]
                await self._say(Line(text, "courtesy"), "courtesy")
                waited += 1
                continue
            waited = 0
            if not await self._go_on(mood):
                break
        await self._hear_out(LINGER_SECS)

    async def _is_answered(self) -> bool:
        """Wait for an answer to the last line; returns whether one came in time."""
        handset = self._handset
        await handset.until(lambda: handset.answered, self._persona.patience.secs)
        if handset.voice_at is not None and self._result.said:
            self._result.waits_secs.append(handset.voice_at - self._result.said[-1].end)
        return handset.answered

    async def _go_on(self, mood: Mood) -> bool:
        """Listen to an answer, and say the next line; returns whether the call goes on."""
        handset = self._handset
        if mood.nods is not None and (mood.cuts_in is None or mood.nods < mood.cuts_in):
            speech = await self._voice.speak(mood.nod)
            if await self._is_speaking_after(mood.nods):
                await self._say(Line(mood.nod, "backchannel"), "backchannel", speech)
        if mood.cuts_in is not None and not handset.ended:
            if mood.cut:
                await self._voice.speak(mood.cut)  # before it is needed
            if await self._is_speaking_after(
                mood.cuts_in, once_heard=self._persona.interruptions.once_heard
            ):
                self._gather_spoken()
                planned = await self._lead.next(self._result.spoken, cutting_in=True)
                return await self._do(planned, first=mood.cut)
        await self._hear_out(mood.reaction_secs)
        self._gather_spoken()
        if handset.ended:
            return False
        return await self._do(await self._lead.next(self._result.spoken, cutting_in=False))

    async def _do(self, planned: Next, first: str = "") -> bool:
        if planned.line is None:
            return False
        line = replace(planned.line, text=f"{first} {planned.line.text}".strip())
        speech = await self._voice.speak(line.text)
        if self._handset.ended:
            return False
        bargein = self._handset.playing and line.kind == "question"
        await self._say(line, "bargein" if bargein else line.kind, speech)
        if planned.hang_up:
            await self._is_answered()
        return not planned.hang_up

    async def _is_speaking_after(self, secs: float, *, once_heard: bool = False) -> bool:
        """Wait until so far into the answer, or until they have heard what they asked for.

        Args:
            secs: Seconds from the answer's first sound.
            once_heard: Whether what a right answer says must have been heard, too.

        Returns:
            Whether the answer still goes on.
        """
        handset = self._handset
        begun = handset.voice_at or self._now()
        await handset.until(
            lambda: (
                (self._now() >= begun + secs and not (once_heard and self._wants_more))
                or handset.quiet_secs > LINGER_SECS
            ),
            ANSWER_SECS if once_heard else secs + 1.0,
        )
        return handset.playing and not handset.ended

    @property
    def _wants_more(self) -> bool:
        """Whether the sentences that are over lack what a right answer to the last line says."""
        asked = [said.line for said in self._result.said if said.kind != "backchannel"]
        over = " ".join(self._heard[:-1])
        return bool(asked) and not all(says(over, fact) for fact in asked[-1].says)

    async def _hear_out(self, secs: float) -> None:
        """Listen until the agent has been silent for some time."""
        await self._handset.until(lambda: self._handset.quiet_secs >= secs, ANSWER_SECS)

    async def _say(self, line: Line, kind: str, speech: Speech | None = None) -> None:
        speech = speech or await self._voice.speak(line.text)
        if self._handset.ended:
            return
        at, over = await self._handset.say(
            speech.samples, speech.span, takes_turn=kind != "backchannel"
        )
        start, end = (at + part for part in speech.span)
        self._result.said.append(Said(line, kind, start, end, over))
        self._result.spoken.append(Spoken(caller=True, text=line.text))

    def _gather_spoken(self) -> None:
        """Add what the agent has said since the caller's last line."""
        if self._heard:
            self._result.spoken.append(Spoken(caller=False, text=" ".join(self._heard)))
            self._heard.clear()

    def _take(self, message: Message) -> None:
        match message:
            case Message("recorded", data):
                self._result.recorded = bool(data["on"])
            case Message("sentence", data):
                self._heard.append(data["text"])
