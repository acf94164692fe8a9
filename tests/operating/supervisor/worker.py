"""A worker that serves pages and no calls.

Its supervisor runs ``python -m tests.operating.supervisor.worker``.
``/`` says who answers; ``/hold`` keeps a socket open and counts as a call; ``/metrics`` is Viva's.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable

from aiohttp import web

from operating.stop import Stop
from operating.supervisor.supervisor_client import SupervisorClient, WorkerContext


async def measure(
    app: web.Application, runner: web.AppRunner, context: WorkerContext, calls: Callable[[], int]
) -> None:
    """Tell ``/metrics``, those of the others too."""
    from prometheus_client import CollectorRegistry, Gauge

    from operating.exposition import Exposition
    from operating.supervisor.peer_metrics import PeerMetrics

    registry = CollectorRegistry()
    Gauge("viva_calls_open", "Open.", registry=registry).set_function(calls)
    peers = PeerMetrics(context)
    Exposition(registry, peers=peers).setup(app)
    await runner.setup()
    await peers.listen(runner)


async def main(options: argparse.Namespace, context: WorkerContext) -> None:
    supervisor = SupervisorClient(context)
    holding: set[web.WebSocketResponse] = set()
    stop = Stop()
    stop.install_handlers()

    async def who(_request: web.Request) -> web.Response:
        return web.json_response({"number": context.number, "pid": os.getpid()})

    async def hold(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        holding.add(socket)
        await socket.send_json({"number": context.number, "pid": os.getpid()})
        async for _ in socket:
            pass
        holding.discard(socket)
        return socket

    app = web.Application(middlewares=[supervisor.note_request])
    app.router.add_get("/", who)
    app.router.add_get("/hold", hold)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    if options.metrics:
        await measure(app, runner, context, lambda: len(holding))
    else:
        await runner.setup()
    assert runner.server is not None
    supervisor.receive_connections(
        runner.server,
        state=lambda: {
            "calls": len(holding),
            "taking": len(holding) < options.most,
            "loaded": not options.unloadable,
        },
        gone=lambda: stop.request(patient=False),
    )
    supervisor.send_status(up=True, title="a test", link="http://sign-in" if context.first else "")
    supervisor.send_status(loading=("ears", 0.5))
    if options.unloadable:
        supervisor.send_status(failed=True)
    await stop.asked.wait()
    if options.stubborn:
        await asyncio.Event().wait()
    while stop.patient and holding and not stop.now.is_set():
        await asyncio.sleep(0.02)
    await supervisor.close()
    await runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--most", type=int, default=100)
    parser.add_argument("--metrics", action="store_true")
    parser.add_argument("--stubborn", action="store_true")
    parser.add_argument("--unloadable", action="store_true")
    parser.add_argument("--refuse", action="store_true")
    given = parser.parse_args()
    told = WorkerContext.of_this_process()
    assert told is not None
    if given.refuse:
        sys.exit(2)
    asyncio.run(main(given, told))
