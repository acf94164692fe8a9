"""A simulator's address on loopback."""

from typing import Any

from aiohttp import web


class Listener:
    """Serves an application from :meth:`start` to :meth:`stop`.

    Args:
        options: Of aiohttp's ``AppRunner``, such as ``shutdown_timeout`` in seconds.
    """

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._runner: web.AppRunner | None = None

    async def start(self, app: web.Application, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen, on a free port if it is 0; returns ``host:port``."""
        self._runner = web.AppRunner(app, **self._options)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        host, port = self._runner.addresses[0][:2]
        return f"{host}:{port}"

    @property
    def open_connections(self) -> int:
        """How many clients are connected."""
        server = self._runner.server if self._runner is not None else None
        return len(server.connections) if server is not None else 0

    async def stop(self) -> None:
        """Stop, if it has been started."""
        if self._runner is not None:
            await self._runner.cleanup()
