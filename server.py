"""The aiohttp application: wires the layers together, and does nothing else."""

import telemetry  # noqa: F401 - before any library with telemetry  # isort: skip

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any

from aiohttp import web
from loguru import logger

from accounts import headers
from accounts.access import is_mailable
from accounts.accounts import Accounts, check_settings
from accounts.admission import AdmissionDesk
from accounts.feedback import Feedback
from accounts.mail.mailer import Mailer
from accounts.mail.outbox import Outbox
from accounts.network import limited_network, root_path
from accounts.report.reports import Reports
from accounts.visitors import embedding_origins
from conversation.records import CallListener, in_micros
from knowledge.loading.document import Document
from ledger.money.budget import Budget
from ledger.money.prices import Prices, check_prices
from ledger.money.spend_settlement import SpendSettlement
from ledger.money.worst_case import (
    call_budget,
    cap_warnings,
    check_prompt,
    compute_worst_case,
    worst_case,
)
from ledger.retention import Retention
from ledger.store.database import Database
from ledger.store.writer import LedgerWriter
from models.allocation import exempt_from_collection
from operating.breaker import Breaker, Cause
from operating.call_log import CallLog
from operating.capacity import Capacity
from operating.connections import KEEP_ALIVE_SECS, Connections, GuardedSite, allowed_connections
from operating.exposition import Exposition
from operating.gauges import Gauges
from operating.health import Health
from operating.lag import EventLoopLag
from operating.metrics import Metrics
from operating.stop import Stop
from operating.supervisor.handover import Handover
from operating.supervisor.peer_metrics import PeerMetrics
from operating.supervisor.supervisor_client import SupervisorClient
from operating.traces import Traces
from pipeline.call import Call
from pipeline.choice import Choice
from pipeline.data_dir import check_room, make_private
from pipeline.engines import Engines
from pipeline.escalations import Escalations
from pipeline.loading import Loading
from pipeline.vendors import Progress, Stage
from processors.brain.tools import check_section_ids, registered
from processors.daemon import in_thread
from processors.pool import Pool
from recording.writer import RecordingWriter
from settings import Settings
from transports.connection_check import ConnectionCheck
from transports.front_page import FrontPage
from transports.switchboard import Switchboard

SWEEP_SECS = 3600.0
"""How often the retention sweep runs."""

_ADDRESS_LEFT, _ADDRESS_REMOVED = "address-left", "address-removed"
_NEWS = {_ADDRESS_LEFT: Call.address_left, _ADDRESS_REMOVED: Call.address_removed}
"""What is told of a call, ahead of its id, and what the call does."""


class Server:
    """One process: its engines, open calls, records and pages.

    Opening the database blocks. Construction fails if every call would fail.

    Parameters:
        settings: The settings.
        document: The document that answers come from.
        choices: The vendor of each stage.
        engines: Loaded engines; ``None`` to load them once the server listens.
        progress: Called with the progress of loading the models.
        tell: Called with messages for the operator, such as a sign-in link.
        supervisor: The supervisor, if this process is one of several workers.

    Raises:
        SettingsError: Settings do not go together.
        DatabaseError: The database cannot be used.
        PriceError: There is a cap, and a vendor has no price.
        DeclarationError: A tool's file cannot be used, or a section has the tool's id.
    """

    def __init__(
        self,
        settings: Settings,
        document: Document,
        choices: Mapping[Stage, Choice],
        *,
        engines: Engines | None = None,
        progress: Progress = lambda _label, _share: None,
        tell: Callable[[str], None] = lambda _text: None,
        supervisor: SupervisorClient | None = None,
    ) -> None:
        check_settings(settings)
        check_section_ids(registered(), document)
        prices = Prices.for_settings(settings)
        check_prices(prices, choices, settings)
        self.settings = settings
        self._choices = choices
        for choice in choices.values():
            for sentence in (*choice.refused, *choice.unreached):
                logger.warning(sentence)
        self._database = database = Database.open(settings)
        for sentence in make_private(settings.data_dir):
            logger.warning(sentence)
        for sentence in document.skipped:
            logger.warning(sentence)
        if document.ignored:
            fields = ", ".join(document.ignored)
            logger.info("{}: front matter of other tools, ignored: {}", document.name, fields)
        check_prompt(settings, document, choices, prices)
        worst = compute_worst_case(settings, document, choices, prices)
        for warning in cap_warnings(settings, worst):
            logger.warning(warning)
        day_cap = in_micros(settings.daily_spend_cap_usd)

        async def load(progress: Progress) -> Engines:
            loaded = engines or await Engines.load(settings, document, choices, progress)
            if engines is None:
                await in_thread(exempt_from_collection)
            self._lag.reset()
            for pool in loaded.pools:
                pool.reset_waits()
            self._capacity.start()
            return loaded

        self.loading = Loading(load, progress=progress, closes=engines is None)
        self._budget = Budget(
            database,
            worst=worst_case(settings, worst),
            cap=day_cap,
            calls_per_caller=settings.calls_per_caller_per_day,
            open_per_caller=0 if settings.auth == "off" else settings.open_calls_per_caller,
        )
        self._settlement = SpendSettlement(self._budget, lost=self._end)
        self._writer = LedgerWriter(database, spool=settings.data_dir / "spool")
        self._outbox = Outbox(database, Mailer.from_settings(settings))
        self.accounts = Accounts(database, settings, self._outbox.enqueue, tell=tell)
        self._reports = Reports(
            database,
            self._outbox,
            settings,
            sections={section.id: section.title for section in document.sections},
        )
        self._retention = Retention(database, settings)
        self._metrics = Metrics(
            {stage: [vendor.name for vendor in choice.vendors] for stage, choice in choices.items()}
        )
        self._traces = Traces.from_settings(settings)
        self._lag = EventLoopLag()
        self._capacity = Capacity(self._lag, max_lag_secs=settings.max_lag_secs, pools=self._pools)
        self.connections = Connections(
            most=allowed_connections(),
            most_of_network=settings.connections_per_network,
            network_of=lambda address: limited_network(address, settings),
        )
        self._breaker = Breaker()
        self.stop_now = asyncio.Event()
        self.supervisor = supervisor
        self.peers = PeerMetrics(supervisor.context) if supervisor else None
        self.handover = Handover(supervisor.context) if supervisor else None
        listeners: list[CallListener] = [
            self._writer,
            self._settlement,
            self._reports,
            self._metrics,
            self._breaker,
        ]
        if self._traces is not None:
            listeners.append(self._traces)
        desk = AdmissionDesk(
            settings,
            caller=self.accounts.identify,
            returning=self.accounts.returning,
            budget=self._budget,
            settlement=self._settlement,
            money=call_budget(settings, worst),
            day_cap=day_cap,
            tariff=prices,
            listeners=listeners,
        )
        self._recordings = RecordingWriter()
        escalations = Escalations(settings.data_dir / "escalations.jsonl")
        self._switchboard = Switchboard(
            settings,
            self.loading,
            desk,
            escalations,
            refused=self._metrics.refused,
            room=lambda: self._capacity.room,
            broken=lambda: self._breaker.refuses,
            recordings=self._recordings,
            place=str(supervisor.context.number) if supervisor else "0",
            hand_over=self.handover.hand_over if self.handover else None,
        )
        self._front_page = FrontPage(
            settings,
            document,
            choices,
            caller=self.accounts.identify,
            loaded=lambda: self.loading.done,
            mailable=is_mailable,
            embedding=embedding_origins(settings),
            visitor_pass=self.accounts.visitors.issue,
        )

    @property
    def calls(self) -> set[Call]:
        """The open calls."""
        return self._switchboard.calls

    @property
    def state(self) -> dict[str, Any]:
        """Open calls, whether another would be accepted, and whether the models are loaded."""
        switchboard = self._switchboard
        return {
            "calls": switchboard.lines,
            "taking": not (switchboard.draining or switchboard.full),
            "loaded": self.loading.done,
        }

    def app(self) -> web.Application:
        """The application; it loads its engines once it has started."""
        app = web.Application()
        if self.supervisor is not None:
            app.middlewares.append(self.supervisor.note_request)
        app.middlewares.append(self.connections.note_request)
        headers.setup(app, self.settings)
        self._front_page.setup(app)
        ConnectionCheck(caller=self.accounts.identify).setup(app)
        self._switchboard.setup(app)
        self.accounts.setup(app)
        Feedback(
            self._database,
            self.settings,
            caller=self.accounts.identify,
            address_left=self._address_left,
            address_removed=self._address_removed,
        ).setup(app)
        CallLog(
            self._database,
            caller=self.accounts.identify,
            recordings=self.settings.data_dir / "recordings",
            root=lambda request: root_path(request, self.settings),
        ).setup(app)
        Health(
            calls=lambda: len(self.calls),
            loaded=lambda: self.loading.done,
            draining=lambda: self._switchboard.draining,
            database=self._check_records,
            overload=lambda: self._capacity.trouble,
            vendors=lambda: self._breaker.trouble,
        ).setup(app)
        gauges = Gauges(
            self._metrics.registry,
            lag=self._lag,
            pools=self._pools,
            taking=lambda: self.state["taking"],
            loaded=lambda: self.loading.done,
            vendors=self._vendors,
            money=self._budget.today,
            queues={"ledger": lambda: self._writer.waiting, "outbox": self._outbox.waiting},
        )
        Exposition(
            self._metrics.registry,
            gauges,
            token=self.settings.metrics_token,
            peers=self.peers,
        ).setup(app)
        app.on_shutdown.append(self._drain)
        app.cleanup_ctx.append(self._live)
        return app

    async def _live(self, _app: web.Application) -> AsyncIterator[None]:
        self.loading.start()
        self._lag.start()
        self._writer.start()
        self._settlement.start()
        self._outbox.start()
        self._reports.start()
        sweeping = asyncio.create_task(self._sweep())
        yield
        sweeping.cancel()
        self._capacity.close()
        self._lag.close()
        await self.loading.close()
        await self._recordings.close()
        await self._writer.close()
        await self._settlement.close()
        await self._reports.close()
        await self._outbox.close()
        if self._traces is not None:
            await self._traces.close()
        await asyncio.to_thread(self._database.close)

    async def let_finish(self) -> None:
        """Accept no more calls, and wait for the open ones to end by themselves."""
        logger.info("draining: {} calls are open", len(self.calls))
        await self._switchboard.let_finish()

    async def _drain(self, _app: web.Application) -> None:
        await self._switchboard.drain(self.settings.shutdown_secs, self.stop_now)

    async def _sweep(self) -> None:
        while True:
            await asyncio.to_thread(self._retention.sweep)
            await asyncio.sleep(SWEEP_SECS)

    def _check_records(self) -> None:
        """Raise if a call could not be recorded. Blocks."""
        check_room(self.settings.data_dir)
        self._database.ping()

    def _vendors(self) -> dict[Cause, bool]:
        """Whether each vendor fails all calls, by stage and name."""
        failing = self._breaker.failing
        chosen = [
            (stage, vendor.name)
            for stage, choice in self._choices.items()
            for vendor in choice.vendors
        ]
        return {cause: cause == failing for cause in chosen}

    def _pools(self) -> tuple[Pool, ...]:
        """The engines' thread pools, once loaded."""
        engines = self.loading.engines
        return engines.pools if engines is not None else ()

    async def _address_left(self, id: str) -> None:
        """Let the voice of an open call promise an answer; report one that is over once more."""
        self._tell_call(f"{_ADDRESS_LEFT} {id}")
        await self._reports.address_left(id)

    def _address_removed(self, id: str) -> None:
        """Let the voice of an open call promise no more answer."""
        self._tell_call(f"{_ADDRESS_REMOVED} {id}")

    def _tell_call(self, news: str) -> None:
        """Tell a call, which may be another worker's, what its caller has done beside it."""
        if not self.take_news(news) and self.handover is not None:
            self.handover.tell(news)

    def take_news(self, news: str) -> bool:
        """Act on news of a call; return whether it is one of this process."""
        what, _, id = news.partition(" ")
        for call in self.calls:
            if call.id == id and what in _NEWS:
                _NEWS[what](call)
                return True
        return False

    def _end(self, lost: str) -> None:
        """End a call whose budget reservation has expired."""
        for call in self.calls:
            if call.id == lost:
                call.end("call_budget")


async def serve(server: Server, *, listening: Callable[[str, str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    After SIGTERM, open calls have ``DRAIN_SECS`` to end by themselves. Then, or on SIGINT, they are
    ended with a farewell within ``SHUTDOWN_SECS``. A second signal ends everything at once.

    Args:
        server: The server.
        listening: Called with the address to open once the server listens, and with a sign-in
            link for this machine; empty if there is none.

    Raises:
        OSError: The address is not available.
        LoadingError: A vendor or model cannot be loaded, so every call would fail.
    """
    runner = web.AppRunner(
        server.app(),
        access_log=None,
        shutdown_timeout=1.0,
        keepalive_timeout=KEEP_ALIVE_SECS,
    )
    stop = Stop()
    stop.install_handlers()
    server.stop_now = stop.now
    await runner.setup()
    try:
        address, link = await _open(server, runner, stop)
        listening(address, link)
        await _first_of(stop.asked.wait(), server.loading.failed.wait())
        if server.loading.failure is not None and not stop.asked.is_set():
            raise server.loading.failure
        if stop.patient:
            # Until the calls have ended, time runs out or a faster stop is requested.
            drain_secs = server.settings.drain_secs
            await _first_of(server.let_finish(), stop.now.wait(), timeout_secs=drain_secs)
    finally:
        if server.supervisor is not None:
            await server.supervisor.close()
        if server.handover is not None:
            server.handover.close()
        await runner.cleanup()


async def _open(server: Server, runner: web.AppRunner, stop: Stop) -> tuple[str, str]:
    """Start accepting connections; returns the address and a sign-in link."""
    settings, supervisor = server.settings, server.supervisor
    if supervisor is None:
        await GuardedSite(runner, settings.host, settings.port, server.connections).start()
        host, port = runner.addresses[0][:2]
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        return address, await server.accounts.welcome_link(address) or ""
    assert server.peers is not None
    assert runner.server is not None
    await server.peers.listen(runner)
    address, link = supervisor.context.address, ""
    if supervisor.context.first:
        link = await server.accounts.welcome_link(address) or ""
    supervisor.receive_connections(
        runner.server,
        state=lambda: server.state,
        gone=lambda: stop.request(patient=False),
        guard=server.connections.guard,
    )
    assert server.handover is not None
    web_server, guard = runner.server, server.connections.guard
    server.handover.listen(
        lambda connection, request: supervisor.open(guard(web_server()), connection, request),
        told=server.take_news,
    )
    return address, link


async def _first_of(*waits: Coroutine[Any, Any, object], timeout_secs: float | None = None) -> None:
    """Wait until one of them ends, and cancel the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, timeout=timeout_secs, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
