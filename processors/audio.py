"""A short cut for audio along the chain, around pipecat's per-frame overhead.

A call's microphone gives fifty frames a second. For each frame and hop, pipecat's ``push_frame``
formats a trace log line, notifies observers and awaits four event handlers, which costs more than
all processing of the audio itself. An :class:`AudioSink` gets audio by a plain call instead, in
order and at once, as in pipecat's direct mode; any other processor gets it through pipecat's
queue. pipecat's observers and event handlers do not see audio forwarded this way.
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
    """A processor that receives audio by a direct call instead of through pipecat's queue.

    The audio is the caller's ahead of the recogniser, and the voice's after text to speech. A sink
    treats audio that arrives by ``process_frame`` the same, and forwards audio with
    :func:`forward_audio`.
    """

    def take_audio(self, frame: AudioT_contra, /) -> Coroutine[Any, Any, None]:
        """Process one piece of audio; an exception is reported upstream."""
        ...


def audio_sink(processor: Any) -> AudioSink[Any] | None:
    """Return a processor as an :class:`AudioSink`, or ``None`` if it is not one."""
    known = _takes_audio(type(processor))  # type: ignore[arg-type] # a class is hashable
    return cast("AudioSink[Any]", processor) if known else None


@cache  # issubclass() inspects a Protocol's members, which costs more than the rest of a hop.
def _takes_audio(kind: type[Any]) -> bool:
    return issubclass(kind, AudioSink)


async def forward_audio(processor: FrameProcessor, frame: Audio) -> None:
    """Forward audio from a processor to the next one in the chain."""
    if processor.next is not None:
        await forward_audio_to(processor.next, frame)


async def forward_audio_to(processor: FrameProcessor, frame: Audio) -> None:
    """Give audio to a processor; if that raises, an ``ErrorFrame`` goes upstream."""
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
    """Check that a pipeline's input has the sample rate that a stage needs.

    Raises:
        ValueError: It has another rate.
    """
    if setup.audio_in_sample_rate != hertz:
        raise ValueError(
            f"audio_in_sample_rate is {setup.audio_in_sample_rate}: it must be {hertz}"
        )
