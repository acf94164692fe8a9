"""The embedded engines, each loaded once a process and only where a test asks for it.

Vectors of documents are computed once a run of pytest: its workers, and the servers that they
start, keep them in one folder.
"""

import fcntl
import os
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from knowledge.check.support import precompute
from knowledge.loading.document import Document, load
from knowledge.search.vector_cache import FOLDER
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
_run: list[Path] = []
"""The folder of this run, once it is known."""


@pytest.fixture(scope="session", autouse=True)
def _run_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    run_in(folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder)


def run_in(folder: Path) -> None:
    """Keep what a run shares in a folder: pytest's own, or that of a command."""
    _run.append(folder)


def vectors() -> Path:
    """Where all tests of this run keep the vectors of documents."""
    folder = _run[0] / FOLDER
    folder.mkdir(exist_ok=True)
    return folder


def share_vectors(data_dir: Path) -> None:
    """Have a server keep the vectors of its document where the other tests do."""
    data_dir.mkdir(parents=True, exist_ok=True)
    (data_dir / FOLDER).symlink_to(vectors())


@cache
def context() -> Context:
    """The settings without any, and the document that ships."""
    vectors()
    return Context(Settings(_env_file=None, data_dir=_run[0]), load())  # type: ignore[call-arg]


def loaded(name: str) -> Any:
    """What an embedded vendor's ``load`` gives."""
    vendor = next(vendor for vendor in VENDORS if vendor.name == name)
    with (vectors().parent / "loading").open("w") as loading:
        # One process computes the vectors; those that begin at the same time find them.
        fcntl.flock(loading, fcntl.LOCK_EX)
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
        speculation=Speculation(max_wasted_share=settings.preemptive_waste),
    )
