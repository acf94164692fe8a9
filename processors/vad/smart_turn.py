"""End-of-turn probability by the smart-turn model: one session per process.

The model works on prosody, so it can tell "I worked at…" from "I worked at Yale." Its input is
always 8 s (shorter speech is padded at the front), so every inference costs the same. Inference
runs in threads of its own, off the event loop.
"""

import asyncio
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from models.catalogue import smart_turn_session
from models.inference import SAMPLE_RATE, SMART_TURN_SAMPLES, smart_turn_probability
from processors.pool import Pool

MAX_SECS = SMART_TURN_SAMPLES / SAMPLE_RATE


class SmartTurnEngine:
    """One smart-turn session, shared by all calls of a process."""

    def __init__(self, *, session: Any, workers: int) -> None:
        """Wrap a loaded session; use :meth:`load` instead."""
        self._session = session
        self.pool = Pool(workers, "smart-turn")

    @classmethod
    def load(cls, *, threads: int = 1, workers: int = 1) -> Self:
        """Load the model that pipecat ships (smart-turn v3.2, BSD-2) and warm it up.

        Args:
            threads: Threads per inference.
            workers: Maximum concurrent inferences.

        Raises:
            ValueError: An argument is below 1.
            WeightsError: The model file is missing, or its hash is not the catalogue's.
        """
        for name, value in (("threads", threads), ("workers", workers)):
            if value < 1:
                raise ValueError(f"{name} is {value}: it must be at least 1")
        engine = cls(session=smart_turn_session(threads=threads), workers=workers)
        engine._infer(np.zeros(SAMPLE_RATE, np.float32))
        return engine

    def close(self) -> None:
        """Release the threads; requests still queued are cancelled."""
        self.pool.shutdown(wait=False, cancel_futures=True)

    async def probability(self, speech: bytes | npt.NDArray[np.float32]) -> float:
        """Return the probability that the caller has finished their turn.

        Requests queue for a free thread in order. One cancelled while queued never runs.

        Args:
            speech: The turn so far, 16 kHz mono: s16le bytes, or floats in -1 to 1. Only the last
                8 s are used.

        Returns:
            The probability, 0 to 1.

        Raises:
            ValueError: There are no samples, half a sample, or more than one channel.
        """
        if isinstance(speech, bytes):
            if len(speech) % 2:
                raise ValueError(
                    f"speech is {len(speech)} bytes: 16-bit samples need an even number"
                )
            last = speech[-2 * SMART_TURN_SAMPLES :]
            samples = np.frombuffer(last, "<i2").astype(np.float32) / 32_768.0
        else:
            samples = speech[-SMART_TURN_SAMPLES:]
        if samples.ndim != 1 or not len(samples):
            raise ValueError(f"speech has shape {samples.shape}: it must be one row of samples")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.pool, self._infer, samples)

    def _infer(self, samples: npt.NDArray[np.float32]) -> float:
        return smart_turn_probability(self._session, samples)
