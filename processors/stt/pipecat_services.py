"""Recognisers that are used as pipecat has them: what Viva asks of each, and adds to it.

They transcribe what voice activity delimits, and leave the end of the turn to the turn model.
None says so when speech held no words: turn taking waits for the transcript in vain.
"""

import logging
import re
import socket
from collections.abc import Mapping
from typing import Any, cast

from pipecat.frames.frames import ErrorFrame
from pipecat.services.stt_service import STTService

from processors.stock_service import StockService

# At DEBUG websockets writes keys and the caller's voice into the log.
logging.getLogger("websockets.client").setLevel(logging.INFO)

SAMPLE_RATE = 16_000

DELIMITED_BY_VAD: Mapping[str, Any] = {
    "sample_rate": SAMPLE_RATE,
    "audio_passthrough": False,
    "vad_force_turn_endpoint": True,
}
"""What each is made with, beside what is its own."""

_UNREACHABLE = re.compile(
    r"connect(?:ion)?(?: call)? (?:refused|failed)|cannot connect to host"
    r"|name or service not known|getaddrinfo failed",
    re.IGNORECASE,
)


def stock_recogniser(service: type[STTService]) -> type[STTService]:
    """A service of pipecat's that gives up what will not pass, so that a reserve takes over.

    Args:
        service: Its class.
    """
    return cast("type[STTService]", type(service.__name__, (_StockRecogniser, service), {}))


class _StockRecogniser(StockService):
    """A recogniser has lasting errors of one kind more: a vendor that cannot be reached.

    pipecat's services do not try again when their first connection fails.
    """

    def will_last(self, error: ErrorFrame) -> bool:
        """Whether an error will not pass."""
        unreachable = isinstance(error.exception, (ConnectionRefusedError, socket.gaierror))
        return unreachable or bool(_UNREACHABLE.search(error.error)) or super().will_last(error)
