"""The way of audio along the chain, without what pipecat does for every frame.

Fifty frames a second a call pass from the socket to the recogniser, and as many as the voice has
pieces from it to the socket. pipecat's ``push_frame`` writes each of them out for a trace log,
stamps it for observers and awaits four event handlers a hop, which is more than all that is done
with the audio. An :class:`AudioSink` is handed audio by a plain call instead, in order and at once,
as in pipecat's direct mode; any other processor gets it as pipecat would give it. pipecat's
observers and event handlers do not see audio that is handed on so.
"""

from collections.abc import Coroutine
from functools import cache
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

from pipecat.frames.frames import InputAudioRawFrame, TTSAudioRawFrame
from pipecat.processors.frame_processor import FrameProcessor, FrameProcessorSetup
from pipecat.utils.errors import ErrorCategory

Audio = InputAudioRawFrame | TTSAudioRawFrame

AudioT_contra = TypeVar("AudioT_contra", bound=Audio, contravariant=True)


@runtime_checkable
class AudioSink(Protocol[AudioT_contra]):
    """A processor that takes audio by a call, past pipecat's queue.

    It takes the caller's audio ahead of the recogniser, or the voice behind text to speech. Audio
    that comes by ``process_frame`` it treats the same, and what it passes on it hands on with
    :func:`forward_audio`.
    """

    def take_audio(self, frame: AudioT_contra, /) -> Coroutine[Any, Any, None]:
        """Take one piece; what it raises is reported upstream."""
        ...


def audio_sink(processor: Any) -> AudioSink[Any] | None:
    """A processor as an :class:`AudioSink`, ``None`` if it is none."""
    known = _takes_audio(type(processor))  # type: ignore[arg-type] # a class has a hash
    return cast("AudioSink[Any]", processor) if known else None


@cache  # Looking at a Protocol's members costs more than all else that is done a piece.
def _takes_audio(kind: type[Any]) -> bool:
    return issubclass(kind, AudioSink)


async def forward_audio(processor: FrameProcessor, frame: Audio) -> None:
    """Hand audio from a processor to the one that follows it."""
    if processor.next is not None:
        await forward_audio_to(processor.next, frame)


async def forward_audio_to(processor: FrameProcessor, frame: Audio) -> None:
    """Hand audio to a processor; what it raises goes upstream as an ``ErrorFrame``."""
    sink = audio_sink(processor)
    if sink is None:
        await processor.queue_frame(frame)
        return
    try:
        await sink.take_audio(frame)
    except Exception as error:
        await processor.push_error(
            f"Error processing frame: {error}", exception=error, category=ErrorCategory.UNKNOWN
        )


def check_input_rate(setup: FrameProcessorSetup, hertz: int) -> None:
    """Refuse a pipeline whose input is not at the rate that a stage needs.

    Raises:
        ValueError: It is at another.
    """
    if setup.audio_in_sample_rate != hertz:
        raise ValueError(
            f"audio_in_sample_rate is {setup.audio_in_sample_rate}: it must be {hertz}"
        )
