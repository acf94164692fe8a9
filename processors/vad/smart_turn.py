"""Whether the caller has finished: the smart-turn model, one session a process.

It listens to how the last words were said, so it tells "I worked at…" from "I worked at Yale."
The model always takes 8 s (shorter speech is padded in front), so a verdict costs the same
whatever was said; it runs in a thread of its own and asks nothing of the event loop.
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
    """One smart-turn session for all calls of a process."""

    def __init__(self, *, session: Any, workers: int) -> None:
        """Wrap a loaded session; :meth:`load` is the way to get one."""
        self._session = session
        self.pool = Pool(workers, "smart-turn")

    @classmethod
    def load(cls, *, threads: int = 1, workers: int = 1) -> Self:
        """Load the model that pipecat ships (smart-turn v3.2, BSD-2) and warm it.

        Args:
            threads: Threads that one inference may use.
            workers: Verdicts that may be worked out at the same time.

        Raises:
            ValueError: A number is below 1.
            WeightsError: The model's file is missing or is not the one that was measured.
        """
        for name, value in (("threads", threads), ("workers", workers)):
            if value < 1:
                raise ValueError(f"{name} is {value}: it must be at least 1")
        engine = cls(session=smart_turn_session(threads=threads), workers=workers)
        engine._judge(np.zeros(SAMPLE_RATE, np.float32))
        return engine

    def close(self) -> None:
        """Let the threads go; requests that have not begun are dropped."""
        self.pool.shutdown(wait=False, cancel_futures=True)

    async def probability(self, speech: bytes | npt.NDArray[np.float32]) -> float:
        """How likely it is that the caller has finished their turn.

        Requests wait for a free thread, in order; a call has at most one. A request whose task is
        cancelled while it waits is never run.

        Args:
            speech: The turn so far at 16 kHz mono, its end at the end: s16le bytes, or floats in
                -1 to 1. Of more than 8 s the last 8 are used.

        Returns:
            0 to 1.

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
        return await loop.run_in_executor(self.pool, self._judge, samples)

    def _judge(self, samples: npt.NDArray[np.float32]) -> float:
        return smart_turn_probability(self._session, samples)
