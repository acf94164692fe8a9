"""Turn taking in a call: :mod:`processors.turns.state_machine`, moved by frames and timers."""

import asyncio
from collections.abc import Callable, Mapping

from pipecat.frames.frames import (
    BotSpeakingFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    CancelFrame,
    EagerEndOfTurnCancelFrame,
    EagerTranscriptionFrame,
    EndFrame,
    Frame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    ProposedUserStoppedSpeakingFrame,
    StartFrame,
    TranscriptionFrame,
    TTSSpeakFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from conversation.frames import (
    CallerTextFrame,
    DuckFrame,
    EndCallFrame,
    EndOfTurnFrame,
    FailoverFrame,
    SpeechPauseFrame,
    TranscribeNowFrame,
    TurnFrame,
    UnduckFrame,
)
from conversation.turns import Conversation
from processors.turns.actions import (
    Action,
    BeginTurn,
    Caption,
    DropTurn,
    Duck,
    EndTurn,
    Interrupt,
    Say,
    Speculate,
    Transcribe,
    Unduck,
    Withdraw,
)
from processors.turns.state_machine import Ending, TurnStateMachine, TurnTakingTimes

_Event = Callable[..., list[Action]]

PHRASES: Mapping[str, str] = {
    "silence": "Are you still there? You can ask me another question.",
    "goodbye": "I'll let you go then. Goodbye.",
    "not_heard": "Sorry, I didn't catch that.",
    "fault": "Sorry, something went wrong on my side. Please ask again.",
}
"""What is said beside the answers."""


class TurnTaking(FrameProcessor):
    """Decides when the caller's turn is over, when the voice yields, and when silence is too long.

    Takes voice activity, transcripts and end-of-turn verdicts from upstream and the voice's state
    (pipecat's ``Bot…SpeakingFrame``) from downstream; gives a ``TurnFrame`` for each turn, an
    ``InterruptionFrame`` when the caller takes the floor, ``DuckFrame``/``UnduckFrame`` while that
    is in doubt, and captions. It runs in direct mode: no frame waits here, and none can be lost in
    a queue when the voice is interrupted.

    Parameters:
        conversation: The call's turns.
        times: The waits.
        instant: Stop the voice at the onset of speech, without ducking first.
        ending: What ends the caller's turn.
        preemptive: Have answers begun while it is not certain that the turn is over.
        foretold: Have them begun only when the recogniser itself expects the end of the turn.
        judged: A turn model judges each stop of speech, whoever ends turns: a recogniser that takes
            over from another and does not say when turns end leaves it to that.
    """

    def __init__(
        self,
        conversation: Conversation,
        *,
        times: TurnTakingTimes | None = None,
        instant: bool = False,
        ending: Ending = "model",
        preemptive: bool = False,
        foretold: bool = False,
        judged: bool | None = None,
        phrases: Mapping[str, str] = PHRASES,
    ) -> None:
        super().__init__(enable_direct_mode=True)
        self._conversation = conversation
        self._now = conversation.clock
        self._floor = TurnStateMachine(
            times, instant=instant, ending=ending, preemptive=preemptive, foretold=foretold
        )
        judged = ending == "model" if judged is None else judged
        self._without_recogniser: Ending = "model" if judged else "transcript"
        self._phrases = phrases
        self._lock = asyncio.Lock()
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_set = asyncio.Event()

    @property
    def floor(self) -> TurnStateMachine:
        """Who has the floor now."""
        return self._floor

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Move the rules by a frame; those that only inform turn taking stop here."""
        await super().process_frame(frame, direction)
        match frame:
            case VADUserStartedSpeakingFrame():
                await self._speech_started(frame)
            case VADUserStoppedSpeakingFrame():
                await self._speech_stopped(frame)
            case SpeechPauseFrame():
                await self._move(self._floor.speech_paused, frame.pause_secs)
            case ProposedUserStoppedSpeakingFrame():
                await self._move(self._floor.end_proposed)
            case InterimTranscriptionFrame():
                await self._move(self._floor.interim, frame.text)
            case EagerTranscriptionFrame():
                await self._move(self._floor.end_expected, frame.text)
            case EagerEndOfTurnCancelFrame():
                await self._move(self._floor.end_withdrawn)
            case TranscriptionFrame():
                await self._move(self._floor.final, frame.text)
            case EndOfTurnFrame():
                await self._move(self._floor.end_of_turn, frame.probability)
            case BotStartedSpeakingFrame() if direction is FrameDirection.UPSTREAM:
                await self._move(self._floor.voice_started)
            case BotSpeakingFrame() if direction is FrameDirection.UPSTREAM:
                await self._move(self._floor.voice_heard)
            case BotStoppedSpeakingFrame() if direction is FrameDirection.UPSTREAM:
                await self._move(self._floor.voice_stopped)
            case StartFrame():
                await self.push_frame(frame, direction)
                self._floor.begin_waiting(self._now())
                self._alarm = self.create_task(self._watch_the_time())
            case FailoverFrame(stage="stt"):
                # One that does not say when turns end leaves it to the turn model, or to its
                # transcripts where there is none. None but the first foretells their ends.
                self._floor.ending = "recogniser" if frame.ends_turns else self._without_recogniser
                self._floor.foretold = False
                await self.push_frame(frame, direction)
            case EndCallFrame():
                async with self._lock:
                    await self._end_call(frame)
            case EndFrame() | CancelFrame():
                await self._stop_watching()
                await self.push_frame(frame, direction)
            case _:
                await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Stop the timer."""
        await super().cleanup()
        await self._stop_watching()

    async def _speech_started(self, frame: VADUserStartedSpeakingFrame) -> None:
        async with self._lock:
            now = self._now()
            await self._do(self._floor.speech_started(now, onset=now - frame.start_secs))

    async def _speech_stopped(self, frame: VADUserStoppedSpeakingFrame) -> None:
        async with self._lock:
            now = self._now()
            await self._do(self._floor.speech_stopped(now, speech_end=now - frame.stop_secs))

    async def _move(self, event: _Event, *args: object) -> None:
        async with self._lock:
            await self._do(event(self._now(), *args))

    async def _do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Duck():
                    await self.push_frame(DuckFrame())
                case Unduck():
                    await self.push_frame(UnduckFrame())
                case Interrupt():
                    await self._interrupt()
                case BeginTurn():
                    await self.push_frame(UserStartedSpeakingFrame())
                case DropTurn():
                    await self.push_frame(UserStoppedSpeakingFrame())
                case Caption():
                    await self.push_frame(CallerTextFrame(text=action.text, final=action.final))
                case Speculate():
                    await self._speculate(action)
                case Withdraw():
                    await self.push_frame(EagerEndOfTurnCancelFrame())
                case Transcribe():
                    await self.push_frame(TranscribeNowFrame(), FrameDirection.UPSTREAM)
                case EndTurn():
                    await self._end_turn(action)
                case Say():
                    phrase = self._phrases[action.phrase]
                    if action.phrase == "goodbye":
                        await self._end_call(EndCallFrame(reason="silence", last_words=phrase))
                    else:
                        await self.push_frame(TTSSpeakFrame(phrase))
        self._alarm_set.set()

    async def _interrupt(self) -> None:
        interruption = InterruptionFrame()
        self._conversation.interrupted(interruption)
        await self.push_frame(interruption)

    async def _speculate(self, action: Speculate) -> None:
        conversation = self._conversation
        if not conversation.affordable():
            return
        turns = conversation.turns[:-1] if action.continued else conversation.turns
        await self.push_frame(
            TurnFrame(
                turn=len(conversation.turns) + 1,
                question=action.question,
                history=conversation.history(turns),
                speculation=True,
            )
        )

    async def _end_turn(self, end: EndTurn) -> None:
        if end.continued:
            self._conversation.withdraw()
        history = self._conversation.history()
        turn = self._conversation.begin_turn(end.question, end.speech_end, end.transcribed)
        # Both ways: voice activity upstream keeps the audio of one turn for the turn model.
        await self.broadcast_frame(UserStoppedSpeakingFrame)
        if not self._conversation.affordable():
            # Whoever keeps the records sees it, and ends the call in words.
            self._conversation.close(turn)
            return
        await self.push_frame(TurnFrame(turn=turn.number, question=turn.question, history=history))

    async def _end_call(self, frame: EndCallFrame) -> None:
        """Have the last word: nothing the caller says from here on is answered."""
        await self._do(self._floor.close(self._now()))
        if frame.last_words:
            await self.push_frame(TTSSpeakFrame(frame.last_words))
        await self.push_frame(frame)

    async def _watch_the_time(self) -> None:
        while True:
            self._alarm_set.clear()
            deadline = self._floor.deadline
            wait = None if deadline is None else max(0.0, deadline - self._now())
            try:
                async with asyncio.timeout(wait):
                    await self._alarm_set.wait()
            except TimeoutError:
                await self._move(self._floor.tick)

    async def _stop_watching(self) -> None:
        if self._alarm is not None:
            alarm, self._alarm = self._alarm, None
            await self.cancel_task(alarm)
