"""Recognisers that are used as pipecat has them: what Viva asks of each.

Both transcribe what voice activity delimits, and leave the end of the turn to the turn model.
Neither says so when speech held no words: turn taking waits for the transcript in vain.
"""

import logging
from collections.abc import Sequence

from pipecat.services.assemblyai.stt import AssemblyAISTTService
from pipecat.services.soniox.stt import SonioxContextObject, SonioxSTTService
from pipecat.services.stt_service import STTService
from pipecat.transcriptions.language import Language

# At DEBUG websockets writes keys and the caller's voice into the log.
logging.getLogger("websockets.client").setLevel(logging.INFO)

SAMPLE_RATE = 16_000

ASSEMBLYAI_URL = "wss://streaming.assemblyai.com/v3/ws"
SONIOX_URL = "wss://stt-rt.soniox.com/transcribe-websocket"


def assemblyai(
    *, api_key: str, keyterms: Sequence[str] = (), url: str = ASSEMBLYAI_URL
) -> STTService:
    """AssemblyAI's streaming recogniser for one call.

    Args:
        api_key: Its key.
        keyterms: Names that may be said, the most useful first. It takes 100 of them, of up to 50
            characters each (https://assemblyai.com/docs/streaming/keyterms-prompting).
        url: Its address.
    """
    return AssemblyAISTTService(
        api_key=api_key,
        api_endpoint_base_url=url,
        sample_rate=SAMPLE_RATE,
        audio_passthrough=False,
        vad_force_turn_endpoint=True,
        settings=AssemblyAISTTService.Settings(
            model="universal-3-6-pro",
            language=Language.EN,
            language_codes=[Language.EN],
            keyterms_prompt=[term for term in keyterms if len(term) <= 50][:100] or None,
        ),
    )


def soniox(*, api_key: str, keyterms: Sequence[str] = (), url: str = SONIOX_URL) -> STTService:
    """Soniox's real-time recogniser for one call.

    Args:
        api_key: Its key.
        keyterms: Names that may be said, the most useful first; 200 of them are sent, far within
            the 8,000 tokens that it takes (https://soniox.com/docs/stt/concepts/context).
        url: Its address.
    """
    return SonioxSTTService(
        api_key=api_key,
        url=url,
        sample_rate=SAMPLE_RATE,
        audio_passthrough=False,
        vad_force_turn_endpoint=True,
        settings=SonioxSTTService.Settings(
            model="stt-rt-v5",
            language_hints=[Language.EN],
            context=SonioxContextObject(terms=list(keyterms[:200])) if keyterms else None,
        ),
    )
