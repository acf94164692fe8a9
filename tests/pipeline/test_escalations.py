"""Questions that wait for a person, in a file of their own."""

import json
from pathlib import Path

from conversation.frames import EscalationFrame
from pipeline.escalations import Escalations


async def test_what_nobody_has_understood_waits_for_nobody(tmp_path: Path) -> None:
    waiting = Escalations(tmp_path / "data" / "escalations.jsonl")
    await waiting.add("c-1", EscalationFrame(turn=1, reason="unclear", question="Blorp the"))
    assert not (tmp_path / "data").exists()
    question = "What was her salary?"
    await waiting.add("c-1", EscalationFrame(turn=2, reason="sensitive", question=question))
    line = json.loads((tmp_path / "data" / "escalations.jsonl").read_text(encoding="utf-8"))
    assert (line["turn"], line["reason"], line["question"]) == (2, "sensitive", question)
