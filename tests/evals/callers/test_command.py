"""Simulated callers and their scores, as commands: a script and a model call in real time."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from evals.scoring.truth import Truth
from simulators.model import Model, Reply
from simulators.openai import OpenAISimulator
from tests.end_to_end.running import VIVA

pytestmark = [pytest.mark.thorough, pytest.mark.real_time]

SCRIPTED = """
goal = "Learn where she studied"
reached = ["Yale"]
[[say]]
text = "Where did she study mathematics?"
sections = ["education"]
says = ["Yale"]
"""
PLAYED = """
goal = "Learn what the first compiler was called"
reached = ["A-0"]
most_turns = 3
"""


def speaks(say: str, *, hang_up: bool = False) -> Reply:
    return Reply("speak", {"say": say, "hang_up": hang_up})


async def viva(*words: object, **settings: str) -> tuple[int | None, str]:
    """The command's exit status, and what it says."""
    running = await asyncio.create_subprocess_exec(
        VIVA, *map(str, words),
        env={**os.environ, **settings},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await running.communicate()
    return running.returncode, said.decode(errors="replace")


async def test_a_script_and_a_model_call_a_server_that_is_started_and_are_scored(
    tmp_path: Path,
) -> None:
    personas, out = tmp_path / "personas", tmp_path / "run"
    personas.mkdir()
    (personas / "scripted.toml").write_text(SCRIPTED, "utf-8")
    (personas / "played.toml").write_text(PLAYED, "utf-8")
    plays = Model(
        script=(speaks("What was the first compiler called?"), speaks("Thank you.", hang_up=True))
    )
    async with OpenAISimulator(plays) as vendor:
        endpoint = {"BRAIN_BASE_URL": vendor.url, "BRAIN_MODEL": "simulated"}
        status, said = await viva(
            "simulate-callers", personas, "--calls", 2, "--out", out,
            BRAIN="extractive", DATA_DIR=str(tmp_path / "data"), **endpoint,
        )  # fmt: skip
    assert status == 0, said
    assert f"2 of 2 calls are in {out}" in said.replace("\n", "")
    goals = [request.body["messages"][0]["content"] for request in vendor.requests]
    assert all("Learn what the first compiler was called" in goal for goal in goals)
    heard = vendor.requests[-1].body["messages"]
    assert any("A-0" in message["content"] for message in heard[1:]), "it hears the answer"
    truth = Truth.load(out / "truth.toml").calls
    assert {name: [said.text for said in call.utterances] for name, call in truth.items()} == {
        "played-001.mcap": ["What was the first compiler called?", "Thank you."],
        "scripted-002.mcap": ["Where did she study mathematics?"],
    }
    status, said = await viva("score", out, DATA_DIR=str(tmp_path / "data"))
    assert status == 0, said
    scores: dict[str, Any] = json.loads((out / "scores.json").read_text("utf-8"))
    reached = scores["metrics"]["goals_reached"]
    assert (reached["value"], reached["n"]) == (1.0, 2)
    assert scores["n_turns"] >= 2
