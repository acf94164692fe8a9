"""What the embedded vendors do once, so that no call has to."""

import asyncio
from typing import Any

import pytest
from pipecat.frames.frames import TTSAudioRawFrame, TTSSpeakFrame
from pipecat.tests.utils import run_test

from knowledge.loading.document import load
from pipeline.vendors import Context, hibari
from processors.tts.normalisation import document_normaliser
from settings import Settings


async def test_the_greeting_is_synthesised_when_the_voice_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context = Context(Settings.load(), load())
    shares: list[float] = []
    engine: Any = await asyncio.to_thread(
        hibari.VENDOR.load, context, lambda _what, share: shares.append(share)
    )
    monkeypatch.setattr(engine, "_speak", lambda *_: pytest.fail("synthesised again"))
    said = document_normaliser(context.document)(context.document.persona.greeting).text
    async with asyncio.timeout(60):
        down, _ = await run_test(
            hibari.VENDOR.build(engine, context), frames_to_send=[TTSSpeakFrame(said)]
        )
    spoken = b"".join(frame.audio for frame in down if isinstance(frame, TTSAudioRawFrame))
    assert len(spoken) > 48_000, "more than a second"
    assert shares == sorted(shares)
    engine.close()
