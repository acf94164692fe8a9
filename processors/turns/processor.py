"""Turn taking in a call: drives :mod:`processors.turns.state_machine` with frames and a timer."""

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
    InputTextRawFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    MetricsFrame,
    ProposedUserStoppedSpeakingFrame,
    StartFrame,
    TranscriptionFrame,
    TTSSpeakFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import STTUsageMetricsData
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from conversation.echo import without_echo
from conversation.frames import (
    CallerHoldsFrame,
    CallerTextFrame,
    CallerTypingFrame,
    DuckFrame,
    EndCallFrame,
    EndOfTurnFrame,
    FailoverFrame,
    PauseVerdictFrame,
    SpeechPauseFrame,
    TranscribeNowFrame,
    TurnFrame,
    UnduckFrame,
)
from conversation.turns import Conversation
from processors.turns.actions import (
    Action,
    BeginTurn,
    CancelSpeculation,
    Caption,
    DropTurn,
    Duck,
    EndTurn,
    Interrupt,
    Say,
    Speculate,
    TranscribeNow,
    Unduck,
)
from processors.turns.state_machine import (
    EarlyAnswers,
    Ending,
    TurnStateMachine,
    TurnTakingTimes,
)

_Event = Callable[..., list[Action]]

_ECHO_LEAD_SECS = 1.0
"""How long before the onset of its echo a word may have been played, for reports of playback and
networks are late. Who repeats a phrase of the voice's begins later than that."""
_ECHO_MAX_SECS = 15.0
"""Most of what was played that a transcript is compared with."""

PHRASES: Mapping[str, str] = {
    "silence": "Are you still there? You can ask me another question.",
    "goodbye": "I'll let you go then. Goodbye.",
    "not_heard": "Sorry, I didn't catch that.",
    "fault": "Sorry, something went wrong on my side. Please ask again.",
}
"""The fixed phrases that turn taking speaks."""


class TurnTaking(FrameProcessor):
    """Decides when the caller's turn is over, when the voice yields, and when silence is too long.

    Takes voice activity, transcripts and end-of-turn probabilities from upstream and the voice's
    state (pipecat's ``Bot…SpeakingFrame``) from downstream. Pushes a ``TurnFrame`` for each turn,
    an ``InterruptionFrame`` when the caller takes the floor, ``DuckFrame`` and ``UnduckFrame``
    while that is in doubt, and captions. Runs in direct mode: no frame is queued, where an
    interruption could drop it.

    Parameters:
        conversation: The call's turns.
        times: Timeouts and waits.
        instant: Stop the voice at the onset of speech, without ducking first.
        ending: What ends the caller's turn.
        preemptive: Start answers early, before it is certain that the turn is over.
        early_answers: When.
        has_turn_model: Whether a turn model judges each stop of speech. After a failover to a
            recogniser that does not end turns, the model ends them. By default, whether ``ending``
            is "model".
        phrases: The fixed phrases, by their keys in :data:`PHRASES`.
    """

    def __init__(
        self,
        conversation: Conversation,
        *,
        times: TurnTakingTimes | None = None,
        instant: bool = False,
        ending: Ending = "model",
        preemptive: bool = False,
        early_answers: EarlyAnswers = "pauses",
        has_turn_model: bool | None = None,
        phrases: Mapping[str, str] = PHRASES,
    ) -> None:
        super().__init__(enable_direct_mode=True)
        self._conversation = conversation
        self._now = conversation.clock
        self._machine = TurnStateMachine(
            times,
            instant=instant,
            ending=ending,
            preemptive=preemptive,
            early_answers=early_answers,
        )
        has_turn_model = ending == "model" if has_turn_model is None else has_turn_model
        self._without_recogniser: Ending = "model" if has_turn_model else "transcript"
        self._phrases = phrases
        self._doubt = 0.0  # of what was transcribed of this turn
        self._lock = asyncio.Lock()
        self._timer: asyncio.Task[None] | None = None
        self._deadline_changed = asyncio.Event()

    @property
    def state_machine(self) -> TurnStateMachine:
        """The state of the floor."""
        return self._machine

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Act on a frame, and pass it on unless turn taking is its only consumer."""
        await super().process_frame(frame, direction)
        match frame:
            case VADUserStartedSpeakingFrame():
                await self._speech_started(frame)
            case VADUserStoppedSpeakingFrame():
                await self._speech_stopped(frame)
            case SpeechPauseFrame():
                await self._move(self._machine.speech_paused, frame.pause_secs)
            case ProposedUserStoppedSpeakingFrame():
                await self._move(self._machine.end_proposed)
            case InterimTranscriptionFrame():
                await self._transcript(self._machine.interim_transcript, frame.text)
            case EagerTranscriptionFrame():
                await self._move(self._machine.end_predicted, frame.text)
            case EagerEndOfTurnCancelFrame():
                await self._move(self._machine.end_prediction_cancelled)
            case TranscriptionFrame():
                await self._final_transcript(frame)
            case InputTextRawFrame() | CallerTypingFrame() | CallerHoldsFrame():
                await self._done_by_hand(frame)
            case PauseVerdictFrame():
                await self._move(self._machine.pause_judged, frame.probability)
            case EndOfTurnFrame():
                await self._move(self._machine.end_of_turn, frame.probability)
            case BotStartedSpeakingFrame() | BotSpeakingFrame() | BotStoppedSpeakingFrame() if (
                direction is FrameDirection.UPSTREAM
            ):
                await self._hear_voice(frame)
            case MetricsFrame() if any(
                isinstance(data, STTUsageMetricsData) for data in frame.data
            ):
                # Recognisers report what they heard before its transcript, so before its turn.
                frame.metadata.setdefault("turn", self._conversation.number + 1)
                await self.push_frame(frame, direction)
            case StartFrame():
                await self.push_frame(frame, direction)
                self._machine.start_silence(self._now())
                self._timer = self.create_task(self._run_timer())
            case FailoverFrame(stage="stt"):
                self._change_recogniser(frame)
                await self.push_frame(frame, direction)
            case EndCallFrame():
                async with self._lock:
                    await self._end_call(frame)
            case EndFrame() | CancelFrame():
                await self._stop_timer()
                await self.push_frame(frame, direction)
            case _:
                await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Stop the timer."""
        await super().cleanup()
        await self._stop_timer()

    def _change_recogniser(self, frame: FailoverFrame) -> None:
        """Let turns end as they do with the recogniser that takes over.

        If it does not end turns, the turn model does, or else its transcripts. When early answers
        begin is known of the first recogniser only.
        """
        ending: Ending = "recogniser" if frame.ends_turns else self._without_recogniser
        self._machine.ending = ending
        self._machine.early_answers = "pauses"

    async def _hear_voice(
        self, frame: BotStartedSpeakingFrame | BotSpeakingFrame | BotStoppedSpeakingFrame
    ) -> None:
        """Act on what the voice does, and tell the stages before when it starts and stops."""
        match frame:
            case BotSpeakingFrame():
                await self._move(self._machine.voice_heard)
                return
            case BotStartedSpeakingFrame():
                await self._move(self._machine.voice_started)
            case BotStoppedSpeakingFrame():
                await self._move(self._machine.voice_stopped)
        await self.push_frame(frame, FrameDirection.UPSTREAM)

    async def _done_by_hand(
        self, frame: InputTextRawFrame | CallerTypingFrame | CallerHoldsFrame
    ) -> None:
        match frame:
            case InputTextRawFrame():
                self._doubt = 0.0
                await self._move(self._machine.question_typed, frame.text)
            case CallerTypingFrame():
                await self._move(self._machine.typing)
            case CallerHoldsFrame(held=True):
                await self._move(self._machine.talk_pressed)
            case CallerHoldsFrame():
                await self._move(self._machine.talk_released)

    async def _speech_started(self, frame: VADUserStartedSpeakingFrame) -> None:
        async with self._lock:
            now = self._now()
            await self._do(self._machine.speech_started(now, onset=now - frame.start_secs))

    async def _speech_stopped(self, frame: VADUserStoppedSpeakingFrame) -> None:
        async with self._lock:
            now = self._now()
            await self._do(self._machine.speech_stopped(now, speech_end=now - frame.stop_secs))

    async def _final_transcript(self, frame: TranscriptionFrame) -> None:
        """Act on a final transcript: a turn is in as much doubt as its worst."""
        if frame.text:
            self._doubt = max(self._doubt, frame.metadata.get("doubt", 0.0))
        await self._transcript(self._machine.final_transcript, frame.text)

    async def _transcript(self, event: _Event, text: str) -> None:
        """Act on a transcript, without the words that are the voice's own echo."""
        now = self._now()
        since = max(self._machine.onset - _ECHO_LEAD_SECS, now - _ECHO_MAX_SECS)
        played = self._conversation.playback.spoken_between(since, now)
        own = without_echo(text, played)
        await self._move(event, own or text, bool(text and not own))

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
                    self._doubt = 0.0
                    await self.push_frame(UserStoppedSpeakingFrame())
                case Caption():
                    await self.push_frame(CallerTextFrame(text=action.text, final=action.final))
                case Speculate():
                    await self._speculate(action)
                case CancelSpeculation():
                    await self.push_frame(EagerEndOfTurnCancelFrame())
                case TranscribeNow():
                    await self.push_frame(TranscribeNowFrame(), FrameDirection.UPSTREAM)
                case EndTurn():
                    await self._end_turn(action)
                case Say():
                    phrase = self._phrases[action.phrase]
                    if action.phrase == "goodbye":
                        await self._end_call(EndCallFrame(reason="silence", last_words=phrase))
                    else:
                        await self.push_frame(TTSSpeakFrame(phrase))
        self._deadline_changed.set()

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
                doubt=self._doubt,
            )
        )

    async def _end_turn(self, end: EndTurn) -> None:
        if end.continued:
            self._conversation.withdraw()
        history = self._conversation.history()
        turn = self._conversation.begin_turn(end.question, end.speech_end, end.transcribed)
        doubt, self._doubt = self._doubt, 0.0
        # In both directions: upstream, voice activity stores the audio of one turn only.
        await self.broadcast_frame(UserStoppedSpeakingFrame)
        if not self._conversation.affordable():
            # pipeline.call gets the turn's record, and ends the call with a spoken reason.
            self._conversation.close(turn)
            return
        await self.push_frame(
            TurnFrame(turn=turn.number, question=turn.question, history=history, doubt=doubt)
        )

    async def _end_call(self, frame: EndCallFrame) -> None:
        """Speak the last words, and answer nothing that the caller says from now on."""
        await self._do(self._machine.close(self._now()))
        if frame.last_words:
            await self.push_frame(TTSSpeakFrame(frame.last_words))
        await self.push_frame(frame)

    async def _run_timer(self) -> None:
        while True:
            self._deadline_changed.clear()
            deadline = self._machine.deadline
            wait = None if deadline is None else max(0.0, deadline - self._now())
            try:
                async with asyncio.timeout(wait):
                    await self._deadline_changed.wait()
            except TimeoutError:
                await self._move(self._machine.tick)

    async def _stop_timer(self) -> None:
        if self._timer is not None:
            timer, self._timer = self._timer, None
            await self.cancel_task(timer)
