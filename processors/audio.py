"""The way of audio along the chain, without what pipecat does for every frame.

Fifty frames a second a call pass from the socket to the recogniser, and as many as the voice has
pieces from it to the socket. pipecat's ``push_frame`` writes each of them out for a trace log,
stamps it for observers and awaits four event handlers a hop, which is more than all that is done
with the audio. A processor that has a coroutine ``take_audio(frame)`` is handed audio by a plain
call instead, in order and at once, as in pipecat's direct mode; any other gets it as pipecat would
give it. pipecat's observers and event handlers do not see audio that is handed on so.
"""

from pipecat.frames.frames import InputAudioRawFrame, TTSAudioRawFrame
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.utils.errors import ErrorCategory

Audio = InputAudioRawFrame | TTSAudioRawFrame


async def forward_audio(processor: FrameProcessor, frame: Audio) -> None:
    """Hand audio from a processor to the one that follows it."""
    if processor.next is not None:
        await forward_audio_to(processor.next, frame)


async def forward_audio_to(processor: FrameProcessor, frame: Audio) -> None:
    """Hand audio to a processor; what it raises goes upstream as an ``ErrorFrame``."""
    take_audio = getattr(processor, "take_audio", None)
    if take_audio is None:
        await processor.queue_frame(frame)
        return
    try:
        await take_audio(frame)
    except Exception as error:
        await processor.push_error(
            f"Error processing frame: {error}", exception=error, category=ErrorCategory.UNKNOWN
        )
