import asyncio

from evals.replay import virtual_time
from operating.lag import EventLoopLag


def stalled(*stalls: float, then_secs: float = 0.0) -> EventLoopLag:
    """What is seen of a loop that is held up, each time after five quiet seconds."""

    async def play() -> EventLoopLag:
        lag = EventLoopLag(interval_secs=0.1, window_secs=10.0)
        lag.start()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, virtual_time.VirtualTimeLoop)
        for secs in stalls:
            await asyncio.sleep(5.0)
            loop.advance(secs)
            await asyncio.sleep(0.2)
        await asyncio.sleep(then_secs)
        lag.close()
        return lag

    return virtual_time.run(play())


def test_a_quiet_loop_is_not_late() -> None:
    lag = stalled(0.0)
    assert lag.p50 < 0.001
    assert lag.p99 < 0.001


def test_nothing_is_known_before_the_first_sample() -> None:
    assert EventLoopLag().p99 == 0.0


def test_one_long_stall_counts_as_all_the_timers_it_swallowed() -> None:
    lag = stalled(2.0)
    assert 1.8 < lag.p99 <= 2.0
    assert lag.quantile(0.8) > 0.3, "of 7 s, 2 were late"
    assert lag.p50 < 0.001


def test_a_stall_is_forgotten_when_its_window_has_passed() -> None:
    assert stalled(2.0, then_secs=11.0).p99 < 0.001


def test_a_stall_longer_than_the_window_fills_it_and_no_more() -> None:
    lag = stalled(3600.0)
    assert lag.p50 > 3590.0
    assert len(lag._samples) == 100


async def test_a_sampler_that_is_closed_leaves_no_timer_behind() -> None:
    lag = EventLoopLag(interval_secs=0.01)
    lag.start()
    lag.start()
    await asyncio.sleep(0.05)
    seen = len(lag._samples)
    assert 1 <= seen <= 6, "it was started once"
    lag.close()
    await asyncio.sleep(0.03)
    assert len(lag._samples) == seen
