"""``viva simulate``: all simulators at once, to try the cloud path without an API key.

Deepgram's simulator uses the embedded recogniser and turn model, Anthropic's and OpenAI's the
embedded brain, and ElevenLabs' the embedded voice. Their latencies are the vendors' published
medians.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack

from knowledge.loading.document import Document
from processors.brain.contract import (
    ArgumentsDelta,
    Brain,
    BrainEvent,
    Question,
    ToolStart,
    events_of,
)
from processors.brain.extractive import ExtractiveBrain
from processors.stt.whisper.engine import WhisperEngine
from processors.tts.hibari.engine import HibariEngine
from processors.vad.smart_turn import SmartTurnEngine
from simulators import deepgram as deepgram_api
from simulators.anthropic import AnthropicSimulator
from simulators.deepgram import DeepgramSimulator, Utterance
from simulators.elevenlabs import ElevenLabsSimulator
from simulators.lying import LyingBrain
from simulators.model import Latency, Model
from simulators.openai import OpenAISimulator

KEY = "simulated-key"

STT_SECS = 0.047
"""From the audio, or a ``Finalize``, to Nova's words.

Published: a median of 247 ms from the end of speech to the last final words, with a ``Finalize``
200 ms after that end (https://github.com/pipecat-ai/stt-benchmark, docs/measuring-ttfs.md). The
words of an endpoint are assumed to take as long.
"""

FLUX_SECS = 0.04
"""With the silence that Flux needs: some 260 ms from the end of speech to the end of the turn.

Published: a median of about 260 ms (https://developers.deepgram.com/docs/flux/nova-3-migration).
"""

FIRST_TOKEN_SECS = 0.64
"""The published median of ``claude-haiku-4-5`` in conversations of 30 turns with tools.

637 ms (https://github.com/kwindla/aiewf-eval, table of August 2026). Others: 597 ms
(https://www.kunalganglani.com/blog/llm-api-latency-benchmarks-2026), and 480 ms by Artificial
Analysis, as https://shadabchow.com/blogs/ai-models/claude-4-5-haiku-reasoning quotes it. None was
found for ``claude-haiku-5-5``.
"""

TOKENS_PER_SEC = 110.0
"""Between the published 97 and 112 of ``claude-haiku-4-5``.

https://lmspeed.net/compare/model/claude-haiku-4-5-vs-claude-sonnet-4-6 and the same page against
``claude-sonnet-4``. None was found for ``claude-haiku-5-5``.
"""

FIRST_AUDIO_SECS = 0.09
"""75 ms of inference and the network (https://elevenlabs.io/docs/api-reference/reducing-latency)."""

LEADING_SILENCE_SECS = 0.15


class _AsPrompted:
    """A brain that leaves an escalation's message empty, as the prompt asks of a model."""

    def __init__(self, brain: Brain) -> None:
        self._brain = brain

    @property
    def name(self) -> str:
        """The brain's."""
        return self._brain.name

    async def decide(self, question: Question) -> AsyncIterator[BrainEvent]:
        """Stream what the brain decides."""
        escalates, arguments = False, ""
        async for event in events_of(self._brain, question):
            if isinstance(event, ArgumentsDelta) and escalates:
                arguments += event.json
                continue
            escalates = escalates or (isinstance(event, ToolStart) and event.name == "escalate")
            yield event
        if escalates:
            yield ArgumentsDelta(json.dumps({**json.loads(arguments), "message": ""}))


class Simulators:
    """All simulators on loopback, sharing one set of embedded engines.

    Parameters:
        document: The document; its proper nouns are the recogniser's hot words.
        whisper: The recogniser of the Deepgram simulator.
        hibari: The voice of the ElevenLabs simulator.
        brain: The brain of the simulated language models.
        smart_turn: Tells by the sound when Flux's turns end; without it, their words do.
        heard: A script for the Deepgram simulator, in place of the recogniser.
        port: The first simulator's port, which the others' follow; 0 picks free ones.
    """

    def __init__(
        self,
        document: Document,
        *,
        whisper: WhisperEngine,
        hibari: HibariEngine,
        brain: Brain,
        smart_turn: SmartTurnEngine | None = None,
        heard: Sequence[Utterance | str] = (),
        port: int = 0,
    ) -> None:
        async def hear(audio: bytes) -> object:
            return await whisper.transcribe(audio, hotwords=document.proper_nouns(), final=True)

        prompted = brain if isinstance(brain, LyingBrain) else _AsPrompted(brain)

        def model() -> Model:
            return Model(
                brain=prompted,
                first_token=Latency(FIRST_TOKEN_SECS),
                tokens_per_sec=TOKENS_PER_SEC,
                api_key=KEY,
            )

        ports = [port + offset if port else 0 for offset in range(4)]
        self.deepgram = DeepgramSimulator(
            heard,
            transcriber=None if heard else hear,
            judge=smart_turn.probability if smart_turn is not None else None,
            api_key=KEY,
            latency=deepgram_api.Latency(STT_SECS),
            flux_latency=deepgram_api.Latency(FLUX_SECS),
            port=ports[0],
        )
        self.anthropic = AnthropicSimulator(model(), port=ports[1])
        self.elevenlabs = ElevenLabsSimulator(
            voice=hibari.synthesise_whole,
            keys=[KEY],
            first_audio_secs=FIRST_AUDIO_SECS,
            leading_silence_secs=LEADING_SILENCE_SECS,
            port=ports[2],
        )
        self.openai = OpenAISimulator(model(), port=ports[3])
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Simulators":
        for simulator in (self.deepgram, self.anthropic, self.elevenlabs, self.openai):
            await self._stack.enter_async_context(simulator)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with which a server uses these simulators."""
        return {
            "DEEPGRAM_API_KEY": KEY,
            "DEEPGRAM_BASE_URL": self.deepgram.url,
            "ANTHROPIC_API_KEY": KEY,
            "ANTHROPIC_BASE_URL": self.anthropic.url,
            "ELEVENLABS_API_KEY": KEY,
            "ELEVENLABS_BASE_URL": self.elevenlabs.url,
            "BRAIN_BASE_URL": self.openai.url,
            "BRAIN_MODEL": "simulated",
            "BRAIN_API_KEY": KEY,
        }


async def run(
    document: Document,
    *,
    port: int,
    lying: bool = False,
    listening: Callable[[dict[str, str]], None],
) -> None:
    """Load the embedded engines and run the simulators until cancelled.

    Args:
        document: The document.
        port: The first simulator's port, which the others' follow; 0 picks free ones.
        lying: Whether the language models lie.
        listening: Called with :attr:`Simulators.environment` once all of them listen.
    """
    whisper = await asyncio.to_thread(WhisperEngine.load)
    hibari = await asyncio.to_thread(HibariEngine.load, voice=document.persona.voice)
    smart_turn = await asyncio.to_thread(SmartTurnEngine.load)
    honest = await asyncio.to_thread(ExtractiveBrain.load, document)
    brain: Brain = LyingBrain(honest, document) if lying else honest
    simulators = Simulators(
        document, whisper=whisper, hibari=hibari, brain=brain, smart_turn=smart_turn, port=port
    )
    async with simulators:
        listening(simulators.environment)
        await asyncio.Event().wait()
