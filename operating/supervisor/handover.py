"""Connections and news that reach one worker, and whose call is at another."""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress

from aiohttp import web
from loguru import logger

from operating.supervisor.supervisor_client import WorkerContext

Received = Callable[[socket.socket, bytes], None]
"""Called with a connection and the request that has come on it."""

MAX_REQUEST_BYTES = 65_536
"""Longest request that is handed over; aiohttp refuses those with longer headers itself."""


class Handover:
    """Hands a connection over to another worker, with the request that has come on it.

    The other worker reads the request as if it had come there, and answers it. Where a request is
    answered here and concerns a call there, :meth:`tell` tells all other workers. Each worker has
    a datagram socket in the supervisor's directory, which is private to the user.

    Parameters:
        context: This worker's context.
    """

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._socket: socket.socket | None = None

    def listen(self, receive: Received, *, told: Callable[[str], object]) -> None:
        """Start to receive connections and news of other workers.

        Args:
            receive: Called with a connection and the request.
            told: Called with what another worker tells all.
        """
        path = self._context.handover_socket(self._context.number)
        path.unlink(missing_ok=True)  # left by the worker that this one replaces
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(str(path))
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._receive, receive, told)

    def close(self) -> None:
        """Stop receiving connections."""
        if self._socket is None:
            return
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._context.handover_socket(self._context.number).unlink(missing_ok=True)
        self._socket.close()
        self._socket = None

    def hand_over(self, request: web.Request, place: str) -> bool:
        """Hand a request's connection over, unless it belongs here.

        Args:
            request: A request without a body, to which nothing has been answered.
            place: Number of the worker that it is for.

        Returns:
            Whether it was: then the connection is no longer this process's to answer.
        """
        context = self._context
        if not place.isdecimal() or int(place) == context.number or request.transport is None:
            return False
        path = context.handover_socket(int(place))
        connection = request.transport.get_extra_info("socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.setblocking(False)
            try:
                channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MAX_REQUEST_BYTES)
                channel.connect(str(path))
                socket.send_fds(channel, [_head(request)], [connection.fileno()])
            except OSError as error:  # no such worker, it has died, or its queue is full
                logger.info("worker {} takes no connection: {}", place, error)
                return False
        request.transport.abort()  # closes this process's descriptor of it alone
        return True

    def tell(self, news: str) -> None:
        """Tell all other workers; one that has died or whose queue is full is left out."""
        context = self._context
        for number in set(range(context.workers)) - {context.number}:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.setblocking(False)
                try:
                    channel.connect(str(context.handover_socket(number)))
                    channel.send(news.encode())
                except OSError as error:
                    logger.info("worker {} was not told {!r}: {}", number, news, error)

    def _receive(self, receive: Received, told: Callable[[str], object]) -> None:
        assert self._socket is not None
        with suppress(BlockingIOError):
            head, descriptors, flags, _ = socket.recv_fds(self._socket, MAX_REQUEST_BYTES, 1)
            if not descriptors:
                told(head.decode(errors="replace"))
                return
            if flags & socket.MSG_TRUNC:
                for descriptor in descriptors:
                    os.close(descriptor)
                return
            for descriptor in descriptors:
                receive(socket.socket(fileno=descriptor), head)


def _head(request: web.Request) -> bytes:
    """The request as it came."""
    version = request.version
    line = f"{request.method} {request.raw_path} HTTP/{version.major}.{version.minor}"
    fields = [name + b": " + value for name, value in request.raw_headers]
    return b"\r\n".join([line.encode("utf-8", "surrogateescape"), *fields, b"", b""])
