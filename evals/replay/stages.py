"""Stages that give what they gave in the recording."""

from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InterruptionFrame,
    MetricsFrame,
    TTSSpeakFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from conversation.frames import EndCallFrame, TurnFrame
from conversation.turns import Conversation, Turn
from processors.turns.processor import PHRASES
from recording.frames import from_message
from recording.message import Message
from recording.recording import Recording

_SAID_AGAIN = frozenset(text for name, text in PHRASES.items() if name != "goodbye")
"""What only turn taking says; the goodbye comes with the end of the call."""


class ReplayedStage(FrameProcessor):
    """A stage that passes everything on, and pushes what it is told that it gave."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass it on."""
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)

    async def push_recorded(self, message: Message) -> None:
        """Push what a message tells of."""
        frame = from_message(message)
        if isinstance(frame, MetricsFrame):
            for data in frame.data:
                data.processor = self.name  # by which the meter knows whose it is
        if isinstance(frame, ErrorFrame):
            # Whatever became of the vendor then, the recording goes on.
            await self.push_error(frame.error)
            return
        await self.push_frame(frame)


class ReplayedDecisions:
    """Turn taking and the grounded responder, giving the turns and decisions of the recording.

    What they gave passes through the real ones, which have nothing to do with it.

    Parameters:
        source: A stage in front of turn taking.
        conversation: The call's turns.
        recording: The recording.
    """

    def __init__(
        self,
        source: FrameProcessor,
        conversation: Conversation,
        recording: Recording,
    ) -> None:
        self._source = source
        self._conversation = conversation
        self._turns = {
            int(message.data["number"]): message.data for message in recording.topic("/call/Turn")
        }

    async def push_recorded(self, message: Message, shift: float, began: float) -> None:
        """Give what a message tells of.

        Args:
            message: The message.
            shift: How much later everything is than in the recording.
            began: When the call began, on its clock.
        """
        frame = from_message(message)
        match frame:
            case TurnFrame():
                if not frame.speculation:
                    self._begin(frame, shift, began)
                return
            case TTSSpeakFrame() if frame.text not in _SAID_AGAIN:
                return  # the call says it by itself
            case EndCallFrame() if frame.reason != "silence":
                return
            case InterruptionFrame():
                frame.metadata.pop("turn", None)  # it interrupts this call's turn
                self._conversation.interrupted(frame)
        if isinstance(frame, ErrorFrame):
            await self._source.push_error(frame.error)
            return
        await self._source.push_frame(frame)

    def _begin(self, frame: TurnFrame, shift: float, began: float) -> None:
        conversation = self._conversation
        last = conversation.turn
        if last is not None and self._turns.get(last.number, {}).get("withdrawn"):
            conversation.withdraw()
        known = self._turns.get(frame.turn, {})
        now = conversation.clock()
        speech_end = began + float(known["at"]) + shift if "at" in known else now
        delay = known.get("transcription_delay")
        transcribed = None if delay is None else speech_end + float(delay)
        turn: Turn = conversation.begin_turn(frame.question, min(speech_end, now), transcribed)
        # It goes no further than here.
        conversation.observer.gave("turn", TurnFrame(turn.number, turn.question, frame.history))
