"""The report: every figure leads to the turns behind it, and every turn to its figures."""

import base64
import hashlib
import html
import json
import re
import shlex
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from cli import app
from evals.report import report_file
from evals.report.run import ReportError
from evals.report.truth_editor import DECISION_LABELS, KIND_LABELS
from evals.scoring.calls import Run
from evals.scoring.score import score
from evals.scoring.truth import DECISIONS, KINDS, Truth
from tests.evals.report import made


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three calls: one that misses the target for stop time, a cough, and three questions."""
    return made.run(tmp_path_factory.mktemp("runs") / "today")


@pytest.fixture(scope="module")
def page(run: Path) -> str:
    report_file.write([run], out := run / "report.html")
    return out.read_text("utf-8")


def _words(page: str) -> str:
    """What a page says, without its elements."""
    without = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", without)).split())


def _section(page: str, anchor: str) -> str:
    """The element of an anchor, up to the next of its kind."""
    found = re.search(rf'<(\w+)[^>]* id="{re.escape(anchor)}"', page)
    assert found is not None, f"there is no {anchor}"
    end = page.find(f"<{found[1]} ", found.end())
    return page[found.start() : end if end > 0 else None]


def test_every_link_leads_somewhere_and_every_place_has_one_name(page: str) -> None:
    names = Counter(re.findall(r' id="([^"]+)"', page))
    assert [name for name, count in names.items() if count > 1] == []
    linked = set(re.findall(r'href="#([^"]+)"', page))
    assert linked - set(names) == set()
    assert len(linked) > 20


def test_a_figure_leads_to_the_turns_behind_it_and_they_lead_back(page: str) -> None:
    figure = _section(page, "m-stop_time")
    assert "0.550 s" in _words(figure)
    turns = re.findall(r'href="#(c\d+-t\d+)"', figure)
    assert turns, "stop time has no turn behind it"
    for turn in turns:
        assert 'href="#m-stop_time"' in _section(page, turn)


def test_a_missed_target_is_told_in_words(page: str) -> None:
    missed = _section(page, "m-stop_time")
    assert "missed: at most 0.420 s" in _words(missed)
    met = _section(page, "m-backchannel_selectivity")
    assert "met: at least 0.900" in _words(met)
    assert "1 of 4 targets missed." in _words(page)


def test_what_cannot_be_known_is_no_figure(page: str) -> None:
    figure = _words(_section(page, "m-pause_takeover"))
    assert "\N{EN DASH}" in figure
    assert "unknown: at most 0.120" in figure


def test_a_moment_outside_of_turns_leads_to_its_place_on_the_time_line(page: str) -> None:
    figure = _section(page, "m-backchannel_selectivity")
    # The barge-in call is the first by name; its "Okay" is in the first 20 seconds.
    assert 'href="#c1-s0"' in figure


def test_the_page_asks_nothing_of_a_network(page: str) -> None:
    addresses = re.findall(r'(?:src|href)="([^"#][^"]{0,22})', page)
    assert {address.split(",")[0] for address in addresses} == {"data:audio/mpeg;base64"}
    assert "@import" not in page
    assert "url(" not in page


def test_its_policy_lets_its_own_style_and_script_run_and_no_other(page: str) -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    told = html.unescape(policy[1])
    assert "default-src 'none'" in told
    for element in ("style", "script"):
        body = re.search(rf"<{element}>(.*?)</{element}>", page, flags=re.DOTALL)
        assert body is not None
        digest = base64.b64encode(hashlib.sha256(body[1].encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in told
    assert " style=" not in page
    assert not re.search(r"<[^>]+ on\w+=", page)


def test_what_a_caller_said_is_no_markup(page: str) -> None:
    assert "<she>" not in page
    assert "How old is &lt;she&gt;?" in page


def test_what_was_not_heard_is_struck_out(page: str) -> None:
    turn = _section(page, "c1-t1")
    assert "interrupted" in turn
    assert re.search(r"<del>.*in 1934\.</del>", turn)


def test_the_same_run_makes_the_same_page(run: Path, page: str, tmp_path: Path) -> None:
    report_file.write([run], tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text("utf-8") == page


def test_the_sound_of_a_turn_is_in_the_page(page: str) -> None:
    sounds = re.findall(r'src="data:audio/mpeg;base64,([^"]+)"', page)
    assert len(sounds) == 6
    assert all(base64.b64decode(sound)[:2] == b"\xff\xf3" for sound in sounds), "MPEG-2 layer III"


def test_what_does_not_fit_is_left_out_the_least_telling_first(run: Path, tmp_path: Path) -> None:
    # 28 kB are room for one turn: that which stopped too late.
    report_file.write([run], out := tmp_path / "small.html", audio_mb=0.028)
    small = out.read_text("utf-8")
    assert len(re.findall("data:audio", small)) == 1
    assert "data:audio" in _section(small, "c1-t2") or "data:audio" in _section(small, "c1-t1")
    assert "The audio of 5 turns behind a figure" in _words(small)
    assert "--audio-mb" in _words(small)


def test_without_room_there_is_no_sound_at_all(run: Path, tmp_path: Path) -> None:
    report_file.write([run], out := tmp_path / "silent.html", audio_mb=0)
    assert "<audio" not in out.read_text("utf-8")


def test_a_damaged_recording_is_told_and_the_others_are_shown(tmp_path: Path) -> None:
    run = made.run(tmp_path / "run")
    damaged = run / "cough.mcap"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    report_file.write([run], out := tmp_path / "report.html")
    told = _words(out.read_text("utf-8"))
    assert "cough.mcap is damaged" in told
    assert "Where did she study mathematics?" in told


@pytest.mark.thorough
def test_a_recording_that_is_gone_is_told(tmp_path: Path) -> None:
    run = made.run(tmp_path / "run")
    (run / "cough.mcap").unlink()
    report_file.write([run], out := tmp_path / "report.html")
    assert "cough.mcap cannot be read" in _words(out.read_text("utf-8"))


def test_a_recording_without_the_agents_voice_says_so(tmp_path: Path) -> None:
    run = made.run(tmp_path / "run", {"redacted": (made.STUDIED,)}, voice=False)
    report_file.write([run], out := tmp_path / "report.html")
    page = out.read_text("utf-8")
    assert "The agent's voice is not in this recording" in _words(page)
    assert "She studied at Vassar" in page


def test_a_replay_says_what_it_was_run_with_and_what_it_lacked(tmp_path: Path) -> None:
    run = made.run(tmp_path / "run", {"one": (made.STUDIED,)})
    noted = {
        "viva": "9.9",
        "options": {"from": "audio", "stages": {"brain": "extractive"}, "set": {"BARGE_IN": "x"}},
        "speed_x_realtime": 123.4,
        "refused": [{"source": "/somewhere/old.mcap", "error": "old.mcap is damaged."}],
        "calls": [
            {
                "file": "one.mcap",
                "differs": [{"what": "turn 1", "recorded": "respond", "replayed": "escalate"}],
            }
        ],
    }
    (run / "run.json").write_text(json.dumps(noted))
    report_file.write([run], out := tmp_path / "report.html")
    told = _words(out.read_text("utf-8"))
    assert "brain extractive" in told
    assert "BARGE_IN x" in told
    assert "123 x real time per core" in told
    assert "turn 1: respond when recorded, escalate when replayed" in told
    assert "old.mcap was not replayed: old.mcap is damaged." in told
    assert "/somewhere" not in told


def test_a_call_without_truth_shows_what_was_recognised(tmp_path: Path) -> None:
    run = made.run(tmp_path / "run", {"one": (made.STUDIED,)})
    scores = json.loads((run / "scores.json").read_text())
    scores["calls"][0]["utterances"] = []
    (run / "scores.json").write_text(json.dumps(scores))
    report_file.write([run], out := tmp_path / "report.html")
    assert re.search(r'class="said caller question"[^>]*>Where did she', out.read_text("utf-8"))


def test_without_truth_no_target_is_met_or_missed(tmp_path: Path) -> None:
    run = made.run(tmp_path / "run", {"one": (made.STUDIED,)})
    (run / "truth.toml").write_text("")
    score(Run.read(run), Truth.load(run / "truth.toml")).write(run / "scores.json")
    report_file.write([run], out := tmp_path / "report.html")
    page = out.read_text("utf-8")
    told = _words(page)
    assert "No target applies" in told
    assert "targets missed" not in told
    assert "0.500 s" in _words(_section(page, "m-e2e_latency_p50"))
    assert 'id="m-stop_time"' in page


def test_the_truth_of_recordings_can_be_edited_in_the_page(run: Path, tmp_path: Path) -> None:
    report_file.write([run], out := tmp_path / "report.html", edit_truth=True, audio_mb=0)
    page = out.read_text("utf-8")
    calls = json.loads(html.unescape(re.findall(r'data-calls="([^"]*)"', page)[0]))
    known = Truth.load(run / "truth.toml").calls
    assert [call["file"] for call in calls] == sorted(known)
    for call in calls:
        table = {name: value for name, value in call.items() if value}
        told = "\n".join(
            ["[[call]]", *(f"{k} = {json.dumps(v)}" for k, v in table.items() if k != "utterance")]
        )
        for said in call["utterance"]:
            fields = "\n".join(f"{k} = {json.dumps(v)}" for k, v in said.items())
            told += f"\n[[call.utterance]]\n{fields}"
        (tmp_path / "truth.toml").write_text(told)
        assert Truth.load(tmp_path / "truth.toml").calls[call["file"]] == known[call["file"]]
    assert page.count("the whole call") == len(calls)
    assert set(KIND_LABELS) == set(KINDS)
    assert set(DECISION_LABELS) == set(DECISIONS)


def test_the_truth_of_replays_is_not_edited(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="for one folder of recordings"):
        report_file.write([run, run], tmp_path / "report.html", edit_truth=True)
    replays = tmp_path / "replays"
    replays.mkdir()
    (replays / "scores.json").write_bytes((run / "scores.json").read_bytes())
    (replays / "run.json").write_text('{"calls": []}')
    with pytest.raises(ReportError, match="holds replays"):
        report_file.write([replays], tmp_path / "report.html", edit_truth=True)


def test_more_calls_than_a_page_holds_are_in_its_table(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evals.report.page.MOST_CALLS", 1)
    report_file.write([run], out := tmp_path / "report.html")
    page = out.read_text("utf-8")
    assert page.count('class="call"') == 1
    assert "2 calls of 3 are only in the table" in _words(page)
    assert 'id="c1" aria-labelledby' in page, "the call that misses a target is the one shown"
    linked = set(re.findall(r'href="#([^"]+)"', page))
    assert linked <= set(re.findall(r' id="([^"]+)"', page))


@pytest.mark.parametrize(
    ("scores", "why"),
    [
        (None, "has no scores.json; run viva score"),
        ("{", "is not JSON"),
        ("[]", "holds no JSON object"),
        ('{"metrics": 1, "calls": []}', "metrics is 1; it must be an object"),
    ],
)
def test_a_folder_that_was_not_scored_is_refused(
    tmp_path: Path, scores: str | None, why: str
) -> None:
    if scores is not None:
        (tmp_path / "scores.json").write_text(scores)
    with pytest.raises(ReportError, match=re.escape(why)):
        report_file.write([tmp_path], tmp_path / "report.html")


def test_a_file_that_cannot_be_written_is_told_and_the_old_one_kept(
    run: Path, tmp_path: Path
) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(ReportError, match="cannot be written"):
        report_file.write([run], tmp_path / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_report_is_of_one_run_or_two(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="3 runs"):
        report_file.write([run] * 3, tmp_path / "report.html")
    with pytest.raises(ReportError, match="--audio-mb is -1"):
        report_file.write([run], tmp_path / "report.html", audio_mb=-1)


def test_the_command_writes_into_the_run_and_refuses_what_was_not_scored(
    run: Path, tmp_path: Path
) -> None:
    made_one = CliRunner().invoke(app, ["report", str(run), "--out", str(tmp_path / "r.html")])
    assert made_one.exit_code == 0, made_one.output
    assert "The report is" in made_one.stderr
    assert (tmp_path / "r.html").exists()
    refused = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert refused.exit_code == 2
    assert "run viva score" in " ".join(refused.stderr.split())


# Two runs beside each other.

HANDED_ON = replace(
    made.COMPILER,
    record={"decision": "escalate", "reason": "unsupported"},
    answer=("That is not in the CV.",),
)


@pytest.fixture(scope="module")
def pair(run: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same calls by a brain that is slower, and that knows less."""
    calls = {
        "three-questions": (made.STUDIED, HANDED_ON, made.PAY),
        "barge-in": made.CALLS["barge-in"],
        "new": (made.STUDIED,),
    }
    folder = tmp_path_factory.mktemp("runs") / "other"
    other = made.run(folder, calls, wait=0.8)
    report_file.write([run, other], out := folder / "pair.html")
    return out.read_text("utf-8")


def test_a_turn_that_was_decided_otherwise_is_shown_side_by_side(pair: str) -> None:
    changed_turn = _section(pair, "d-three-questions-a2")
    assert "decision respond → became escalate" in _words(changed_turn)
    assert changed_turn.count('class="side"') == 2
    assert changed_turn.count("<audio") == 2
    assert "It was called A-0." in changed_turn
    assert "That is not in the CV." in changed_turn
    assert changed_turn.count('class="timeline-row"') >= 2


def test_a_turn_that_only_came_later_is_a_line_in_a_table(pair: str) -> None:
    faster = _words(_section(pair, "faster"))
    assert (
        "three-questions, turn 1 Where did she study mathematics? 0.50 s 0.80 s +0.300 s" in faster
    )


def test_a_difference_has_its_interval_its_test_and_its_pairs(pair: str) -> None:
    row = re.search(r"<tr><th scope=\"row\">Escalation accuracy.*?</tr>", pair)
    assert row is not None
    told = _words(row[0])
    assert told.startswith("Escalation accuracy 1 0.833 ")
    assert "\N{MINUS SIGN}0.200" in told
    assert "p = 1" in told
    assert told.endswith(" 5")


def test_what_only_one_run_has_is_told(pair: str) -> None:
    told = _words(pair)
    assert "Only in today: cough.mcap" in told
    assert "Only in other: new.mcap" in told


def test_both_runs_are_in_each_distribution(pair: str) -> None:
    figure = pair[pair.index("<code>e2e_latency</code>") :]
    figure = figure[: figure.index("</figure>")]
    assert 'class="step before"' in figure
    assert "0.50 s" in _words(figure)
    assert "0.80 s" in _words(figure)


def test_links_of_a_comparison_lead_somewhere(pair: str) -> None:
    names = Counter(re.findall(r' id="([^"]+)"', pair))
    assert [name for name, count in names.items() if count > 1] == []
    assert set(re.findall(r'href="#([^"]+)"', pair)) <= set(names)


@pytest.mark.thorough
def test_a_run_held_against_itself_has_not_changed(run: Path, tmp_path: Path) -> None:
    report_file.write([run, run], out := tmp_path / "same.html")
    page = out.read_text("utf-8")
    assert "6 turns of 3 calls are in both; none changed." in _words(page)
    assert 'class="changed-turn"' not in page
    assert "today (A)" in page


@pytest.mark.thorough
def test_a_turn_that_only_one_run_has_stands_beside_what_happened_then(
    run: Path, tmp_path: Path
) -> None:
    shorter = {**made.CALLS, "three-questions": (made.STUDIED, made.COMPILER)}
    other = made.run(tmp_path / "shorter", shorter)
    report_file.write([run, other], out := tmp_path / "pair.html")
    page = out.read_text("utf-8")
    changed_turn = _section(page, "d-three-questions-a3")
    assert "This run has no such turn; this is the same moment." in _words(changed_turn)
    assert changed_turn.count('class="timeline-row"') == 2
    assert "Turns of only one run" in _words(page)


# The evaluators' page.

PAGE = Path(__file__).parents[3] / "docs" / "evaluating.md"


def _commands() -> list[str]:
    told = PAGE.read_text("utf-8")
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", told, flags=re.DOTALL | re.MULTILINE)
    blocks = "\n".join(text for language, text in fenced if not language).splitlines()
    cells = re.findall(r"\| `([^`]+)` \|", told)
    lines = (part.strip() for line in [*blocks, *cells] for part in line.split("&&"))
    return sorted({line for line in lines if line.startswith("viva ")})


@pytest.mark.parametrize("command", _commands())
def test_the_evaluators_page_shows_commands_that_there_are(command: str) -> None:
    words = shlex.split(command)[1:]
    parsed: Any = get_command(app)
    while hasattr(parsed, "commands"):
        assert words[0] in parsed.commands, f"viva has no {words[0]}"
        parsed = parsed.commands[words.pop(0)]
    # What it cannot parse it refuses here.
    parsed.make_context(parsed.name, words)


def test_the_evaluators_page_shows_every_step() -> None:
    steps = {command.split()[1] for command in _commands()}
    assert steps >= {"ask", "eval", "recording", "replay", "score", "report", "compare", "gate"}
