"""Calls on the cloud stack, its clients real and its vendors simulated, and what goes wrong."""

import asyncio
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp.test_utils import TestServer

from client.caller import Caller, HeardCall
from client.protocol import Event, Message
from pipeline.choice import choose
from pipeline.engines import Engines
from pipeline.vendors import Context
from pipeline.vendors.elevenlabs import ElevenLabsSettings
from processors.brain.failover import BackoffRegistry
from processors.brain.speculation import Speculation
from processors.turns.processor import PHRASES
from server import Server
from settings import Settings
from simulators.anthropic import AnthropicSimulator
from simulators.deepgram import DeepgramSimulator, Utterance
from simulators.deepgram import Latency as HearingLatency
from simulators.elevenlabs import RATE, ElevenLabsSimulator
from simulators.model import Latency, Model
from simulators.openai import OpenAISimulator
from tests.conftest import AUDIO
from tests.end_to_end.faults import RECOGNISERS, Row

QUESTIONS = (
    ("where-studied.wav", "Where did she study mathematics?", 1.1),
    ("first-compiler.wav", "What was the first compiler?", 0.9),
)
"""Recordings, their words, and in how much speech a simulated recogniser hears them all."""

KEYS = {
    "deepgram_api_key": "dg-3f9c1e7a5b2d4860",
    "anthropic_api_key": "sk-ant-8d2e6f4a1c3b5079",
    "brain_api_key": "sk-oai-7b1d9e3f5a2c4068",
    "elevenlabs_api_key": "xi-6e0a2c4f8b1d3597",
}
RESERVES = {"stt": "whisper", "brain": "extractive", "tts": "hibari"}
APOLOGIES = (PHRASES["not_heard"], PHRASES["fault"])
CALL_SECS = 110.0
"""No call takes longer, whatever goes wrong in it: it would be cut off, and fail its test."""
SPEAKING_SECS = 1.0
"""From when a question's turn has come until it is being said."""


async def _voice(text: str) -> bytes:
    """A tone, 25 ms a character."""
    count = round(0.025 * len(text.strip()) * RATE)
    wave: bytes = (8000 * np.sin(np.arange(count) * 0.06)).astype("<i2").tobytes()
    return wave


def _earned(max_wasted_share: float) -> Speculation:
    """What may be wasted by a process that has answered a hundred turns: its first few guess none.

    Were it the engines', a call would take longer or shorter by what was tested before it.
    """
    speculation = Speculation(max_wasted_share=max_wasted_share)
    for _ in range(100):
        speculation.record_used(10_000)
    return speculation


class Asker(Caller):
    """A caller who takes an apology for an answer, and remembers when each question was over."""

    def __init__(self, url: str, **rest: Any) -> None:
        super().__init__(url, [AUDIO / file for file, *_ in QUESTIONS], **rest)
        self.asked_secs: dict[int, float] = {}
        self._apology: tuple[int, bool] = (-1, False)  # of which question; played to its end

    def _say(self, speech: bytes) -> None:
        super()._say(speech)
        assert self._words_end is not None
        self.asked_secs[self._turn] = self._words_end - self._began

    def _take(self, event: Event) -> None:
        if isinstance(event, Message):
            if event.kind == "sentence" and event.data["text"] in APOLOGIES and self._spoken:
                self._apology = (self._turn, False)
            if event.kind == "bot-stopped-speaking":
                self._apology = (self._apology[0], True)
        super()._take(event)

    def _answering(self) -> bool:
        apologised = self._apology[0] == self._turn and self._spoken
        return apologised or super()._answering()

    def _answer_over(self) -> bool:
        heard = self._apology == (self._turn, True) and not self._player.playing
        return heard or super()._answer_over()


class Stack:
    """The cloud stack's simulators and a server that uses them; what goes wrong in a call to it.

    Parameters:
        engines: The embedded engines.
        row: What goes wrong, if anything.
        reserve: Whether the stage in which it does has a reserve.
        data_dir: The server's.
        hears: Whether Deepgram's simulator really hears, rather than following the questions.
    """

    def __init__(
        self,
        engines: Engines,
        row: Row | None,
        *,
        reserve: bool = False,
        data_dir: Path,
        hears: bool = False,
        **overrides: Any,
    ) -> None:
        self._engines = engines
        self._row = row
        self._data_dir = data_dir
        self._overrides = overrides
        self._asking = -1
        self._waiting: set[asyncio.Task[None]] = set()
        self._stages = {"stt": "deepgram", "brain": "claude", "tts": "elevenlabs"}
        if row and "whole" in row.vendor:
            overrides["tts_mode"] = "whole"
        vendor = row.vendor.partition(",")[0] if row else ""
        if vendor == "openai":
            self._stages["brain"] = "openai"
        if vendor in RECOGNISERS:
            self._stages["stt"] = vendor
        if reserve:
            (stage,) = [stage for stage, name in self._stages.items() if name == vendor]
            self._stages[stage] += f",{RESERVES[stage]}"

        async def hear(audio: bytes) -> object:
            return await engines.loaded["whisper"].transcribe(audio, hotwords=(), final=True)

        def model(key: str) -> Model:
            brain = engines.loaded["extractive"]
            return Model(brain=brain, first_token=Latency(0.3), tokens_per_sec=150.0, api_key=key)

        self.deepgram = DeepgramSimulator(
            transcriber=hear if hears else None,
            api_key=KEYS["deepgram_api_key"],
            latency=HearingLatency(0.1),
        )
        self.anthropic = AnthropicSimulator(model(KEYS["anthropic_api_key"]))
        self.openai = OpenAISimulator(model(KEYS["brain_api_key"]))
        self.elevenlabs = ElevenLabsSimulator(
            voice=_voice, keys=[KEYS["elevenlabs_api_key"]], realtime_factor=0.5
        )

    async def __aenter__(self) -> "Stack":
        for simulator in (self.deepgram, self.anthropic, self.openai, self.elevenlabs):
            await simulator.__aenter__()
        settings = Settings(
            _env_file=None,  # type: ignore[call-arg]
            data_dir=self._data_dir,
            auth="off",
            deepgram_base_url=self.deepgram.url,
            anthropic_base_url=self.anthropic.url,
            brain_base_url=self.openai.url,
            brain_model="simulated",
            elevenlabs_base_url=self.elevenlabs.url,
            **{**self._stages, **KEYS, **self._overrides},
        )
        self.settings = settings
        choices = choose(settings)
        loaded = dict(self._engines.loaded)
        self._clouds = []
        context = Context(settings, self._engines.document)
        for choice in choices.values():
            for vendor in choice.vendors:
                if vendor.kind == "cloud":
                    engine = await asyncio.to_thread(vendor.load, context, lambda *_: None)
                    loaded[vendor.name] = engine
                    self._clouds.append(engine)
        engines = dataclasses.replace(
            self._engines,
            settings=settings,
            choices=choices,
            loaded=loaded,
            backoff=BackoffRegistry(),
            speculation=_earned(settings.preemptive_waste),
        )
        self._server = Server(settings, engines.document, choices, engines=engines)
        self.listening = TestServer(self._server.app())
        await self.listening.start_server()
        if self._row and (self._row.when == "connecting" or self._row.vendor in MODELS):
            self._strike(self._row)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.listening.close()
        for engine in self._clouds:
            if hasattr(engine, "close"):
                await engine.close()
        for simulator in (self.deepgram, self.anthropic, self.openai, self.elevenlabs):
            await simulator.__aexit__(None, None, None)

    async def call(self, *, watched: bool = True) -> tuple[HeardCall, Asker]:
        """Ask both questions; ``watched``: it is in this call that something goes wrong."""
        url = str(self.listening.make_url("/call")).replace("http", "ws", 1)
        progress = self._progress if watched else lambda _text: None
        asker = Asker(url, turn_timeout_secs=30.0, progress=progress)
        async with asyncio.timeout(CALL_SECS):
            heard = await asker.call()
        await asyncio.gather(*self._waiting)
        return heard, asker

    def left_open(self) -> list[str]:
        """Who of those that a call has a connection of its own to still has one."""
        hung = self._row is not None and any(
            getattr(fault, "kind", "") in ("hang", "stall") for fault in self._row.faults
        )
        if hung or self.settings.for_vendor(ElevenLabsSettings).tts_mode == "whole":
            return []  # One that hangs does not notice; a request's connection is kept on purpose.
        return [
            type(simulator).__name__
            for simulator in (self.deepgram, self.elevenlabs)
            if simulator.listener.open_connections
        ]

    # What goes wrong.

    def _progress(self, text: str) -> None:
        if not text.startswith("turn "):
            return
        self._asking += 1
        _, words, secs = QUESTIONS[self._asking]
        script = self.deepgram.script
        while script.words(99.0, ended=True):
            script.mark_final(0, ended=True)
        script.add(Utterance(words, speech_secs=secs))
        row = self._row
        if row is None:
            return
        if self._asking == 1 and row.lasts != "for good":
            if row.vendor in RECOGNISERS and any(fault.kind == "stall" for fault in row.faults):
                self._waiting.add(asyncio.create_task(self._mend_in_the_question()))
            else:
                self._mend()
        elif self._asking == 0 and row.when != "connecting" and row.vendor not in MODELS:
            if row.vendor in RECOGNISERS and row.when == "in the answer":
                self._waiting.add(asyncio.create_task(self._strike_in_the_answer(row)))
            else:
                self._strike(row)

    async def _strike_in_the_answer(self, row: Row) -> None:
        replies = self.elevenlabs.requests[-1].replies
        before = len(replies)
        while len(replies) < before + 3:
            await asyncio.sleep(0.05)
        self._strike(row)

    def _strike(self, row: Row) -> None:
        if row.vendor in RECOGNISERS:
            for fault in row.faults:
                heard_secs = 0.0
                if fault.kind != "status" and fault.connection is not None:
                    connection = self.deepgram.requests[fault.connection]
                    heard_secs = connection.audio_bytes / 32_000
                later = dataclasses.replace(fault, at_secs=fault.at_secs + heard_secs)
                self.deepgram.faults.append(later)
        elif row.vendor in MODELS:
            model = MODELS[row.vendor](self).model
            model.faults = row.faults
            if row.reply is not None:
                model.brain, model.script = None, [row.reply]
        else:
            self.elevenlabs.faults += [self._of_request(row, fault) for fault in row.faults]

    def _of_request(self, row: Row, fault: Any) -> Any:
        if row.lasts != "once":
            return fault
        requests = self.elevenlabs.requests
        if not requests or self.settings.for_vendor(ElevenLabsSettings).tts_mode == "whole":
            return dataclasses.replace(fault, request=len(requests) + 1)
        sent = sum(reply.get("audio") or 0 for _, reply in requests[-1].replies) / 2 / RATE
        after_secs = fault.after_secs + sent
        return dataclasses.replace(fault, request=len(requests), after_secs=after_secs)

    async def _mend_in_the_question(self) -> None:
        """Mend once the second question is being said.

        Until then a new connection is sent the first one again, which a script would take for it.
        """
        await asyncio.sleep(SPEAKING_SECS)
        self._mend()

    def _mend(self) -> None:
        self.deepgram.faults.clear()
        self.elevenlabs.faults.clear()
        for simulator in (self.anthropic, self.openai):
            simulator.model.faults = ()
            simulator.model.brain = self._engines.loaded["extractive"]


MODELS: dict[str, Callable[[Stack], AnthropicSimulator | OpenAISimulator]] = {
    "claude": lambda stack: stack.anthropic,
    "openai": lambda stack: stack.openai,
}
