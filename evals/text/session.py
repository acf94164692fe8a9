"""A conversation in writing: the turns of a call, without voice activity, recogniser and voice.

A turn is decided as in a call: by a :class:`~conversation.turns.Conversation`, the stages of
:func:`pipeline.chain.decision_stages` with their filters, and the brain that the settings choose.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from conversation.frames import TurnFrame
from conversation.records import Tariff, TurnRecord
from conversation.turns import Conversation
from evals.conformance.harness import StageHarness
from evals.text.reply import Reply
from evals.text.transport import TextOutput
from knowledge.loading.document import Document, load
from ledger.money.prices import Prices
from pipeline.chain import decision_stages
from pipeline.choice import choose, settle
from pipeline.engines import Engines
from pipeline.loading import LoadingError, explain
from pipeline.vendors import Stage
from processors.turns.keeper import TurnKeeper
from settings import Settings

STAGES: tuple[Stage, ...] = ("brain",)
"""The stages of a conversation in writing."""

MARGIN_SECS = 5.0
"""How much longer than the settings allow a decision may take before it counts as lost."""

MAX_QUESTION_CHARS = 4_000
"""Longest question; two minutes of quick speech have some 2,500 characters."""


class TextSession:
    """One conversation in writing, of one turn after another.

    An asynchronous context manager: its chain runs within it.

    Parameters:
        engines: The document, and a brain to answer from it.
        tariff: Prices of vendors; ``None`` to leave costs out.
    """

    def __init__(self, engines: Engines, *, tariff: Tariff | None = None) -> None:
        self.engines = engines
        self.conversation = Conversation(call="text", meter=engines.meter(tariff))
        self._records: dict[int, TurnRecord] = {}
        self.conversation.kept = self._keep
        self._chain = StageHarness(
            *decision_stages(self.conversation, engines),  # type: ignore[arg-type]
            TurnKeeper(self.conversation),
            TextOutput(self.conversation),
        )
        self._asking = asyncio.Lock()

    @property
    def document(self) -> Document:
        """What it is about."""
        return self.engines.document

    @property
    def greeting(self) -> str:
        """What a caller hears first."""
        return self.document.persona.greeting

    async def __aenter__(self) -> Self:
        await self._chain.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        await self._chain.__aexit__(kind, *rest)

    async def ask(self, question: str) -> Reply:
        """Ask a question, as one turn; turns that are asked at the same time wait for each other.

        Raises:
            ValueError: It is empty or too long.
        """
        question = " ".join(question.split())
        if not question or len(question) > MAX_QUESTION_CHARS:
            raise ValueError(
                f"the question has {len(question)} characters; allowed: 1 to {MAX_QUESTION_CHARS}"
            )
        async with self._asking:
            return await self._ask(question)

    async def _ask(self, question: str) -> Reply:
        loop = asyncio.get_running_loop()
        began = loop.time()
        history = self.conversation.history()
        now = self.conversation.clock()
        turn = self.conversation.begin_turn(question, now, now)
        await self._chain.push(TurnFrame(turn=turn.number, question=question, history=history))
        record = await self._chain.wait_for(
            lambda: self._records.get(turn.number),
            self.engines.settings.decision_timeout_secs + MARGIN_SECS,
            f"{question!r}: no decision",
        )
        return Reply(record, loop.time() - began)

    def _keep(self, record: TurnRecord) -> None:
        self._records[record.number] = record


async def load_engines(
    document: Document,
    settings: Settings,
    progress: Callable[[str, float], None] = lambda _label, _share: None,
) -> Engines:
    """Load a brain for a document, and nothing else.

    Args:
        document: What is asked about.
        settings: They choose the brain.
        progress: Called with what is loaded, and the share done, 0 to 1.

    Raises:
        LoadingError: The brain cannot be loaded.
        SettingsError: It is unknown, or what it needs is missing.
    """
    # A conversation in writing must not fail for what other stages lack.
    others = ("vad", "stt", "tts")
    settings = settings.model_copy(update=dict.fromkeys(others, "auto"))
    choices = choose(settings)
    brain = await asyncio.to_thread(settle, {"brain": choices["brain"]}, settings)
    try:
        return await Engines.load(settings, document, {**choices, **brain}, progress, stages=STAGES)
    except Exception as error:
        raise LoadingError(explain(error)) from error


@asynccontextmanager
async def viva_session(
    document: Document | Path | str | None = None,
    *,
    brain: str = "",
    settings: Settings | None = None,
    engines: Engines | None = None,
) -> AsyncIterator[TextSession]:
    """Talk in writing to a document, for a script or a test.

        async with viva_session("cv.md") as session:
            reply = await session.ask("Where did she study?")
            reply.says("Porto").cites("education")

    Args:
        document: The document, or its file; by default the bundled CV.
        brain: As ``BRAIN``; by default that of the settings.
        settings: By default those of this process.
        engines: A brain that is loaded already, and stays open; the other arguments are then
            ignored.

    Raises:
        DocumentError: The document cannot be used.
        LoadingError: The brain cannot be loaded.
        SettingsError: The settings cannot.
    """
    settings = settings or Settings.load(brain=brain or None)
    if brain:
        settings = settings.model_copy(update={"brain": brain})
    if engines is not None:
        async with TextSession(engines, tariff=Prices.for_settings(engines.settings)) as session:
            yield session
        return
    read = (
        document if isinstance(document, Document) else load(Path(document) if document else None)
    )
    engines = await load_engines(read, settings)
    try:
        async with TextSession(engines, tariff=Prices.for_settings(settings)) as session:
            yield session
    finally:
        await engines.close()
