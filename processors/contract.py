"""The contract common to all stages of the chain, and that of a filter between two stages.

Each stage's own contract is beside it, as in ``processors/vad/contract.py``. A contract is a
Protocol, by which :func:`pipeline.chain.build` is typed, and two tuples of frame types: ``TAKES``,
which the stage acts on, and ``GIVES``, which it creates. What types cannot express, such as the
order and timing of frames, ``viva vendors check`` tests (:mod:`evals.conformance`).
"""

from typing import Protocol

from pipecat.frames.frames import Frame
from pipecat.processors.frame_processor import FrameCallback, FrameDirection, FrameProcessor


class ChainStage(Protocol):
    """A pipecat ``FrameProcessor``, as the rest of the chain sees it.

    Every stage:

    * passes on frames it does not know, in order and in their direction;
    * passes on every ``StartFrame``, ``InterruptionFrame``, ``EndFrame`` and ``CancelFrame``, and
      releases its tasks, connections and threads on the last two;
    * pushes nothing that an ``InterruptionFrame`` has overtaken;
    * never blocks the event loop, which all calls of the process share: work that takes longer than
      a millisecond runs in a thread;
    * reports errors by ``push_error``. A lasting error is reported as permanent, which makes the
      stage unusable: its reserve takes over, or the call ends.
    """

    @property
    def name(self) -> str:
        """Pipecat's name for the processor, unique in the process."""
        ...

    @property
    def is_usable(self) -> bool:
        """False after a permanent error."""
        ...

    async def queue_frame(
        self,
        frame: Frame,
        direction: FrameDirection = FrameDirection.DOWNSTREAM,
        callback: FrameCallback | None = None,
    ) -> None:
        """Queue a frame from a neighbour."""
        ...

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Act on a frame or pass it on."""
        ...

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Pass a frame to a neighbour."""
        ...


class FilterStage(ChainStage, Protocol):
    """Changes or drops some of the frames that pass between two stages.

    In addition to what every stage does, a filter:

    * keeps the frames of each direction in order; in direct mode (``enable_direct_mode=True``) no
      frame is queued in it, where an interruption could overtake it;
    * never drops ``DecisionFrame``, ``MetricsFrame`` or other system frames, on which page, ledger
      and recording depend, nor the start and end of an answer (``LLMFullResponseStartFrame``,
      ``LLMFullResponseEndFrame``), even if it drops everything in between;
    * preserves ``turn``, ``sections`` and ``lines`` of a ``SentenceFrame``, and ``pts`` and
      ``context_id`` of timed frames: they link what is heard to its turn, sources and audio.
    """


def in_order(*stages: ChainStage) -> list[FrameProcessor]:
    """Return stages as the processors of a pipecat ``Pipeline``.

    Raises:
        TypeError: A stage is not a ``FrameProcessor``; the message names it.
    """
    processors: list[FrameProcessor] = []
    for stage in stages:
        if not isinstance(stage, FrameProcessor):
            raise TypeError(f"{stage!r} is not a pipecat FrameProcessor, as every stage must be")
        processors.append(stage)
    return processors
