"""A recogniser for tests that hold calls with the same audio again and again."""

import asyncio
from collections.abc import Sequence

from processors.stt.whisper.engine import Transcript, WhisperEngine


class Remembering:
    """An engine that recognises the same audio once.

    It is free for a guess once a second of virtual time, as on a slow machine.

    Parameters:
        engine: What recognises it.
    """

    def __init__(self, engine: WhisperEngine) -> None:
        self._engine = engine
        self._guessed = 0.0
        self._heard: dict[tuple[bytes, bool], Transcript] = {}

    @property
    def spare(self) -> bool:
        return abs(asyncio.get_running_loop().time() - self._guessed) >= 1.0

    async def transcribe(
        self,
        pcm: bytes,
        *,
        hotwords: Sequence[str] = (),
        final: bool = True,
        beginning: Transcript | None = None,
    ) -> Transcript:
        if not final:
            self._guessed = asyncio.get_running_loop().time()
        key = (pcm, final)
        if key not in self._heard:
            heard = await self._engine.transcribe(pcm, hotwords=hotwords, final=final)
            self._heard[key] = heard
        return self._heard[key]
