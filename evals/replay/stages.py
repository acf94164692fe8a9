"""Stages that give their recorded output."""

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
"""Prompts that turn taking says; the goodbye comes with the end of the call."""


class ReplayedStage(FrameProcessor):
    """A stage that passes every frame on and pushes recorded ones when told to."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass the frame on."""
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)

    async def push_recorded(self, message: Message) -> None:
        """Push a recorded frame."""
        frame = from_message(message)
        if isinstance(frame, MetricsFrame):
            for data in frame.data:
                data.processor = self.name  # the meter attributes usage by it
        if isinstance(frame, ErrorFrame):
            # A recorded vendor failure must not stop the replay.
            await self.push_error(frame.error)
            return
        await self.push_frame(frame)


class ReplayedDecisions:
    """Pushes the recorded turns and decisions in place of turn taking and the responder.

    The recorded frames pass through the real stages, which do not act on them.

    Parameters:
        source: A stage before turn taking.
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
        """Push a recorded frame.

        Args:
            message: The recorded message.
            shift: How much later the replay is than the recording, in seconds.
            began: When the call began, on its clock.
        """
        frame = from_message(message)
        match frame:
            case TurnFrame():
                if not frame.speculation:
                    self._begin(frame, shift, began)
                return
            case TTSSpeakFrame() if frame.text not in _SAID_AGAIN:
                return  # the replayed call says it itself
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
        # The recorded frame ends here.
        told = TurnFrame(turn.number, turn.question, frame.history, doubt=frame.doubt)
        conversation.observer.gave("turn", told)
