"""A filter between brain and voice: an answer is no longer than so many sentences.

In :func:`pipeline.chain.build` it stands behind the responder::

    responder,
    AnswerLimit(sentences=3),
    text_to_speech,
"""

from pipecat.frames.frames import Frame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from conversation.frames import SentenceFrame


class AnswerLimit(FrameProcessor):
    """Drops the sentences of an answer past the first few.

    What does not pass here is not spoken, lit on the page, or counted as heard: the transport
    announces a sentence when its voice comes. The decision, which the page and the ledger have as
    the brain made it, is another frame and passes.

    Parameters:
        sentences: How many sentences of an answer are spoken.
    """

    def __init__(self, *, sentences: int) -> None:
        # Direct mode: no frame waits in a queue here, so that an interruption overtakes none.
        super().__init__(enable_direct_mode=True)
        self._limit = sentences
        self._turn = 0
        self._passed = 0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass a frame on, unless it is a sentence too many."""
        await super().process_frame(frame, direction)
        if isinstance(frame, SentenceFrame):
            if frame.turn != self._turn:
                self._turn, self._passed = frame.turn, 0
            self._passed += 1
            if self._passed > self._limit:
                return
        await self.push_frame(frame, direction)
