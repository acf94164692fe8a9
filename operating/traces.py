"""Exports calls as OpenTelemetry traces, one per call, in a background thread."""

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
"""Time limit for sending one batch, retries included."""

EXPORT_EVERY_SECS = 2.0
"""How often batches are sent."""

FLUSH_TIMEOUT_SECS = 3.0
"""Longest wait at shutdown for pending spans."""

MAX_SPANS = 4096
"""Limit on pending spans; beyond it the oldest are dropped."""

BATCH_SPANS = 512
"""Batch size."""

MAX_CALLS = 1024
"""Limit on open calls tracked; beyond it the oldest is dropped."""

MAX_TURNS = 256
"""Limit on turns tracked per call; later ones are left out."""

# Export failures are logged here, once.
logging.getLogger("opentelemetry.exporter.otlp").setLevel(logging.CRITICAL)


class Traces:
    """Exports calls as traces: a ``call`` span, its ``turn`` spans, and below them the stages.

    A trace is written when its call has ended, since turns may be updated until then. Spans that
    cannot be sent are dropped; no call waits for the exporter.

    Parameters:
        exporter: Sends spans; called in a thread.
        where: Its destination, for the log.
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
        """Traces to ``OTEL_EXPORTER_OTLP_ENDPOINT``; ``None`` if unset.

        The exporter reads ``OTEL_EXPORTER_OTLP_HEADERS`` and certificates from the environment.

        Args:
            settings: The settings.
            export_timeout_secs: Time limit for sending one batch, retries included.
        """
        address = settings.otel_exporter_otlp_endpoint
        if not address:
            return None
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        endpoint = f"{address.rstrip('/')}/v1/traces"
        return cls(OTLPSpanExporter(endpoint, timeout=export_timeout_secs), where=endpoint)

    def begun(self, call: CallRecord) -> None:
        """Track a call that begins."""
        self._calls.setdefault(call.id, {})
        if len(self._calls) > MAX_CALLS:
            self._calls.popitem(last=False)

    def turn(self, record: TurnRecord) -> None:
        """Track a turn, or an update of one."""
        turns = self._calls.get(record.call)
        if turns is not None and (len(turns) < MAX_TURNS or record.number in turns):
            turns[record.number] = record

    def ended(self, call: CallRecord) -> None:
        """Export a call that has ended; all its turns were recorded before."""
        turns = self._calls.pop(call.id, None)
        if turns is not None:
            ordered = [turns[number] for number in sorted(turns) if number > 0]
            making = asyncio.get_running_loop().create_task(self._make(call, ordered))
            self._making.add(making)
            making.add_done_callback(self._making.discard)

    async def close(self, timeout_secs: float = FLUSH_TIMEOUT_SECS) -> bool:
        """Flush pending spans, and stop.

        Args:
            timeout_secs: Time limit.

        Returns:
            Whether the exporter received everything in time; the rest is lost.
        """
        await asyncio.gather(*self._making, return_exceptions=True)
        # The SDK's own shutdown and flush wait for as long as the exporter does.
        stopping = threading.Thread(target=self._provider.shutdown, daemon=True)
        stopping.start()
        await asyncio.to_thread(stopping.join, timeout_secs)
        if stopping.is_alive():
            logger.warning("could not export the last traces within {:g} s", timeout_secs)
            self._exporter.shutdown()
        return not stopping.is_alive()

    async def _make(self, call: CallRecord, turns: Sequence[TurnRecord]) -> None:
        """Create a call's spans one turn at a time, so as not to hold up other calls."""
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
        for work in spans.stage_work(record):
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
        turn.end(_nanoseconds(spans.end_time(record)))


class _Watched(SpanExporter):
    """Wraps an exporter, and logs once when exporting starts to fail and when it works again."""

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
            logger.warning("trace export to {} is failing, dropping traces{}", self._where, trouble)
        elif self._failing and not failing:
            logger.info("trace export to {} is working again", self._where)
        self._failing = failing
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


def _resource() -> Resource:
    """The resource; ``OTEL_SERVICE_NAME`` and ``OTEL_RESOURCE_ATTRIBUTES`` take precedence."""
    ours = {"service.name": "viva", "service.version": viva_version()}
    return Resource.create().merge(Resource(ours)).merge(OTELResourceDetector().detect())


def _fail(span: Span) -> None:
    span.set_status(Status(StatusCode.ERROR))


def _nanoseconds(secs: float) -> int:
    return round(secs * 1e9)
