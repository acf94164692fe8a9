"""Recognisers that are used as pipecat has them: what Viva asks of each.

They transcribe what voice activity delimits, and leave the end of the turn to the turn model.
None says so when speech held no words: turn taking waits for the transcript in vain.
"""

import logging
from collections.abc import Mapping
from typing import Any

# At DEBUG websockets writes keys and the caller's voice into the log.
logging.getLogger("websockets.client").setLevel(logging.INFO)

SAMPLE_RATE = 16_000

DELIMITED_BY_VAD: Mapping[str, Any] = {
    "sample_rate": SAMPLE_RATE,
    "audio_passthrough": False,
    "vad_force_turn_endpoint": True,
}
"""What each is made with, beside what is its own."""
