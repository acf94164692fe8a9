"""Audio whose sample rate changes in the middle of a stream."""

import numpy as np

from transports.resampler import Resampler

RATE = 16_000


async def test_a_stream_may_change_its_rate_at_any_time_and_goes_on() -> None:
    resampler = Resampler(RATE)
    got = 0
    for rate in (8_000, 48_000, 16_000, 44_100, 8_000, 24_000):
        for _ in range(10):
            piece = np.ones(rate // 10, np.int16).tobytes()
            got += len(await resampler.resample(piece, rate)) // 2
    assert 5.5 * RATE <= got <= 6 * RATE, "each stream may hold back a little"
