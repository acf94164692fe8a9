"""pipecat's own recognisers: common settings, and an adapter that reports permanent errors.

They transcribe the speech that voice activity delimits, and leave the end of the turn to the turn
model. For speech without words they send no transcript, so turn taking waits until its timeout.
"""

import logging
import re
import socket
from collections.abc import Mapping
from typing import Any, cast

from pipecat.frames.frames import ErrorFrame
from pipecat.services.stt_service import STTService

from processors.stock_service import StockService

# At DEBUG, websockets logs keys and the caller's audio.
logging.getLogger("websockets.client").setLevel(logging.INFO)

SAMPLE_RATE = 16_000

DELIMITED_BY_VAD: Mapping[str, Any] = {
    "sample_rate": SAMPLE_RATE,
    "audio_passthrough": False,
    "vad_force_turn_endpoint": True,
}
"""Arguments common to all of these services."""

_UNREACHABLE = re.compile(
    r"connect(?:ion)?(?: call)? (?:refused|failed)|cannot connect to host"
    r"|name or service not known|getaddrinfo failed",
    re.IGNORECASE,
)


def stock_recogniser(service: type[STTService]) -> type[STTService]:
    """Derive from a pipecat recogniser a class that reports permanent errors as permanent.

    Its reserve takes over then. See :class:`processors.stock_service.StockService`.

    Args:
        service: The class of the pipecat service.
    """
    return cast("type[STTService]", type(service.__name__, (_StockRecogniser, service), {}))


class _StockRecogniser(StockService):
    """An unreachable vendor is a permanent error, too: pipecat's services connect only once."""

    def is_permanent(self, error: ErrorFrame) -> bool:
        """Whether an error is a refusal, or says that the vendor cannot be reached."""
        unreachable = isinstance(error.exception, (ConnectionRefusedError, socket.gaierror))
        return unreachable or bool(_UNREACHABLE.search(error.error)) or super().is_permanent(error)
