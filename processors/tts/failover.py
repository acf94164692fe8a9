"""Failover between voices: the next one speaks the rest of the answer."""

from collections.abc import Sequence

from pipecat.frames.frames import Frame
from pipecat.processors.frame_processor import FrameProcessor

from processors.failover import StageFailover
from processors.tts.speech_queue import SpeechQueue


class TextToSpeechFailover(StageFailover):
    """Voices in order of preference; at failover, the next one gets what was not spoken.

    A sentence whose audio had started is not repeated. Each voice tracks what it has spoken:
    :class:`processors.tts.speech_queue.SpeechQueue`.

    Parameters:
        services: The voices.
        names: Their names in settings.
    """

    stage = "tts"

    async def _unfinished(self, failed: FrameProcessor) -> Sequence[Frame]:
        return await failed.hand_over() if isinstance(failed, SpeechQueue) else ()
