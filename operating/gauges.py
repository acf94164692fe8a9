"""Gauges read at scrape time: the daily budget, queues, the event loop."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, TypeVar

from loguru import logger
from prometheus_client.metrics_core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.utils import floatToGoString

from conversation.records import MICROS
from ledger.money.budget import DayMoney
from operating.lag import EventLoopLag
from operating.reading import TIMEOUT_SECS, Reading
from processors.pool import Pool
from processors.window import Sizes

T = TypeVar("T")


class _Gauge(Generic[T]):
    """A value read before each scrape; absent if it cannot be read."""

    def __init__(self, name: str, read: Callable[[], T], timeout_secs: float) -> None:
        self.name = name
        self.value: T | None = None
        self._reading = Reading(read, timeout_secs=timeout_secs)
        self._failed = False

    async def read(self) -> None:
        """Read it. A failed reading clears the old value."""
        try:
            self.value = await self._reading.get()
            trouble = ""
        except Exception as error:
            self.value = None
            trouble = f"{type(error).__name__}: {error}"
        if bool(trouble) != self._failed:
            self._failed = bool(trouble)
            if trouble:
                logger.warning("cannot read the metrics of {}: {}", self.name, trouble)


class Gauges(Collector):
    """Gauges that are read when scraped, at most every few seconds.

    A value that cannot be read is left out, and its ``viva_reading_up`` is 0.

    Parameters:
        registry: The registry to add them to.
        lag: Lateness of the event loop.
        pools: Returns the thread pools of this process's engines.
        taking: Whether another call would be accepted.
        loaded: Whether the models are loaded.
        vendors: Returns whether each vendor fails all calls, by stage and name.
        money: Returns the daily budget; may block.
        queues: Return the length of each queue, by its name; may block.
        timeout_secs: Longest that a scrape waits for any of them.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        lag: EventLoopLag | None = None,
        pools: Callable[[], Iterable[Pool]] = tuple,
        taking: Callable[[], bool] | None = None,
        loaded: Callable[[], bool] | None = None,
        vendors: Callable[[], Mapping[tuple[str, str], bool]] = dict,
        money: Callable[[], DayMoney] | None = None,
        queues: Mapping[str, Callable[[], int]] | None = None,
        timeout_secs: float = TIMEOUT_SECS,
    ) -> None:
        self._lag = lag
        self._pools = pools
        self._vendors = vendors
        self._flags = {"taking": taking, "loaded": loaded}
        self._money = _Gauge("money", money, timeout_secs) if money else None
        self._queues = [_Gauge(name, read, timeout_secs) for name, read in (queues or {}).items()]
        registry.register(self)

    async def read(self) -> None:
        """Read all of them concurrently; never raises."""
        readings = [queue.read() for queue in self._queues]
        if self._money is not None:
            readings.append(self._money.read())
        await asyncio.gather(*readings)

    def describe(self) -> Iterator[Metric]:
        """Declare all of them, read or not."""
        return iter((*self._families().values(), *self._lateness()))

    def collect(self) -> Iterator[Metric]:
        """The values read last."""
        families = self._families()
        up = families["up"]
        for cause, failing in self._vendors().items():
            families["failing"].add_metric(list(cause), float(failing))
        for name, flag in self._flags.items():
            if flag is not None:
                families[name].add_metric([], float(flag()))
        if self._money is not None:
            day = self._money.value
            up.add_metric([self._money.name], float(day is not None))
            if day is not None:
                families["spent"].add_metric([], day.spent / MICROS)
                families["held"].add_metric([], day.held / MICROS)
                if day.cap is not None:
                    families["cap"].add_metric([], day.cap / MICROS)
        for queue in self._queues:
            up.add_metric([queue.name], float(queue.value is not None))
            if queue.value is not None:
                families["queues"].add_metric([queue.name], queue.value)
        return (family for family in (*families.values(), *self._lateness()) if family.samples)

    def _lateness(self) -> tuple[HistogramMetricFamily, ...]:
        """How late the event loop was, and how long work waited for each engine."""
        lag = HistogramMetricFamily("viva_event_loop_lag_seconds", "Lateness of the event loop.")
        wait = HistogramMetricFamily(
            "viva_engine_wait_seconds",
            "How long work waited for a thread of an engine.",
            labels=["engine"],
        )
        late: list[tuple[HistogramMetricFamily, list[str], Sizes]] = [
            (wait, [pool.name], pool.sizes) for pool in self._pools()
        ]
        if self._lag is not None:
            late.append((lag, [], self._lag.sizes))
        for family, labels, sizes in late:
            buckets = [(floatToGoString(bound), count) for bound, count in sizes.cumulative()]
            family.add_metric(labels, buckets, sizes.total)
        return lag, wait

    @staticmethod
    def _families() -> dict[str, GaugeMetricFamily]:
        def family(name: str, text: str, *labels: str) -> GaugeMetricFamily:
            return GaugeMetricFamily(f"viva_{name}", text, labels=labels)

        return {
            "taking": family("taking_calls", "Whether another call would be accepted, 1 or 0."),
            "loaded": family("models_loaded", "Whether the models are loaded, 1 or 0."),
            "failing": family(
                "vendor_failing",
                "Whether a vendor failed the last calls one after another, 1 or 0.",
                "stage",
                "vendor",
            ),
            "spent": family("day_spent_dollars", "Cost of all calls of the day (UTC) so far."),
            "held": family("day_held_dollars", "Reserved for open calls."),
            "cap": family("day_cap_dollars", "Daily spend cap."),
            "queues": family("queue_depth", "Length of a queue.", "queue"),
            "up": family("reading_up", "Whether a value could be read, 1 or 0.", "reading"),
        }
