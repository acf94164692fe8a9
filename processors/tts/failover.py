"""The next voice takes over when one fails, and speaks what was not spoken."""

from collections.abc import Sequence

from pipecat.frames.frames import Frame
from pipecat.processors.frame_processor import FrameProcessor

from processors.failover import StageFailover
from processors.tts.speech_queue import SpeechQueue


class TextToSpeechFailover(StageFailover):
    """Voices in order of preference; what was not spoken is spoken by the next.

    A sentence whose audio had begun is not said again: its caller has heard of it what they have.
    Each voice keeps its own account of that: :class:`processors.tts.speech_queue.SpeechQueue`.

    Parameters:
        services: The voices.
        names: Their names in settings.
    """

    stage = "tts"

    async def _unfinished(self, failed: FrameProcessor) -> Sequence[Frame]:
        return await failed.hand_over() if isinstance(failed, SpeechQueue) else ()
