"""The stages' contracts: what they name is what the documentation says, and what a chain takes."""

import re
from pathlib import Path
from types import ModuleType

import pytest
from pipecat.pipeline.pipeline import Pipeline

from conversation.turns import Conversation
from processors.brain import contract as brain
from processors.contract import in_order
from processors.stt import contract as stt
from processors.tts import contract as tts
from processors.turns import contract as turns
from processors.turns.keeper import TurnKeeper
from processors.turns.processor import TurnTaking
from processors.vad import contract as vad

ROWS = {
    cells[0]: cells[1:]
    for line in Path("docs/developing.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("|") and len(cells := [cell.strip() for cell in line.split("|")[1:-1]]) == 4
}


@pytest.mark.parametrize(
    ("stage", "contract"),
    [
        ("voice activity", vad),
        ("speech to text", stt),
        ("responder", brain),
        ("text to speech", tts),
    ],
)
def test_the_documentation_names_the_frames_of_a_contract(stage: str, contract: ModuleType) -> None:
    takes, gives, where = ROWS[stage]
    assert re.findall(r"`(\w+Frame)`", takes) == [kind.__name__ for kind in contract.TAKES]
    assert set(re.findall(r"`(\w+Frame)`", gives)) == {kind.__name__ for kind in contract.GIVES}
    assert contract.__name__.replace(".", "/") in where


def test_turn_taking_takes_what_voice_activity_and_the_recogniser_give() -> None:
    takes, gives, _ = ROWS["turn taking"]
    assert {*vad.GIVES, *stt.GIVES} <= set(turns.TAKES)
    others = set(turns.TAKES) - {*vad.GIVES, *stt.GIVES}
    assert set(re.findall(r"`(\w+Frame)`", takes)) == {kind.__name__ for kind in others}
    assert set(re.findall(r"`(\w+Frame)`", gives)) == {kind.__name__ for kind in turns.GIVES}


def test_a_chain_is_made_of_frame_processors() -> None:
    conversation = Conversation()
    stages = [TurnTaking(conversation), TurnKeeper(conversation)]
    assert in_order(*stages) == stages
    assert Pipeline(in_order(*stages)).processors[1:-1] == stages
    with pytest.raises(TypeError, match="is not a pipecat FrameProcessor, as every stage must be"):
        in_order(conversation)  # type: ignore[arg-type]
