"""The connection to ElevenLabs' multi-context WebSocket: kept alive, and renewed when it drops."""

import asyncio
import json
import logging
from typing import Any
from urllib.parse import urlencode

from loguru import logger
from pipecat.frames.frames import ErrorFrame
from pipecat.services.elevenlabs.tts import ElevenLabsTTSService
from pipecat.services.websocket_service import WebsocketService
from pipecat.utils.errors import ErrorCategory
from websockets.exceptions import ConnectionClosed, InvalidStatus

from processors.tts.elevenlabs.errors import PASSING_STATUSES, refusal_of

MAX_MESSAGE_BYTES = 16 * 1024 * 1024

# websockets' own logger writes all headers, including the key, and all audio.
_SILENT = logging.getLogger("viva.elevenlabs.wire")
_SILENT.setLevel(logging.WARNING)
_SILENT.propagate = False
_SILENT.addHandler(logging.NullHandler())


class ElevenLabsConnection(ElevenLabsTTSService):
    """pipecat's service, with a connection that reconnects at once and preserves contexts.

    pipecat's own waits four seconds between attempts, ends all contexts when the connection drops,
    and lets websockets log the key.

    Args:
        url: The vendor's address: ``wss://``, ``ws://``, ``https://`` or ``http://``.
        connect_timeout_secs: Timeout of the handshake.
        close_timeout_secs: Timeout of the closing handshake.
        reconnect_wait_secs: Delay between attempts to reconnect; the first is immediate.
        keepalive_secs: Interval of keepalive messages.
        inactivity_timeout_secs: When the vendor closes a context without messages, 1 to 180.

    Raises:
        ValueError: An argument is invalid; the message names it.
    """

    CONNECTION_NAME = "ElevenLabs"
    _receive_task: asyncio.Task[None] | None  # type: ignore[assignment]

    def __init__(
        self,
        *,
        url: str,
        connect_timeout_secs: float,
        close_timeout_secs: float,
        reconnect_wait_secs: float,
        keepalive_secs: float,
        inactivity_timeout_secs: int,
        **kwargs: Any,
    ) -> None:
        if not 1 <= inactivity_timeout_secs <= 180:
            raise ValueError(
                f"inactivity_timeout_secs is {inactivity_timeout_secs}; it must be 1 to 180"
            )
        if not 0 < keepalive_secs < inactivity_timeout_secs:
            raise ValueError(
                f"keepalive_secs is {keepalive_secs}; it must be above 0 and under "
                f"inactivity_timeout_secs ({inactivity_timeout_secs})"
            )
        if not url.startswith(("ws://", "wss://", "http://", "https://")):
            raise ValueError(f"url is {url!r}; it must begin with wss://, ws:// or http")
        wire = url.replace("http", "ws", 1) if url.startswith("http") else url
        super().__init__(url=wire.rstrip("/"), **kwargs)
        self._reconnect_backoff_min_wait = self._reconnect_backoff_max_wait = reconnect_wait_secs
        self._connect_timeout_secs = connect_timeout_secs
        self._close_timeout_secs = close_timeout_secs
        self._keepalive_secs = keepalive_secs
        self._inactivity_timeout_secs = inactivity_timeout_secs

    async def resume(self) -> None:
        """Send on a new connection what the lost one had not finished."""
        raise NotImplementedError

    def _classify_error(self, exception: Exception) -> ErrorCategory | None:
        if isinstance(exception, InvalidStatus):
            return refusal_of(exception.response.body).category
        return None

    async def _report_error(
        self, error: ErrorFrame, force_treat_as_permanent: bool = False
    ) -> None:
        refused = False
        if isinstance(error.exception, InvalidStatus):
            status = error.exception.response.status_code
            lasting = 400 <= status < 500 and status not in PASSING_STATUSES
            refused = lasting or self._classify_error(error.exception) is not None
        await super()._report_error(error, force_treat_as_permanent or refused)

    def _build_websocket_url(self) -> str:
        url = super()._build_websocket_url()
        more = {"inactivity_timeout": self._inactivity_timeout_secs, "sync_alignment": "true"}
        return f"{url}&{urlencode(more)}"

    async def _connect(self) -> None:
        await WebsocketService._connect(self)
        try:
            await self._connect_websocket()
        except Exception as error:
            await self._report_error(ErrorFrame(f"ElevenLabs: {error}", exception=error))
        if self.is_usable:
            if self._receive_task is None or self._receive_task.done():
                receive = self._receive_task_handler(self._report_error)
                self._receive_task = self.create_task(receive, name="receive")
            self._create_keepalive_task(self._keepalive_secs)

    async def _connect_websocket(self) -> None:
        self._websocket = None
        self._websocket = await self._websocket_connect(
            self._build_websocket_url(),
            max_size=MAX_MESSAGE_BYTES,
            open_timeout=self._connect_timeout_secs,
            close_timeout=self._close_timeout_secs,
            additional_headers={"xi-api-key": self._api_key},
            logger=_SILENT,
        )
        await self._call_event_handler("on_connected")

    async def _reconnect_websocket(self, attempt_number: int) -> bool:
        if self._websocket is not None:
            self._websocket.transport.abort()
        await self._connect_websocket()
        await self.resume()
        return True

    async def _disconnect_websocket(self) -> None:
        websocket, self._websocket = self._websocket, None
        if websocket is None:
            return
        try:
            async with asyncio.timeout(self._close_timeout_secs):
                await websocket.send(json.dumps({"close_socket": True}))
                await websocket.wait_closed()
        except (ConnectionClosed, TimeoutError):
            logger.debug(f"{self}: ElevenLabs did not close the connection itself")
        await websocket.close()
        await self._call_event_handler("on_disconnected")
