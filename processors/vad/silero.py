"""Speech probability by the silero model: one session per process, calls batched together.

Each call holds a :class:`SileroStream`. Windows that arrive within a few milliseconds of each other
are inferred in one batch, on the event loop itself: handing a window to a thread costs more than
inferring it.
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
"""Minimum time between two batches: a window that arrives sooner waits to share the next one.

Half the 32 ms between a call's own windows, so a lone call never waits. Urgent windows do not wait
either, nor does a call that is catching up on buffered audio.
"""

# Noise and music leave the model's recurrent state slow to detect the speech that follows
# (pipecat's SileroVADAnalyzer resets it for the same reason). So it is reset about every two
# seconds (62 windows), but only after 12 windows (0.38 s) of clear silence, longer than a gap
# between words.
_RESET_AFTER_WINDOWS = 62
_RESET_SILENT_WINDOWS = 12
_SILENCE_THRESHOLD = 0.1  # probability of speech; well below any threshold for speech


class SileroEngine:
    """One silero session, shared by all calls of a process.

    Not bound to an event loop, but only one loop may use it at a time.
    """

    def __init__(self, *, session: Any, max_batch: int = 64) -> None:
        """Wrap a loaded session; use :meth:`load` instead."""
        self._session = session
        self._max_batch = max_batch
        self._open: _Batch | None = None
        self._flushed_at = float("-inf")

    @classmethod
    def load(cls, *, threads: int = 1, max_batch: int = 64) -> Self:
        """Load the model that pipecat ships (silero v6, MIT) and warm it up.

        Args:
            threads: Threads per inference.
            max_batch: Maximum windows per inference.

        Raises:
            ValueError: An argument is below 1.
            WeightsError: The model file is missing, or its hash is not the catalogue's.
        """
        for name, value in (("threads", threads), ("max_batch", max_batch)):
            if value < 1:
                raise ValueError(f"{name} is {value}: it must be at least 1")
        engine = cls(session=silero_session(threads=threads), max_batch=max_batch)
        for size in (1, 2):
            engine._infer([engine.stream() for _ in range(size)])
        return engine

    def stream(self) -> "SileroStream":
        """Create the stream of one call."""
        return SileroStream(self)

    def _submit(self, stream: "SileroStream", *, urgent: bool) -> asyncio.Future[float]:
        loop = asyncio.get_running_loop()
        now = loop.time()
        batch = self._open
        if batch is None or batch.loop is not loop or len(batch.waiting) >= self._max_batch:
            batch = self._open = _Batch(loop)
            # Capped: the last batch may have run on another loop, whose clock differs.
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
        except Exception as error:  # any failure must reach those awaiting the batch
            for _, future in waiting:
                future.set_exception(error)
            return
        for (_, future), probability in zip(waiting, probabilities, strict=True):
            future.set_result(probability)

    def _infer(self, streams: list["SileroStream"]) -> list[float]:
        probabilities = SileroMemory.infer(self._session, [stream.memory for stream in streams])
        for stream, probability in zip(streams, probabilities, strict=True):
            stream.reset_if_due(probability)
        return probabilities


class SileroStream:
    """The model's recurrent state for one call."""

    def __init__(self, engine: SileroEngine) -> None:
        """Start with an empty state; use :meth:`SileroEngine.stream` instead."""
        self._engine = engine
        self._busy = False
        self.submitted_at = float("-inf")
        self.memory = SileroMemory()
        self._windows_since_reset = 0
        self._silent_windows = 0

    async def speech_probability(self, window: Samples, *, urgent: bool = False) -> float:
        """Return the probability that the stream's next window contains speech.

        A window cancelled before its inference leaves the state unchanged.

        Args:
            window: 512 samples (32 ms at 16 kHz), float32 in -1 to 1.
            urgent: Infer now instead of waiting for other calls' windows.

        Returns:
            The probability, 0 to 1.

        Raises:
            ValueError: The window does not have 512 samples.
            RuntimeError: The previous window is still being inferred.
        """
        if window.shape != (WINDOW_SAMPLES,):
            raise ValueError(f"window has shape {window.shape}: it must be ({WINDOW_SAMPLES},)")
        if self._busy:
            raise RuntimeError("the previous window is still being inferred")
        self.memory.window[:] = window
        self._busy = True
        try:
            return await self._engine._submit(self, urgent=urgent)
        finally:
            self._busy = False

    def reset(self) -> None:
        """Clear the recurrent state."""
        self.memory.clear()
        self._windows_since_reset = self._silent_windows = 0

    def reset_if_due(self, probability: float) -> None:
        """Count an inferred window, and reset after prolonged silence. Called by the engine."""
        self._windows_since_reset += 1
        silent = probability < _SILENCE_THRESHOLD
        self._silent_windows = self._silent_windows + 1 if silent else 0
        if (
            self._windows_since_reset >= _RESET_AFTER_WINDOWS
            and self._silent_windows >= _RESET_SILENT_WINDOWS
        ):
            self.reset()


@dataclass(slots=True)
class _Batch:
    loop: asyncio.AbstractEventLoop
    waiting: list[tuple[SileroStream, asyncio.Future[float]]] = field(default_factory=list)
