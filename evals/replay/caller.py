"""The caller of a replayed call: says each recorded utterance at its place."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from pipecat.frames.frames import Frame, InputTextRawFrame
from pipecat.processors.frameworks.rtvi import models as rtvi
from pydantic import BaseModel

from conversation.frames import CallerHoldsFrame, CallerTypingFrame
from conversation.turns import OUTPUT_SAMPLE_RATE, Conversation, FollowUp
from evals.replay.microphone import Microphone
from evals.replay.stages import ReplayedDecisions, ReplayedStage
from evals.replay.utterances import CONTINUES_SECS, Place, RecordedCaller, Utterance
from recording.message import Message
from recording.recorder import Recorder
from transports.browser.announcer import Ended
from transports.browser.messages import Sentence
from transports.replay import ReplayedPage

Timing = Literal["reactive", "recorded"]

CHUNK_SECS = 0.02
"""Length of audio chunks that a stage processes."""

UNHEARD_CHUNK_SECS = 1.0
"""Length of audio chunks that are only recorded."""

PATIENCE_SECS = 4.0
"""How much longer than in the recording the caller waits for the agent to speak."""


class HeardVoice:
    """Follows the agent's voice by the page's messages during the replay."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.began = 0
        self.stopped = 0
        self.began_at = self.stopped_at = now()
        self.sentences: list[tuple[int, int]] = []  # epoch and first sample, of this burst
        self.changed = asyncio.Event()

    @property
    def speaking(self) -> bool:
        """Whether the agent is speaking."""
        return self.began > self.stopped

    def read_message(self, message: BaseModel) -> None:
        """Process a message to the page."""
        match message:
            case rtvi.BotStartedSpeakingMessage():
                self.began += 1
                self.began_at = self._now()
            case rtvi.BotStoppedSpeakingMessage() | rtvi.BotInterruptedMessage():
                self.sentences.clear()
                if self.speaking:
                    self.stopped += 1
                    self.stopped_at = self._now()
            case Sentence():
                self.sentences.append((message.epoch, message.start))
            case _:
                return
        self.changed.set()


class ReplayedCaller:
    """Says what the recorded caller said.

    Parameters:
        recorded: The recorded caller.
        timing: ``reactive`` keeps each utterance's place relative to the agent's voice,
            ``recorded`` its time.
        microphone: The caller's audio; ``None`` if the recording has none.
        heard: Whether a stage processes the audio.
    """

    def __init__(
        self,
        recorded: RecordedCaller,
        *,
        timing: Timing,
        microphone: Microphone | None,
        heard: bool,
    ) -> None:
        self._recorded = recorded
        self._timing = timing
        self._microphone = microphone
        self._heard = heard
        self._loop = asyncio.get_running_loop()
        self.voice = HeardVoice(self._loop.time)
        self.began = self._loop.time()
        self.page: ReplayedPage | None = None
        self.stages: dict[str, ReplayedStage] = {}
        self.decisions: Callable[[Conversation], ReplayedDecisions] | None = None
        self._conversation: Conversation | None = None
        self._follow_up: FollowUp = "person"
        self._last: tuple[Utterance, float] | None = None
        self._began_before = 0  # bursts, when the utterance before had been said
        self._tasks: set[asyncio.Task[None]] = set()
        self._silent = False

    async def speak(
        self,
        conversation: Conversation,
        hear: Callable[[bytes], Awaitable[None]],
        push: Callable[[Frame], Awaitable[None]],
        ended: Ended,
    ) -> None:
        """Speak from the call's start to its end.

        Args:
            conversation: The call's turns.
            hear: Takes the audio.
            push: Pushes a frame into the call's chain, where the caller's audio enters.
            ended: Ends the call.
        """
        decisions = self.decisions(conversation) if self.decisions is not None else None
        self._conversation, self._follow_up = conversation, conversation.follow_up
        try:
            if self._microphone is not None:
                self._spawn(self._listen_in(hear))
            for utterance in self._recorded.utterances:
                onset = await self._begin(utterance)
                self._spawn(self._push_from_stages(utterance, onset, decisions, push))
            if self._recorded.leaves is not None:
                gone = await self._when(
                    self._recorded.leaves, self._recorded.left_at, early=0.0, pause=9.0
                )
                await self._sleep_until(gone)
                await self._settle()
                self._leave(ended)
            await asyncio.Event().wait()
        finally:
            for task in self._tasks:
                task.cancel()

    def fall_silent(self) -> None:
        """At the end of the call, record the remaining audio."""
        if not self._silent and self._microphone is not None and not self._heard:
            self._write_audio(self._loop.time() - self.began)
        self._silent = True

    # Timing.

    @property
    def _said(self) -> tuple[Utterance, float]:
        assert self._last is not None
        return self._last

    async def _begin(self, utterance: Utterance) -> float:
        """Wait for an utterance's place; return the time of its onset."""
        early = utterance.preroll
        if self._last is None:
            onset = self.began + utterance.onset
        else:
            onset = await self._when(
                utterance.place, utterance.onset, early=early, pause=utterance.pause
            )
        onset = max(onset, self._loop.time())
        start = max(self._loop.time(), onset - early)  # a late one starts within its preroll
        await self._sleep_until(start)
        self._last = (utterance, onset)
        began = start - self.began
        if self._microphone is not None:
            self._microphone.begin_utterance(utterance.number, onset - early - self.began)
        if self.page is not None and isinstance(self.page.observer, Recorder):
            shift = {
                "recorded": utterance.onset - (onset - start),
                "replayed": began,
                "utterance": utterance.number,
            }
            self.page.observer.write("/replay/Shift", shift)
        return onset

    async def _when(self, place: Place, recorded: float, *, early: float, pause: float) -> float:
        """Wait for a place; return its time, ``early`` seconds ahead."""
        last, onset = self._said
        if self._timing == "recorded":
            return self.began + recorded
        same_distance = onset + recorded - last.onset
        if place.cue == "with":
            return same_distance
        await self._sleep_until(onset + last.end - last.onset)
        self._began_before = self.voice.began
        if place.cue == "after":
            return await self._after(place.bursts, place.secs, early, place.longest_silence)
        at = await self._over(place, early)
        if at is not None:
            return at
        if pause < CONTINUES_SECS:
            return max(self._loop.time() + early, same_distance)
        return await self._after(0, self._recorded.median_gap, early, place.longest_silence)

    async def _after(self, bursts: int, gap: float, early: float, silence: float) -> float:
        """Wait for ``gap`` seconds after the voice's end, once it has spoken ``bursts`` times."""
        voice = self.voice
        ended = self._loop.time()  # end of the previous utterance
        early = min(early, gap)
        patience = max(gap, silence) + PATIENCE_SECS
        while True:
            wait: float | None = None
            if not voice.speaking:
                enough = voice.began - self._began_before >= bursts
                since = max(voice.stopped_at, ended)
                due = since + (gap if enough else patience)
                wait = due - early - self._loop.time()
                if wait <= 0:
                    return max(due, self._loop.time() + early)
            await self._change(wait)

    async def _over(self, place: Place, early: float) -> float | None:
        """Wait for a point within a sentence; ``None`` if it does not come."""
        voice, page = self.voice, self.page
        assert page is not None
        ended = self._loop.time()  # end of the previous utterance
        burst = max(1, self._began_before + place.bursts)
        while True:
            if voice.stopped >= burst:
                return None
            wait: float | None = None
            if voice.began == burst and voice.speaking and len(voice.sentences) > place.sentence:
                epoch, start = voice.sentences[place.sentence]
                if epoch == page.epoch:
                    due = page.moment(start + round(place.secs * OUTPUT_SAMPLE_RATE))
                    if page.profile.repeated:  # what it played is known from its reports alone
                        due = voice.began_at + place.into
                    wait = due - early - self._loop.time()
                    if wait <= 0:
                        return max(due, self._loop.time())
            elif not voice.speaking:
                silent = max(voice.stopped_at, ended) + place.longest_silence + PATIENCE_SECS
                wait = silent - self._loop.time()
                if wait <= 0:
                    return None
            await self._change(wait)

    async def _change(self, wait: float | None) -> None:
        self.voice.changed.clear()
        try:
            async with asyncio.timeout(wait):
                await self.voice.changed.wait()
        except TimeoutError:
            pass

    async def _sleep_until(self, at: float) -> None:
        if (wait := at - self._loop.time()) > 0:
            await asyncio.sleep(wait)

    # Speaking.

    async def _push_from_stages(
        self,
        utterance: Utterance,
        onset: float,
        decisions: ReplayedDecisions | None,
        push: Callable[[Frame], Awaitable[None]],
    ) -> None:
        """Push the recorded output of the replayed stages for an utterance."""
        shift = onset - self.began - utterance.onset
        for message in utterance.messages:
            await self._sleep_until(onset + message.at - utterance.onset)
            if message.topic == "/caller/page":
                await self._type(message, None if decisions else push)
            elif decisions is not None:
                await decisions.push_recorded(message, shift, self.began)
            else:
                await self._push_from_stage(message)

    async def _type(
        self, message: Message, push: Callable[[Frame], Awaitable[None]] | None
    ) -> None:
        """Type, and send, what was typed; without ``push`` it is only recorded.

        Of an address that was left, or taken back, it is known that it was.
        """
        kind, data = message.data["type"], dict(message.data)
        del data["type"]
        if self.page is not None:
            self.page.observer.page_said(kind, data)
        if kind == "address":
            if self._conversation is not None:
                left = data.get("left", True)
                self._conversation.follow_up = "person" if left else self._follow_up
            return
        if push is not None:
            await push(_frame_of(kind, data))

    async def _push_from_stage(self, message: Message) -> None:
        stage = self.stages.get(message.stage)
        if stage is not None:
            await stage.push_recorded(message)

    async def _listen_in(self, hear: Callable[[bytes], Awaitable[None]]) -> None:
        step = CHUNK_SECS if self._heard else UNHEARD_CHUNK_SECS
        count = 0
        while True:
            count += 1
            await self._sleep_until(self.began + count * step)
            pcm = self._write_audio(count * step)
            if self._heard:
                await hear(pcm)

    def _write_audio(self, until: float) -> bytes:
        assert self._microphone is not None
        pcm = self._microphone.read_until(until)
        if pcm and self.page is not None:
            self.page.observer.heard(pcm)
        return pcm

    async def _settle(self) -> None:
        """Record the usage that a stage reports only at the end of the call."""
        for message in self._recorded.utterances[-1].messages:
            if message.kind == "STTUsage" and message.at >= self._recorded.left_at:
                await self._push_from_stage(message)

    def _leave(self, ended: Ended) -> None:
        reason = self._recorded.reason
        if reason == "hangup" and self.page is not None:
            self.page.observer.page_said("hangup", {})
        ended(reason)

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _frame_of(kind: str, data: dict[str, Any]) -> Frame:
    """The frame of what a caller did by hand."""
    if kind == "typed":
        return InputTextRawFrame(data["content"])
    return CallerHoldsFrame(held=data["on"]) if kind == "talk" else CallerTypingFrame()
