"""Metrics of all workers of a server, whichever of them is scraped."""

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
"""Time limit for another worker's metrics; a slower one is left out."""

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


class PeerMetrics:
    """The other workers, each on a Unix socket in the supervisor's directory.

    Parameters:
        context: This worker's context.
    """

    def __init__(self, context: WorkerContext) -> None:
        self._context = context

    async def listen(self, runner: web.BaseRunner) -> None:
        """Serve this worker's metrics to the others."""
        path = self._context.metrics_socket(self._context.number)
        path.unlink(missing_ok=True)  # left by the worker that this one replaces
        await web.UnixSite(runner, str(path)).start()

    def is_peer(self, request: web.Request) -> bool:
        """Whether a request came from another worker, by the private directory."""
        own = str(self._context.metrics_socket(self._context.number))
        return request.transport is not None and (
            request.transport.get_extra_info("sockname") == own
        )

    async def metrics(self) -> "dict[str, str]":
        """The others' metrics as OpenMetrics text, by worker number."""
        others = [
            number for number in range(self._context.workers) if number != self._context.number
        ]
        told = await asyncio.gather(*(self._ask(number) for number in others))
        return {
            str(number): text for number, text in zip(others, told, strict=True) if text is not None
        }

    def merged(self, own: Collector, others: "dict[str, str]") -> "Merged":
        """All workers' metrics, with the label ``worker``; takes milliseconds."""
        everybody: dict[str, Iterable[Metric]] = {str(self._context.number): own.collect()}
        for number, text in others.items():
            everybody[number] = text_string_to_metric_families(text)
        return Merged(everybody)

    async def _ask(self, number: int) -> str | None:
        path = self._context.metrics_socket(number)
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
    """Metric families of several workers, each sample labelled with its worker.

    Parameters:
        everybody: The families, by worker number.
    """

    def __init__(self, everybody: "dict[str, Iterable[Metric]]") -> None:
        self._families: dict[str, Metric] = {}
        for number, families in sorted(everybody.items(), key=lambda worker: int(worker[0])):
            for family in families:
                ours = self._families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type, family.unit)
                )
                ours.samples += [
                    sample._replace(labels={**sample.labels, "worker": number})
                    for sample in family.samples
                ]

    def collect(self) -> Iterator[Metric]:
        """Each family once."""
        return iter(self._families.values())
