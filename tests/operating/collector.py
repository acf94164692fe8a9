"""A collector of OpenTelemetry traces on loopback: OTLP over HTTP, decoded as it is on the wire."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue


@dataclass(frozen=True)
class Seen:
    """A span, as it came in; its times are Unix seconds."""

    name: str
    kind: int
    trace: bytes
    id: bytes
    parent: bytes
    start: float
    end: float
    failed: bool
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]

    @property
    def secs(self) -> float:
        """How long it took."""
        return round(self.end - self.start, 3)


class Collector:
    """Takes traces at ``url``; answers ``status``, once ``answering`` is set."""

    def __init__(self) -> None:
        self.spans: list[Seen] = []
        self.resource: dict[str, Any] = {}
        self.raw = b""
        self.requests = 0
        self.asked = asyncio.Event()
        self.answering = asyncio.Event()
        self.answering.set()
        self.status = 200
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/v1/traces", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.answering.set()
        await self._runner.cleanup()

    def named(self, name: str) -> list[Seen]:
        """The spans of a name, by their start."""
        return sorted(
            (span for span in self.spans if span.name == name), key=lambda span: span.start
        )

    def under(self, parent: Seen) -> list[Seen]:
        """The children of a span, by their start."""
        children = [span for span in self.spans if span.parent == parent.id]
        return sorted(children, key=lambda span: (span.start, span.end))

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests += 1
        self.asked.set()
        await self.answering.wait()
        if self.status != 200:
            return web.Response(status=self.status)
        self.raw += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resource = _plain(resource.resource.attributes)
            self.spans += [_seen(span) for scope in resource.scope_spans for span in scope.spans]
        return web.Response(
            body=ExportTraceServiceResponse().SerializeToString(),
            content_type="application/x-protobuf",
        )


def _seen(span: Any) -> Seen:
    return Seen(
        name=span.name,
        kind=span.kind,
        trace=span.trace_id,
        id=span.span_id,
        parent=span.parent_span_id,
        start=span.start_time_unix_nano / 1e9,
        end=span.end_time_unix_nano / 1e9,
        failed=span.status.code == span.status.STATUS_CODE_ERROR,
        attributes=_plain(span.attributes),
        events=[(event.name, _plain(event.attributes)) for event in span.events],
    )


_VALUES: dict[str, Callable[[AnyValue], Any]] = {
    "string_value": lambda value: value.string_value,
    "int_value": lambda value: value.int_value,
    "double_value": lambda value: value.double_value,
    "bool_value": lambda value: value.bool_value,
    "array_value": lambda value: [_value(item) for item in value.array_value.values],
}


def _value(value: AnyValue) -> Any:
    return _VALUES[value.WhichOneof("value") or ""](value)


def _plain(attributes: Any) -> dict[str, Any]:
    return {attribute.key: _value(attribute.value) for attribute in attributes}
