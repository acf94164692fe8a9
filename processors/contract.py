"""What all stages of a call's chain have in common, and the contract of a filter between two.

Each stage's own contract stands beside it: ``processors/vad/contract.py`` and so on. A contract is
a Protocol, which :func:`pipeline.chain.build` is typed by, and two tuples of frames: ``TAKES`` are
those that the stage acts on, ``GIVES`` those that it makes. What types cannot say, the order and
the time of frames, is checked by ``viva vendors check`` (:mod:`evals.conformance`).
"""

from typing import Protocol

from pipecat.frames.frames import Frame
from pipecat.processors.frame_processor import FrameCallback, FrameDirection, FrameProcessor


class ChainStage(Protocol):
    """A pipecat ``FrameProcessor``, as the rest of the chain sees it.

    Every stage:

    * passes on, in order and in their direction, the frames that it does not know;
    * passes on every ``StartFrame``, ``InterruptionFrame``, ``EndFrame`` and ``CancelFrame``, and
      on the last two gives up its tasks, connections and threads;
    * after an ``InterruptionFrame`` gives nothing more of what came before it;
    * never blocks the event loop, which all calls of the process share: what takes longer than a
      millisecond is done in a thread;
    * reports what goes wrong by ``push_error``. A failure that will not pass is reported as
      permanent, which makes the stage unusable: its reserve takes over, or the call ends.
    """

    @property
    def name(self) -> str:
        """The name that pipecat gives it, unique in the process."""
        ...

    @property
    def is_usable(self) -> bool:
        """Whether it can still be given work."""
        ...

    async def queue_frame(
        self,
        frame: Frame,
        direction: FrameDirection = FrameDirection.DOWNSTREAM,
        callback: FrameCallback | None = None,
    ) -> None:
        """Take a frame from a neighbour."""
        ...

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Act on a frame, or pass it on."""
        ...

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Give a frame to a neighbour; recordings note what passes here."""
        ...


class FilterStage(ChainStage, Protocol):
    """Stands between any two stages, and changes or drops some of what passes.

    Beside what every stage does, a filter:

    * keeps frames of one direction in order; in direct mode (``enable_direct_mode=True``) no frame
      waits in it, where an interruption could overtake it;
    * never drops ``DecisionFrame``, ``MetricsFrame`` and other system frames, which page, ledger
      and recording live by, nor the frames that begin and end an answer
      (``LLMFullResponseStartFrame``, ``LLMFullResponseEndFrame``), even if it drops all between;
    * lets a ``SentenceFrame`` keep ``turn``, ``sections`` and ``lines``, and whatever is timed its
      ``pts`` and ``context_id``: they tie what is heard to its turn, its sources and its audio.
    """


def in_order(*stages: ChainStage) -> list[FrameProcessor]:
    """Stages as a pipecat ``Pipeline`` takes them.

    Raises:
        TypeError: One is no ``FrameProcessor``; the message names it.
    """
    processors: list[FrameProcessor] = []
    for stage in stages:
        if not isinstance(stage, FrameProcessor):
            raise TypeError(f"{stage!r} is no pipecat FrameProcessor, as every stage must be")
        processors.append(stage)
    return processors
