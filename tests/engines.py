"""The embedded engines, each loaded once a process and only where a test asks for it."""

from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from knowledge.document import Document, load
from knowledge.support import prepare
from pipeline.embedded import EMBEDDED, EmbeddedVad
from pipeline.engines import Engines
from pipeline.settings import Settings
from pipeline.speculation import Speculation
from pipeline.vendor import Context
from pipeline.vendors import choose
from processors.extractive import ExtractiveBrain
from processors.hibari_engine import HibariEngine
from processors.silero import SileroEngine
from processors.smart_turn import SmartTurnEngine
from processors.whisper_engine import WhisperEngine

SHARES: dict[str, list[float]] = defaultdict(list)
"""What each vendor told of its loading, the share done, by its name."""


@cache
def context() -> Context:
    """The settings without any, and the document that ships."""
    return Context(Settings(_env_file=None), load())  # type: ignore[call-arg]


def loaded(name: str) -> Any:
    """What an embedded vendor's ``load`` gives."""
    vendor = next(one for one in EMBEDDED if one.name == name)
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
    prepare(document.sections)
    return Engines(
        settings,
        document,
        choose(settings),
        {"silero": vad, "whisper": whisper, "extractive": extractive, "hibari": hibari},
        speculation=Speculation(most_wasted=settings.preemptive_waste),
    )
