"""The embedded engines, each loaded once a process and only where a test asks for it."""

from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from knowledge.check.support import precompute
from knowledge.loading.document import Document, load
from pipeline.choice import choose
from pipeline.engines import Engines
from pipeline.vendors import VENDORS, Context
from pipeline.vendors.silero import EmbeddedVad
from processors.brain.extractive import ExtractiveBrain
from processors.brain.speculation import Speculation
from processors.stt.whisper.engine import WhisperEngine
from processors.tts.hibari.engine import HibariEngine
from processors.vad.silero import SileroEngine
from processors.vad.smart_turn import SmartTurnEngine
from settings import Settings

SHARES: dict[str, list[float]] = defaultdict(list)
"""What each vendor told of its loading, the share done, by its name."""


@cache
def context() -> Context:
    """The settings without any, and the document that ships."""
    return Context(Settings(_env_file=None), load())  # type: ignore[call-arg]


def loaded(name: str) -> Any:
    """What an embedded vendor's ``load`` gives."""
    vendor = next(one for one in VENDORS if one.name == name)
    return vendor.load(context(), lambda _what, share: SHARES[name].append(share))


@pytest.fixture(scope="session")
def vad() -> EmbeddedVad:
    detector: EmbeddedVad = loaded("silero")
    return detector


@pytest.fixture(scope="session")
def silero(vad: EmbeddedVad) -> SileroEngine:
    detector: SileroEngine = vad.silero
    return detector


@pytest.fixture(scope="session")
def smart_turn(vad: EmbeddedVad) -> SmartTurnEngine:
    model: SmartTurnEngine = vad.smart_turn
    return model


@pytest.fixture(scope="session")
def whisper() -> Iterator[WhisperEngine]:
    engine: WhisperEngine = loaded("whisper")
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def extractive() -> Iterator[ExtractiveBrain]:
    brain: ExtractiveBrain = loaded("extractive")
    yield brain
    brain.close()


@pytest.fixture(scope="session")
def hibari() -> Iterator[HibariEngine]:
    engine: HibariEngine = loaded("hibari")
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def document() -> Document:
    """The document that ships."""
    return context().document


@pytest.fixture(scope="session")
def engines(
    vad: EmbeddedVad, whisper: WhisperEngine, extractive: ExtractiveBrain, hibari: HibariEngine
) -> Engines:
    """All of them."""
    settings, document = context().settings, context().document
    precompute(document)
    return Engines(
        settings,
        document,
        choose(settings),
        {"silero": vad, "whisper": whisper, "extractive": extractive, "hibari": hibari},
        speculation=Speculation(most_wasted=settings.preemptive_waste),
    )
