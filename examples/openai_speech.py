"""A service of pipecat's as a vendor: a voice behind OpenAI's ``/audio/speech``.

``SPEECH_URL`` in the environment says where it is, ``SPEECH_KEY`` what it asks for.
"""

import os
from typing import Any

from pipecat.services.openai.tts import OpenAITTSService

from pipeline.vendors.vendor import Context, Vendor
from processors.tts.speech_queue import SpeechQueue
from settings import Settings

MODEL = "gpt-4o-mini-tts"
SAMPLE_RATE = 24_000


class OpenAISpeech(SpeechQueue, OpenAITTSService):
    """pipecat's service with Viva's queue in front.

    The queue is what a vendor's own class inherits, first: words that an interruption has overtaken
    are not spoken, and another voice can take over what was not.
    """


def _missing(_: Settings) -> str:
    return "" if os.environ.get("SPEECH_URL") else "not set: SPEECH_URL"


def _build(_engine: Any, _context: Context) -> OpenAISpeech:
    return OpenAISpeech(
        api_key=os.environ.get("SPEECH_KEY", "none"),
        base_url=os.environ["SPEECH_URL"],
        sample_rate=SAMPLE_RATE,
        settings=OpenAITTSService.Settings(model=MODEL, voice="alloy"),
    )


VENDOR = Vendor(
    stage="tts",
    name="speech",
    label="Speech endpoint",
    kind="cloud",
    detail="a voice behind an endpoint that speaks OpenAI's audio API",
    missing=_missing,
    load=lambda _context, _progress: None,
    build=_build,
    automatic=False,
    checked="construction",
    model=MODEL,
)
