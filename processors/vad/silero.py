"""Speech or not: the silero model, one session a process, the windows of all calls in one batch.

A call holds a :class:`SileroStream`; the windows that the calls hand in within a few milliseconds
are inferred together, on the loop itself. That is right because the work is so small: a thread hop
costs more than the window it would carry.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from models.catalogue import silero_session
from models.inference import SAMPLE_RATE, SILERO_WINDOW, SileroMemory

Samples = npt.NDArray[np.float32]

WINDOW_SAMPLES = SILERO_WINDOW
WINDOW_SECS = WINDOW_SAMPLES / SAMPLE_RATE

GATHER_SECS = 0.016
"""Least time between two batches: a window that comes sooner waits for others to share one.

A call's own windows are further apart, so a call that is alone never waits. Nor does a window that
somebody waits for, nor a call that is behind and sends what it has kept.
"""

# Noise and music leave the model's memory in a state in which it is slow to hear the speech that
# follows (pipecat's SileroVADAnalyzer found this). So it is cleared every two seconds, but only in
# what is plainly silence, and for longer than any gap between two words.
_CLEAR_AFTER = 62
_SILENT_WINDOWS = 12
_SILENT = 0.1


class SileroEngine:
    """One silero session for all calls of a process.

    It may be used from any running event loop, one at a time.
    """

    def __init__(self, *, session: Any, max_batch: int = 64) -> None:
        """Wrap a loaded session; :meth:`load` is the way to get one."""
        self._session = session
        self._max_batch = max_batch
        self._open: _Batch | None = None
        self._flushed_at = float("-inf")

    @classmethod
    def load(cls, *, threads: int = 1, max_batch: int = 64) -> Self:
        """Load the model that pipecat ships (silero v6, MIT) and warm it.

        Args:
            threads: Threads that one inference may use.
            max_batch: Most windows inferred together.

        Raises:
            ValueError: A number is below 1.
            WeightsError: The model's file is missing or is not the one that was measured.
        """
        for name, value in (("threads", threads), ("max_batch", max_batch)):
            if value < 1:
                raise ValueError(f"{name} is {value}: it must be at least 1")
        engine = cls(session=silero_session(threads=threads), max_batch=max_batch)
        for size in (1, 2):
            engine._infer([engine.stream() for _ in range(size)])
        return engine

    def stream(self) -> "SileroStream":
        """A new stream of windows: one a call."""
        return SileroStream(self)

    def _submit(self, stream: "SileroStream", *, urgent: bool) -> asyncio.Future[float]:
        loop = asyncio.get_running_loop()
        now = loop.time()
        batch = self._open
        if batch is None or batch.loop is not loop or len(batch.waiting) >= self._max_batch:
            batch = self._open = _Batch(loop)
            # Never longer: the last batch may have been on another loop, by another clock.
            wait = min(self._flushed_at + GATHER_SECS - now, GATHER_SECS)
            loop.call_later(max(0.0, wait), self._flush, batch)
        catching_up = now - stream.submitted_at < GATHER_SECS
        if urgent or catching_up:
            loop.call_soon(self._flush, batch)
        stream.submitted_at = now
        future: asyncio.Future[float] = loop.create_future()
        batch.waiting.append((stream, future))
        return future

    def _flush(self, batch: "_Batch") -> None:
        if self._open is batch:
            self._open = None
        waiting = [(stream, future) for stream, future in batch.waiting if not future.done()]
        if not waiting:
            return
        self._flushed_at = batch.loop.time()
        try:
            probabilities = self._infer([stream for stream, _ in waiting])
        except Exception as error:  # whatever it was, nobody may wait for ever
            for _, future in waiting:
                future.set_exception(error)
            return
        for (_, future), probability in zip(waiting, probabilities, strict=True):
            future.set_result(probability)

    def _infer(self, streams: list["SileroStream"]) -> list[float]:
        probabilities = SileroMemory.infer(self._session, [stream.memory for stream in streams])
        for stream, probability in zip(streams, probabilities, strict=True):
            stream.note(probability)
        return probabilities


class SileroStream:
    """What the model remembers of one call."""

    def __init__(self, engine: SileroEngine) -> None:
        """Start with nothing heard; :meth:`SileroEngine.stream` is the way to get one."""
        self._engine = engine
        self._busy = False
        self.submitted_at = float("-inf")
        self.memory = SileroMemory()
        self._since_clear = 0
        self._silent = 0

    async def speech_probability(self, window: Samples, *, urgent: bool = False) -> float:
        """How likely it is that somebody speaks in a window.

        A cancelled window leaves no trace: the stream goes on as if it had never been handed in.

        Args:
            window: 512 float samples (32 ms at 16 kHz) in -1 to 1, the next ones of the stream.
            urgent: Wait for no other call's window.

        Returns:
            0 to 1.

        Raises:
            ValueError: The window is not 512 samples.
            RuntimeError: The window before it is still being inferred.
        """
        if window.shape != (WINDOW_SAMPLES,):
            raise ValueError(f"window has shape {window.shape}: it must be ({WINDOW_SAMPLES},)")
        if self._busy:
            raise RuntimeError("the window before this one is still being inferred")
        self.memory.window[:] = window
        self._busy = True
        try:
            return await self._engine._submit(self, urgent=urgent)
        finally:
            self._busy = False

    def reset(self) -> None:
        """Forget everything heard."""
        self.memory.clear()
        self._since_clear = self._silent = 0

    def note(self, probability: float) -> None:
        """Note what the window's probability was. For the engine."""
        self._since_clear += 1
        self._silent = self._silent + 1 if probability < _SILENT else 0
        if self._since_clear >= _CLEAR_AFTER and self._silent >= _SILENT_WINDOWS:
            self.reset()


@dataclass(slots=True)
class _Batch:
    loop: asyncio.AbstractEventLoop
    waiting: list[tuple[SileroStream, asyncio.Future[float]]] = field(default_factory=list)
