"""Push-to-talk in place of turn taking: the caller's turn is as long as they hold a button.

In :func:`pipeline.chain.build` it stands where ``TurnTaking`` does. The transport pushes a
:class:`ButtonFrame` for each press and release.
"""

import asyncio
from dataclasses import dataclass

from pipecat.frames.frames import (
    Frame,
    InputTextRawFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    SystemFrame,
    TranscriptionFrame,
    TTSSpeakFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from conversation.frames import (
    CallerHoldsFrame,
    CallerTextFrame,
    CallerTypingFrame,
    EndCallFrame,
    EndOfTurnFrame,
    PauseVerdictFrame,
    SpeechPauseFrame,
    TurnFrame,
)
from conversation.turns import Conversation
from evals.conformance.turns import TurnTaker

TRANSCRIPT_SECS = 3.0
"""Longest wait, after the button is let go, for the transcript of what was said before."""


@dataclass
class ButtonFrame(SystemFrame):
    """The caller has pressed the button, or let it go.

    Parameters:
        held: Whether it is held from now on.
    """

    held: bool = False


class PushToTalk(FrameProcessor):
    """Takes buttons and transcripts; gives a ``TurnFrame`` for each press with words in it.

    Pressing stops the voice, and so does a typed question, which is a turn as it is. What is said
    while nothing is held is not listened to, and nobody is asked whether they are still there.

    Parameters:
        conversation: The call's turns.
    """

    def __init__(self, conversation: Conversation) -> None:
        super().__init__(enable_direct_mode=True)
        self._conversation = conversation
        self._over = False  # the call has had its last words
        self._held = False
        self._released: float | None = None  # when, while a transcript is still to come
        self._speech = False  # speech began, and its transcript has not come
        self._texts: list[str] = []
        self._waiting: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take buttons, speech and transcripts; pass all else on."""
        await super().process_frame(frame, direction)
        match frame:
            case ButtonFrame(held=True) | CallerHoldsFrame(held=True):
                if not self._over:
                    await self._press()
            case ButtonFrame() | CallerHoldsFrame():
                await self._release()
            case VADUserStartedSpeakingFrame():
                self._speech = self._held
            case TranscriptionFrame() if self._held or self._released is not None:
                await self._hear(frame.text)
            case TranscriptionFrame() | InterimTranscriptionFrame() | VADUserStoppedSpeakingFrame():
                pass
            case InputTextRawFrame():
                if not self._over:
                    await self._type(frame.text)
            case SpeechPauseFrame() | PauseVerdictFrame() | EndOfTurnFrame() | CallerTypingFrame():
                pass
            case EndCallFrame():
                self._over = True
                if frame.last_words:
                    await self.push_frame(TTSSpeakFrame(frame.last_words))
                await self.push_frame(frame)
            case _:
                await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Stop waiting for a transcript."""
        await super().cleanup()
        await self._stop_waiting()

    async def _press(self) -> None:
        await self._stop_waiting()
        self._held, self._released, self._speech = True, None, False
        self._texts.clear()
        await self.push_frame(InterruptionFrame())
        await self.push_frame(UserStartedSpeakingFrame())

    async def _release(self) -> None:
        if not self._held:
            return
        self._held, self._released = False, self._conversation.clock()
        if self._speech:
            self._waiting = self.create_task(self._give_up_waiting())
        else:
            await self._end_turn()

    async def _type(self, question: str) -> None:
        await self._press()
        self._held, self._released = False, self._conversation.clock()
        await self._hear(question)

    async def _hear(self, text: str) -> None:
        self._speech = False
        if text.strip():
            self._texts.append(text)
        await self.push_frame(CallerTextFrame(text=" ".join(self._texts), final=not self._held))
        if not self._held:
            await self._stop_waiting()
            await self._end_turn()

    async def _end_turn(self) -> None:
        released, self._released = self._released, None
        # Both ways: voice activity upstream keeps the audio of one turn.
        await self.broadcast_frame(UserStoppedSpeakingFrame)
        if released is None or not self._texts:
            return
        conversation = self._conversation
        history = conversation.history()
        turn = conversation.begin_turn(" ".join(self._texts), released, conversation.clock())
        if conversation.affordable():
            await self.push_frame(
                TurnFrame(turn=turn.number, question=turn.question, history=history)
            )
        else:
            conversation.close(turn)  # The listener of the records ends the call with a farewell.

    async def _give_up_waiting(self) -> None:
        await asyncio.sleep(TRANSCRIPT_SECS)
        self._waiting = None
        await self._end_turn()

    async def _stop_waiting(self) -> None:
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            await self.cancel_task(waiting)


CHECKED = TurnTaker(
    "push-to-talk",
    PushToTalk,
    begin=lambda: [ButtonFrame(held=True)],
    end=lambda: [ButtonFrame(held=False)],
)
"""For ``viva vendors check --stage turns --vendor examples.push_to_talk:CHECKED``."""
