"""Calls as OpenTelemetry traces: one a call, sent to a collector by a thread of their own."""

import asyncio
import logging
import threading
from collections import OrderedDict
from collections.abc import Sequence

from loguru import logger
from opentelemetry.context import Context
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context

from conversation.records import CallRecord, TurnRecord
from operating import spans
from operating.stage import KINDS
from settings import Settings
from version import viva_version

EXPORT_TIMEOUT_SECS = 5.0
"""Longest that one batch may take to be sent, its retries included."""

EXPORT_EVERY_SECS = 2.0
"""How often spans are sent."""

FLUSH_TIMEOUT_SECS = 3.0
"""Longest wait, at the end, for what has not been sent."""

MAX_SPANS = 4096
"""Spans that wait to be sent; past it the oldest are dropped."""

BATCH_SPANS = 512
"""Spans sent at once."""

MAX_CALLS = 1024
"""Open calls that are kept in mind; past it the one that began first is forgotten."""

MAX_TURNS = 256
"""Turns kept of each; later ones are left out."""

# It is said here, and once, that traces cannot be sent.
logging.getLogger("opentelemetry.exporter.otlp").setLevel(logging.CRITICAL)


class Traces:
    """Keeps calls as traces: a ``call``, under it each ``turn``, under that what stages did.

    A trace is made when its call has ended, for until then a turn may be recorded again. What
    cannot be sent is dropped; no call waits for it.

    Parameters:
        exporter: Who sends spans; called in a thread.
        where: Where to, for the log.
    """

    def __init__(self, exporter: SpanExporter, *, where: str = "the collector") -> None:
        self._calls: OrderedDict[str, dict[int, TurnRecord]] = OrderedDict()
        self._making: set[asyncio.Task[None]] = set()
        self._exporter = _Watched(exporter, where)
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(
                self._exporter,
                max_queue_size=MAX_SPANS,
                schedule_delay_millis=EXPORT_EVERY_SECS * 1000,
                max_export_batch_size=BATCH_SPANS,
            )
        )
        self._tracer = self._provider.get_tracer("viva")

    @classmethod
    def from_settings(
        cls, settings: Settings, *, export_timeout_secs: float = EXPORT_TIMEOUT_SECS
    ) -> "Traces | None":
        """Traces to ``OTEL_EXPORTER_OTLP_ENDPOINT``; ``None`` if that is empty.

        The exporter itself reads the environment's ``OTEL_EXPORTER_OTLP_HEADERS`` and certificates.

        Args:
            settings: The settings.
            export_timeout_secs: Longest that one batch may take to be sent, its retries included.
        """
        address = settings.otel_exporter_otlp_endpoint
        if not address:
            return None
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        endpoint = f"{address.rstrip('/')}/v1/traces"
        return cls(OTLPSpanExporter(endpoint, timeout=export_timeout_secs), where=endpoint)

    def begun(self, call: CallRecord) -> None:
        """A call has begun."""
        self._calls.setdefault(call.id, {})
        if len(self._calls) > MAX_CALLS:
            self._calls.popitem(last=False)

    def turn(self, record: TurnRecord) -> None:
        """A turn is over, or more is known of one that is."""
        turns = self._calls.get(record.call)
        if turns is not None and (len(turns) < MAX_TURNS or record.number in turns):
            turns[record.number] = record

    def ended(self, call: CallRecord) -> None:
        """A call has ended; its turns were all recorded before."""
        turns = self._calls.pop(call.id, None)
        if turns is not None:
            ordered = [turns[number] for number in sorted(turns) if number > 0]
            making = asyncio.get_running_loop().create_task(self._make(call, ordered))
            self._making.add(making)
            making.add_done_callback(self._making.discard)

    async def close(self, timeout_secs: float = FLUSH_TIMEOUT_SECS) -> bool:
        """Send what is left, and stop.

        Args:
            timeout_secs: Longest wait.

        Returns:
            Whether the exporter has been given everything in time; what it was not given is lost.
        """
        await asyncio.gather(*self._making, return_exceptions=True)
        # The SDK's own ways to stop and to flush wait as long as their exporter does.
        stopping = threading.Thread(target=self._provider.shutdown, daemon=True)
        stopping.start()
        await asyncio.to_thread(stopping.join, timeout_secs)
        if stopping.is_alive():
            logger.warning("the last traces were not sent within {:g} s", timeout_secs)
            self._exporter.shutdown()
        return not stopping.is_alive()

    async def _make(self, call: CallRecord, turns: Sequence[TurnRecord]) -> None:
        """Make a call's spans, a turn at a time: all at once would hold up the other calls."""
        root = self._tracer.start_span(
            "call",
            Context(),
            kind=SpanKind.SERVER,
            start_time=_nanoseconds(call.started_at),
            attributes=spans.of_call(call),
        )
        if call.why == "fault":
            _fail(root)
        for record in turns:
            self._turn(set_span_in_context(root, Context()), record)
            await asyncio.sleep(0)
        root.end(_nanoseconds(max(call.started_at, call.ended_at or 0.0)))

    def _turn(self, under: Context, record: TurnRecord) -> None:
        turn = self._tracer.start_span(
            "turn",
            under,
            start_time=_nanoseconds(record.at),
            attributes=spans.of_turn(record),
        )
        for failover in spans.of_failovers(record):
            turn.add_event("failover", failover, _nanoseconds(record.at))
        for work in spans.work(record):
            span = self._tracer.start_span(
                work.name,
                set_span_in_context(turn, Context()),
                kind=SpanKind.CLIENT if KINDS.get(work.vendor) == "cloud" else SpanKind.INTERNAL,
                start_time=_nanoseconds(work.start),
                attributes=work.attributes,
            )
            if work.failed:
                _fail(span)
            span.end(_nanoseconds(work.end))
        turn.end(_nanoseconds(spans.end_of(record)))


class _Watched(SpanExporter):
    """An exporter, of which it is said once when spans cannot be sent, and when they can again."""

    def __init__(self, exporter: SpanExporter, where: str) -> None:
        self._exporter = exporter
        self._where = where
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result, trouble = self._exporter.export(spans), ""
        except Exception as error:
            result, trouble = SpanExportResult.FAILURE, f": {type(error).__name__}: {error}"
        failing = result is not SpanExportResult.SUCCESS
        if failing and not self._failing:
            logger.warning("traces are lost, as {} does not take them{}", self._where, trouble)
        elif self._failing and not failing:
            logger.info("traces are taken by {} again", self._where)
        self._failing = failing
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


def _resource() -> Resource:
    """What the traces are of; ``OTEL_SERVICE_NAME`` and ``OTEL_RESOURCE_ATTRIBUTES`` have a say."""
    ours = {"service.name": "viva", "service.version": viva_version()}
    return Resource.create().merge(Resource(ours)).merge(OTELResourceDetector().detect())


def _fail(span: Span) -> None:
    span.set_status(Status(StatusCode.ERROR))


def _nanoseconds(secs: float) -> int:
    return round(secs * 1e9)
