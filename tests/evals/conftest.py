"""What the tests of replay share: calls that were really held, once a process."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.engines import Engines
from tests.evals.replay.held import Plan, hold
from tests.remembering import Remembering

PLANS = (
    Plan("barge-in", ("where-studied", "excuse-me"), barge_in_secs=1.5),
    Plan("backchannel", ("where-studied", "mm-hm"), barge_in_secs=1.0),
    Plan("clean", ("after-the-war", "salary")),
)


@pytest.fixture(scope="session")
def remembering(engines: Engines) -> Engines:
    """The engines, of which the recogniser hears the same audio once."""
    whisper = Remembering(engines.loaded["whisper"])
    return replace(engines, loaded={**engines.loaded, "whisper": whisper})


@pytest.fixture(scope="session")
def calls(tmp_path_factory: pytest.TempPathFactory, remembering: Engines) -> dict[str, Path]:
    """The recordings of some calls, by their names; they are not to be changed."""
    folder = tmp_path_factory.mktemp("held")
    return {path.stem: path for path in hold(PLANS, folder, remembering)}
