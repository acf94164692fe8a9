"""The metrics of all workers of a server, whichever of them is asked."""

import asyncio
from collections.abc import Iterable, Iterator

import aiohttp
from aiohttp import web
from loguru import logger
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from operating.supervisor.supervisor_client import WorkerContext

TIMEOUT_SECS = 2.0
"""Longest wait for another worker's metrics; one that takes longer is left out."""

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


class PeerMetrics:
    """The other workers, each on a socket of its own in the supervisor's folder.

    Parameters:
        context: Which worker this one is.
    """

    def __init__(self, context: WorkerContext) -> None:
        self._context = context

    async def listen(self, runner: web.BaseRunner) -> None:
        """Let the others ask this worker."""
        path = self._context.socket(self._context.number)
        path.unlink(missing_ok=True)  # left by the worker whose place this one took
        await web.UnixSite(runner, str(path)).start()

    def is_one(self, request: web.Request) -> bool:
        """Whether another worker asks: it has come by the folder, which others may not enter."""
        own = str(self._context.socket(self._context.number))
        return request.transport is not None and (
            request.transport.get_extra_info("sockname") == own
        )

    async def metrics(self) -> "dict[str, str]":
        """The others' metrics as OpenMetrics, by the number of the worker."""
        others = [
            number for number in range(self._context.workers) if number != self._context.number
        ]
        told = await asyncio.gather(*(self._ask(number) for number in others))
        return {
            str(number): text for number, text in zip(others, told, strict=True) if text is not None
        }

    def merged(self, own: Collector, others: "dict[str, str]") -> "Merged":
        """All workers' metrics, those of each by its label ``worker``; it takes milliseconds."""
        everybody: dict[str, Iterable[Metric]] = {str(self._context.number): own.collect()}
        for number, text in others.items():
            everybody[number] = text_string_to_metric_families(text)
        return Merged(everybody)

    async def _ask(self, number: int) -> str | None:
        path = self._context.socket(number)
        if not path.exists():
            return None
        try:
            async with (
                asyncio.timeout(TIMEOUT_SECS),
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
                session.get("http://worker/metrics", headers={"Accept": OPEN_METRICS}) as answer,
            ):
                answer.raise_for_status()
                return await answer.text()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            logger.warning("no metrics of worker {}: {}", number, error or type(error).__name__)
            return None


class Merged(Collector):
    """Families of several workers, each sample labelled with whose it is.

    Parameters:
        everybody: The families, by the worker's number.
    """

    def __init__(self, everybody: "dict[str, Iterable[Metric]]") -> None:
        self._families: dict[str, Metric] = {}
        for number, families in sorted(everybody.items(), key=lambda one: int(one[0])):
            for family in families:
                ours = self._families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type, family.unit)
                )
                ours.samples += [
                    sample._replace(labels={**sample.labels, "worker": number})
                    for sample in family.samples
                ]

    def collect(self) -> Iterator[Metric]:
        """The families, each once."""
        return iter(self._families.values())
