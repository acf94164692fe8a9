"""Speech probability by the silero model: one session per process, calls batched together.

Each call holds a :class:`SileroStream`, and gives it its windows. They wait until one call needs to
know; then those of all calls are inferred, on the event loop itself: handing a window to a thread
costs more than inferring it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from models.catalogue import silero_session
from models.inference import MOST_WINDOWS, SAMPLE_RATE, SILERO_WINDOW, SileroMemory

Samples = npt.NDArray[np.float32]

WINDOW_SAMPLES = SILERO_WINDOW
WINDOW_SECS = WINDOW_SAMPLES / SAMPLE_RATE

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
        self._waiting: dict[SileroStream, None] = {}
        self._windows = 0
        self._due: _Due | None = None

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
        silence = np.zeros(WINDOW_SAMPLES, np.float32)
        for size in (1, 2):
            streams = [engine.stream() for _ in range(size)]
            for stream in streams:
                stream.add(silence)
            engine.infer()
        return engine

    def stream(self) -> "SileroStream":
        """Create the stream of one call."""
        return SileroStream(self)

    def add(self, stream: "SileroStream") -> None:
        """Note a stream's further window. Called by the stream."""
        self._waiting[stream] = None
        self._windows += 1

    @property
    def full(self) -> bool:
        """Whether as many windows wait as are inferred at once."""
        return self._windows >= self._max_batch

    async def inferred(self) -> None:
        """Infer all windows that wait, once what is runnable now has added its own.

        Raises:
            Exception: Of the inference; its windows are dropped.
        """
        loop = asyncio.get_running_loop()
        due = self._due
        if due is None or due.loop is not loop:
            due = self._due = _Due(loop)
            loop.call_soon(self._infer_due, due)
        future = loop.create_future()
        due.asked.append(future)
        await future

    def _infer_due(self, due: "_Due") -> None:
        if self._due is due:
            self._due = None
        fault: Exception | None = None
        try:
            self.infer()
        except Exception as error:  # any failure must reach those awaiting the batch
            fault = error
        for future in due.asked:
            if future.done():
                continue
            if fault is None:
                future.set_result(None)
            else:
                future.set_exception(fault)

    def infer(self) -> None:
        """Infer all windows that wait.

        Raises:
            Exception: Of the inference; its windows are dropped.
        """
        streams, self._waiting, self._windows = list(self._waiting), {}, 0
        try:
            while streams:
                alike: dict[int, list[SileroStream]] = {}
                for stream in streams:
                    alike.setdefault(stream.steps, []).append(stream)
                for steps, group in alike.items():
                    self._infer(group, steps)
                streams = [stream for stream in streams if stream.memory.waiting]
        except BaseException:
            for stream in streams:
                stream.memory.drop()
            raise

    def _infer(self, streams: "list[SileroStream]", steps: int) -> None:
        size = max(1, self._max_batch // steps)
        for begin in range(0, len(streams), size):
            batch = streams[begin : begin + size]
            found = SileroMemory.infer(self._session, [stream.memory for stream in batch], steps)
            for stream, probabilities in zip(batch, found, strict=True):
                stream.note(probabilities)


class SileroStream:
    """The model's recurrent state for one call."""

    def __init__(self, engine: SileroEngine) -> None:
        """Start with an empty state; use :meth:`SileroEngine.stream` instead."""
        self._engine = engine
        self.memory = SileroMemory()
        self._known: list[float] = []
        self._windows_since_reset = 0
        self._silent_windows = 0

    @property
    def waiting(self) -> int:
        """Number of windows that wait for inference."""
        return self.memory.waiting

    @property
    def must_infer(self) -> bool:
        """Whether windows must be inferred before another one is added."""
        return self.memory.waiting >= MOST_WINDOWS or self._engine.full

    @property
    def steps(self) -> int:
        """How many of the windows that wait may be inferred at once: none behind a reset."""
        due = max(
            _RESET_AFTER_WINDOWS - self._windows_since_reset,
            _RESET_SILENT_WINDOWS - self._silent_windows,
            1,
        )
        return min(self.memory.waiting, due)

    def add(self, window: Samples) -> None:
        """Add the stream's next window.

        Args:
            window: 512 samples (32 ms at 16 kHz), float32 in -1 to 1.

        Raises:
            ValueError: The window does not have 512 samples.
            RuntimeError: As many windows wait as may.
        """
        if window.shape != (WINDOW_SAMPLES,):
            raise ValueError(f"window has shape {window.shape}: it must be ({WINDOW_SAMPLES},)")
        if self.memory.waiting >= MOST_WINDOWS:
            raise RuntimeError(f"{MOST_WINDOWS} windows wait: they must be inferred first")
        self.memory.add(window)
        self._engine.add(self)

    def known(self) -> list[float]:
        """Take the probabilities of speech, 0 to 1, in the windows inferred since the last time."""
        known, self._known = self._known, []
        return known

    async def inferred(self) -> list[float]:
        """Infer the windows that wait, and take the probabilities of all that are known.

        Raises:
            Exception: Of the inference; the windows that waited are dropped.
        """
        if self.memory.waiting:
            await self._engine.inferred()
        return self.known()

    async def speech_probability(self, window: Samples) -> float:
        """Add a window, and take the probability that it contains speech.

        Raises:
            ValueError: The window does not have 512 samples.
        """
        self.add(window)
        return (await self.inferred())[-1]

    def reset(self) -> None:
        """Clear the recurrent state."""
        self.memory.clear()
        self._windows_since_reset = self._silent_windows = 0

    def note(self, probabilities: Sequence[float]) -> None:
        """Note the probabilities of further windows. Called by the engine."""
        self._known += probabilities
        for probability in probabilities:
            self._windows_since_reset += 1
            silent = probability < _SILENCE_THRESHOLD
            self._silent_windows = self._silent_windows + 1 if silent else 0
        if (
            self._windows_since_reset >= _RESET_AFTER_WINDOWS
            and self._silent_windows >= _RESET_SILENT_WINDOWS
        ):
            self.reset()


@dataclass(slots=True)
class _Due:
    """An inference that is about to be made, and those who wait for it."""

    loop: asyncio.AbstractEventLoop
    asked: list[asyncio.Future[None]] = field(default_factory=list)
