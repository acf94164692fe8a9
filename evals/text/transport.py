"""The output of a conversation in writing: each sentence counts as heard at once."""

from pipecat.frames.frames import Frame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from conversation.frames import DecisionFrame, PlaybackFrame, SentenceFrame
from conversation.turns import Conversation


class TextOutput(FrameProcessor):
    """Reports each sentence to the conversation as played, and ends a turn with its decision.

    It takes the place of a call's transport, behind
    :class:`~processors.turns.keeper.TurnKeeper`, and reports playback itself: a sentence has one
    sample, which is played at once.

    Runs in direct mode, so that a decision does not overtake its sentences.

    Parameters:
        conversation: The turns.
    """

    def __init__(self, conversation: Conversation) -> None:
        super().__init__(enable_direct_mode=True)
        self._conversation = conversation
        conversation.playback_is_reported = True

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Report a sentence or a decision, and pass every frame on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, SentenceFrame):
            self._play(frame)
        await self.push_frame(frame, direction)
        if isinstance(frame, DecisionFrame):
            self._conversation.voice_stopped()

    def _play(self, sentence: SentenceFrame) -> None:
        conversation = self._conversation
        playback = conversation.playback
        playback.begin_sentence(sentence.turn, sentence.shown)
        playback.send(1, conversation.clock())
        conversation.played(PlaybackFrame(epoch=playback.epoch, samples=playback.sent))
