"""docs/evaluating.md as somebody new follows it: each command as it stands, on their own files."""

import asyncio
import csv
import json
import os
import re
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from playwright.async_api import async_playwright

from client.wav import INPUT_RATE, read_wav
from evals.scoring.truth import Truth
from simulators.anthropic import AnthropicSimulator
from simulators.model import Model, Reply
from simulators.openai import OpenAISimulator
from tests.conftest import AUDIO
from tests.end_to_end.running import CHROMIUM, FLAGS, VIVA, Viva
from tests.engines import share_vectors
from tests.lateness import in_time

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "evaluating.md"
OLLAMA = "http://127.0.0.1:11434/v1"
"""Where the page has a model of one's own; a simulator stands in for it."""
RECORDED = "c-05d77ad24acca0d2"
"""The call that the page looks at."""


@dataclass(frozen=True, slots=True)
class Block:
    """What stands between fences.

    Parameters:
        heading: The heading above it.
        language: Its language; empty for commands.
        text: What it says.
    """

    heading: str
    language: str
    text: str


def blocks() -> list[Block]:
    """All of the page, in its order."""
    heading, found = "", []
    for part in re.finditer(
        r"^#+ (?P<heading>[^\n]+)$|^```(?P<language>\w*)\n(?P<text>.*?)^```$",
        PAGE.read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    ):
        heading = part["heading"] or heading
        if part["text"] is not None and not part["heading"]:
            found.append(Block(heading, part["language"], part["text"]))
    return found


def shown(heading: str, nth: int = 0, *, language: str = "") -> str:
    """The commands below a heading, or a file in a language."""
    found = [each.text for each in blocks() if (each.heading, each.language) == (heading, language)]
    return found[nth]


RUN_BELOW = {
    "In text": 2,
    "Scenarios of `pipecat eval`": 1,
    "In pytest": 1,
    "A judge": 1,
    "A model of one's own": 1,
    "Record": 1,
    "Calls from elsewhere": 1,
    "Simulated callers": 2,
    "Replay": 1,
    "Score": 3,
    "Voices": 2,
    "The report": 1,
    "Compare": 1,
    "Gates": 1,
}
"""How many blocks of commands below each heading the tests of this module run."""


def test_no_commands_of_the_page_are_left_out() -> None:
    there = [each.heading for each in blocks() if not each.language]
    assert {heading: there.count(heading) for heading in there} == RUN_BELOW
    source = Path(__file__).read_text("utf-8")
    for heading, count in RUN_BELOW.items():
        run = set(re.findall(rf'\bshown\("{re.escape(heading)}"(?:, (\d))?\)', source))
        assert run == {"", *map(str, range(1, count))}, heading


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Newcomer:
    """Somebody in a folder of their own, with `.venv` of the checkout activated.

    Parameters:
        folder: The folder.
        settings: What they have set in their shell.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        share_vectors(folder / "data")
        ours = re.compile(r"KNOWLEDGE|DATA_DIR|BRAIN.*|RECORD|.*_API_KEY|COLUMNS")
        kept = {name: value for name, value in os.environ.items() if not ours.fullmatch(name)}
        path = f"{VIVA.parent}{os.pathsep}{os.environ['PATH']}"
        self.port = free_port()
        self._environment = {**kept, "PATH": path, "PORT": str(self.port), **settings}

    def has(self, **files: str) -> None:
        """Write text files; a name has `__` for its dot."""
        for name, text in files.items():
            (self.folder / name.replace("__", ".")).write_text(text, "utf-8")

    def hears(self, name: str, *voices: tuple[str, int, float], secs: float = 0.0) -> None:
        """Write a WAV file: recordings of the project, each in a channel and from a second on."""
        channels = 1 + max(channel for _, channel, _ in voices)
        sound = np.zeros((round((secs or 30) * INPUT_RATE), channels), np.int16)
        last = 0
        for recording, channel, at in voices:
            pcm = np.frombuffer(read_wav(AUDIO / f"{recording}.wav"), np.int16)
            first = round(at * INPUT_RATE)
            sound[first : first + len(pcm), channel] = pcm
            last = max(last, first + len(pcm))
        soundfile.write(self.folder / name, sound[: None if secs else last], INPUT_RATE)

    async def types(self, commands: str, *, status: int = 0) -> str:
        """What a shell says to commands, which must end with a status."""
        shell = await asyncio.create_subprocess_exec(
            "bash", "-euo", "pipefail", "-c", commands,
            cwd=self.folder, env=self._environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await shell.communicate()
        told = said.decode(errors="replace")
        assert shell.returncode == status, f"{commands}\n{told}"
        return told

    def scores(self, run: str) -> dict[str, Any]:
        """The metrics of a run that was scored."""
        scored = json.loads((self.folder / run / "scores.json").read_text("utf-8"))
        return dict(scored["metrics"])


# In text.

CV = """# Ana Sousa

## Education

- MSc in Computer Engineering, University of Porto, 2004 to 2009

## Experience

- Staff engineer at Farfetch, since 2015

## Colleagues

- Colleagues wrote that she is calm and explains things well.
"""
CVS = {
    "ana": ("Ana Sousa", "University of Porto", "Farfetch", "Portuguese"),
    "ben": ("Ben Okafor", "University of Lagos", "Paystack", "Yoruba"),
    "eva": ("Eva Lindqvist", "Uppsala University", "Klarna", "Swedish"),
}
SHAPES = {
    "ana": (
        "# {title}\n\n## Education\n\n- MSc, {university}, 2004 to 2009\n\n## Experience\n\n"
        "- Staff engineer, {employer}, since 2015\n\n## Languages\n\n- English, {language}\n"
    ),
    "ben": (
        "# {title}\n\nPayments engineer.\n\n## Work\n\n### {employer} (2019 to present)\n\n"
        "Backend engineer\n\n- Runs the ledger service.\n\n## Education\n\n### {university}\n\n"
        "BSc Mathematics, 2012 to 2016\n\n## Languages\n\n{language}, English\n"
    ),
    "eva": (
        "# {title}\n\n## Employment\n\nShe has been a designer at {employer} since 2018.\n\n"
        "## Education\n\nShe studied design at {university} from 2011 to 2014.\n\n"
        "## Languages\n\n- {language} (native)\n- German\n"
    ),
}
FOUR_QUESTIONS = """document = "{name}.md"

[[questions]]
ask = "Where did {who} study?"
says = ["{university}"]
sections = ["education"]

[[questions]]
ask = "Where does {who} work?"
says = ["{employer}"]

[[questions]]
ask = "Which languages does {who} speak?"
says = ["{language}"]

[[questions]]
ask = "What does {who} earn?"
decision = "sensitive"
"""


@pytest.mark.thorough
async def test_documents_are_asked_in_writing(tmp_path: Path) -> None:
    somebody = Newcomer(tmp_path)
    somebody.has(cv__md=CV, questions__toml=shown("In text", language="toml"))
    said = await somebody.types(shown("In text"))
    assert "University of Porto" in said
    assert "3 of 3 questions as expected." in said
    assert "Where did she study?" in (tmp_path / "report.html").read_text("utf-8")
    for name, (title, university, employer, language) in CVS.items():
        told = {"title": title, "university": university, "employer": employer}
        told |= {"language": language, "name": name, "who": "he" if name == "ben" else "she"}
        (tmp_path / f"{name}.md").write_text(SHAPES[name].format(**told), "utf-8")
        (tmp_path / f"{name}.toml").write_text(FOUR_QUESTIONS.format(**told), "utf-8")
    assert "12 of 12 questions as expected." in await somebody.types(shown("In text", 1))
    assert 'tests="12"' in (tmp_path / "report.xml").read_text("utf-8")
    somebody.has(cv__yaml=shown("Scenarios of `pipecat eval`", language="yaml"))
    said = await somebody.types(shown("Scenarios of `pipecat eval`"))
    assert "1 of 1 question as expected." in said


@pytest.mark.thorough
async def test_a_document_is_asked_by_pytest(tmp_path: Path) -> None:
    somebody = Newcomer(tmp_path)
    somebody.has(
        cv__md=CV,
        conftest__py=shown("In pytest", language="python"),
        test_cv__py=shown("In pytest", 1, language="python"),
    )
    assert "1 passed" in await somebody.types(shown("In pytest"))


# A judge, and a model of one's own.


class Judging:
    """Quotes the answer, and fails that to "And when was that?"."""

    async def reply(self, _number: int, conversation: Sequence[tuple[str, str]]) -> Reply:
        (answer,) = re.findall(r"^Answer: (.+)$", conversation[-1][1], re.MULTILINE)
        verdict = "fail" if "Question: And when" in conversation[-1][1] else "pass"
        return Reply("verdict", {"evidence": answer, "why": "It says so.", "verdict": verdict})


class JudgingClaude(Judging, AnthropicSimulator):
    """A judge behind Anthropic's API."""


class JudgingModel(Judging, OpenAISimulator):
    """A judge behind an OpenAI-compatible endpoint."""


@pytest.mark.thorough
async def test_a_judge_is_held_against_a_person(tmp_path: Path) -> None:
    questions = shown("In text", language="toml") + shown("A judge", language="toml")
    async with JudgingClaude(Model()) as claude, JudgingModel(Model()) as model:
        somebody = Newcomer(
            tmp_path,
            BRAIN="extractive",
            ANTHROPIC_API_KEY="k",
            ANTHROPIC_BASE_URL=claude.url,
            BRAIN_BASE_URL=model.url,
            BRAIN_MODEL="simulated",
        )
        somebody.has(cv__md=CV, questions__toml=questions)
        rules, again = shown("A judge").splitlines()
        said = await somebody.types(rules, status=1)  # the judge fails an answer
        assert "The verdicts are in verdicts.csv." in said
        table = tmp_path / "verdicts.csv"
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert {row["criterion"] for row in rows} >= {"faithful", "concise"}
        for row in rows:  # a person finds all faithful, and agrees otherwise
            row["person"] = "pass" if row["criterion"] == "faithful" else row["verdict"]
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        for vendor in ("claude", "openai"):
            said = await somebody.types(again.replace("claude", vendor), status=1)
            told = dict(re.findall(r"(\w+): the judge agrees with you on (.+)", said))
            assert told["faithful"] == "2 of 3 answers, kappa 0.00 (none)."
            assert told["concise"] == "3 of 3 answers, kappa 1.00 (almost perfect)."
            assert re.search(r"read, \d+ written", said), "what the judge used"


@pytest.mark.thorough
async def test_a_model_of_one_s_own_is_told_what_it_can_do(tmp_path: Path) -> None:
    answer = Reply(
        "respond",
        {
            "sections": ["education"],
            "confidence": "high",
            "answer": "She studied mathematics and physics at Vassar College.",
        },
    )
    async with OpenAISimulator(Model(script=(answer,))) as model:
        somebody = Newcomer(
            tmp_path, BRAIN="openai", BRAIN_BASE_URL=model.url, BRAIN_MODEL="simulated"
        )
        said = await somebody.types(shown("A model of one's own"))
    assert "simulated: calls tools in 20 of 20" in " ".join(said.split())


# Calls.


@pytest.mark.thorough
@pytest.mark.real_time
@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="truth is corrected in Debian's chromium")
async def test_a_recorded_call_is_replayed_scored_corrected_and_held_to_rules(
    tmp_path: Path,
) -> None:
    """The steps of the page's first table, in their order, and what is told of each below it."""
    somebody = Newcomer(tmp_path)
    for spoken, words in (
        ("where", "Where did she study mathematics?"),
        ("what-about-yale", "What about Yale?"),
    ):
        voice = "where-studied" if spoken == "where" else "what-about-yale-rms"
        shutil.copy(AUDIO / f"{voice}.wav", tmp_path / f"{spoken}.wav")
        (tmp_path / f"{spoken}.txt").write_text(words, "utf-8")
    settings = {"RECORD": "all", "AUTH": "link", "PORT": str(somebody.port)}
    with Viva(DATA_DIR=str(tmp_path / "data"), **settings) as server:
        server.loaded()
        said = await somebody.types(shown("Score", 2))
        assert "The truth of 2 utterances is in truth.toml." in said
    (recording,) = (tmp_path / "data" / "recordings").glob("*.mcap")
    told = await somebody.types(shown("Record").replace(RECORDED, recording.stem))
    assert "Yale" in told
    played = Truth.load(tmp_path / "truth.toml").calls[recording.name]
    assert played.utterances[0].text == "Where did she study mathematics?"
    assert "1 of 1 calls replayed into runs/before" in await somebody.types(shown("Replay"))
    (gates,) = (text for text in [shown("Gates", language="toml")] if "max" in text)
    somebody.has(gates__toml=gates)
    for run in ("before", "after"):
        shutil.copy(tmp_path / "truth.toml", tmp_path / "runs" / run)
    await somebody.types(shown("Score"))
    await somebody.types("viva score runs/after")
    # The draft, corrected in the page.
    said = await somebody.types(shown("Score", 1))
    assert "A draft of 1 calls is in data/recordings/truth.toml." in said
    drafted = tmp_path / "data" / "recordings" / "truth.toml"
    await correct(tmp_path / "data" / "recordings" / "report.html", saved=drafted)
    corrected = Truth.load(drafted).calls[recording.name].utterances[0]
    assert (corrected.text, corrected.says) == ("Where did she learn it?", ("Yale|Vassar",))
    assert "answer_accuracy" in await somebody.types("viva score data/recordings")
    assert somebody.scores("data/recordings")["answer_accuracy"]["n"] >= 1
    # The report, a comparison and rules.
    assert "The report is runs/before/report.html" in await somebody.types(shown("The report"))
    assert (tmp_path / "what-changed.html").stat().st_size > 10_000
    assert "e2e_latency" in await somebody.types(shown("Compare"))
    found = somebody.scores("runs/before")
    late = found["e2e_latency_p95"]["value"] > 2.5
    await somebody.types(shown("Gates"), status=int(late))
    table = re.findall(r"\| `(viva [^`]+)` \|", PAGE.read_text("utf-8"))
    for step in table:
        if "gate" not in step:
            await somebody.types(step)


async def correct(page_file: Path, saved: Path) -> None:
    """Correct the first utterance of the first call in the report's page, and save the truth."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        page = await browser.new_page()
        await page.goto(page_file.as_uri())
        truth = page.locator("#c1 .truth")
        await truth.locator("summary").click()
        first = truth.locator("fieldset").first
        await first.get_by_label("Words").fill("Where did she learn it?")
        await first.get_by_label("A right answer says, by ;").fill("Yale|Vassar")
        async with page.expect_download() as saving:
            await page.get_by_role("button", name="Save truth.toml").click()
        await (await saving.value).save_as(saved)
        await browser.close()


@pytest.mark.thorough
async def test_calls_from_elsewhere_are_imported_and_replayed(tmp_path: Path) -> None:
    somebody = Newcomer(tmp_path)
    shutil.copy(ROOT / "knowledge" / "grace-hopper.md", tmp_path / "handbook.md")
    asks, answers = ("where-studied", 0, 2.0), ("taught-at-vassar", 1, 5.0)
    somebody.hears("call.wav", asks, answers, ("age", 0, 10.0), secs=16)
    somebody.hears("a.wav", asks, ("age", 0, 10.0), secs=16)
    somebody.hears("b.wav", ("taught-at-vassar", 0, 5.0), secs=16)
    somebody.hears("mixed.wav", asks, ("taught-at-vassar", 0, 5.0), secs=16)
    somebody.has(
        call__vtt="WEBVTT\n\n"
        "00:02.000 --> 00:04.200\n<v Caller>Where did she study mathematics?\n\n"
        "00:05.000 --> 00:07.500\n<v Agent>She taught at Vassar.\n\n"
        "00:10.000 --> 00:12.000\n<v Caller>How old was she?\n",
        call__stm="mixed 1 Ada 2.0 4.2 Where did she study mathematics?\n"
        "mixed 1 Ben 5.0 7.5 She taught at Vassar.\n",
    )
    said = await somebody.types(shown("Calls from elsewhere"))
    assert said.count("1 of 1 calls replayed into") == 2
    assert "1 turns, 16.0 s" not in said, "the two-channel file has two turns"
    for name in ("call", "a", "mixed"):
        told = await somebody.types(f"viva recording transcript {name}.mcap")
        assert "study" in told, name
        assert "Vassar" in told, name
    await somebody.types("viva score runs/with-viva && viva report runs/with-viva")


@pytest.mark.thorough
@pytest.mark.real_time
async def test_fifty_simulated_callers_call_and_are_scored(tmp_path: Path) -> None:
    """Some ten minutes of calls, four at once."""
    somebody = Newcomer(tmp_path)
    shutil.copytree(ROOT / "examples" / "personas", tmp_path / "examples" / "personas")
    calls, score, report = shown("Simulated callers").splitlines()
    assert "50 of 50 calls are in runs/callers" in await somebody.types(calls)
    assert "goals_reached" in await somebody.types(score)
    await somebody.types(report)
    found = somebody.scores("runs/callers")
    assert found["goals_reached"]["n"] == 33, "the personas that name facts"
    assert found["wrong_ideas_corrected"]["n"] == 17
    with in_time():  # whom nobody answers in time loses patience
        assert found["goals_reached"]["value"] > 0.8
        assert found["wrong_ideas_corrected"]["value"] > 0.8
    assert (tmp_path / "runs" / "callers" / "report.html").stat().st_size > 100_000


@pytest.mark.thorough
@pytest.mark.real_time
async def test_a_model_plays_a_caller(tmp_path: Path) -> None:
    somebody = Newcomer(tmp_path)
    shutil.copytree(ROOT / "examples" / "personas", tmp_path / "examples" / "personas")
    asks = Reply("speak", {"say": "Where did she work after the war?", "hang_up": False})
    thanks = Reply("speak", {"say": "Thank you.", "hang_up": True})
    async with OpenAISimulator(Model(script=(asks, thanks)), models=("qwen3",)) as model:
        said = await somebody.types(shown("Simulated callers", 1).replace(OLLAMA, model.url))
        assert len(model.requests) >= 2
    assert "1 of 1 calls are in runs/journalist" in said


@pytest.mark.thorough
async def test_people_s_recordings_are_heard_and_made_calls_of(tmp_path: Path) -> None:
    somebody = Newcomer(tmp_path)
    spoken = {
        "where-studied": ("Where did she study mathematics?", "heart"),
        "where-studied-joe": ("Where did she study mathematics?", "joe"),
        "flow-matic": ("What was FLOW-MATIC?", "heart"),
        "first-compiler-joe": ("What was the first compiler called?", "joe"),
    }
    folder = tmp_path / "recordings"
    folder.mkdir()
    for name in spoken:
        shutil.copy(AUDIO / f"{name}.wav", folder)
    rows = [f"{name}.wav\t{text}\t{group}\n" for name, (text, group) in spoken.items()]
    (folder / "index.tsv").write_text("file\ttext\tgroup\n" + "".join(rows), "utf-8")
    assert "4 recordings: p50" in await somebody.types(shown("Voices"))
    assert "word_error_rate" in await somebody.types(shown("Voices", 1))
    assert somebody.scores("runs/people")["word_error_rate"]["n"] >= 2
    assert "joe" in await somebody.types(f"cd {ROOT} && python -m benchmarks.stt --voices {folder}")
