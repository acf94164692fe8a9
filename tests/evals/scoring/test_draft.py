"""A truth file is drafted from a recording, and is a truth file."""

from pathlib import Path

from typer.testing import CliRunner

from evals.commands.truth import app
from evals.scoring.calls import Run
from evals.scoring.draft import Played, draft, played
from evals.scoring.intervals import Interval
from evals.scoring.truth import Truth, Utterance
from tests.evals.scoring.recorded import Recorded


def drafted(folder: Path, call: Recorded) -> tuple[Utterance, ...]:
    call.write(folder)
    done = CliRunner().invoke(app, ["truth", "draft", str(folder)])
    assert done.exit_code == 0, done.output
    return Truth.load(folder / "truth.toml").calls[call.name].utterances


def test_a_question_with_a_pause_a_backchannel_and_an_interruption(tmp_path: Path) -> None:
    call = Recorded().speaks(1.0, 2.0).speaks(2.6, 3.0)
    call.turn(1, 3.0, 'Where did she, "er", study?', sections=["education"])
    call.says(3.5, "She studied at Vassar and then at Yale.", 6.0, turn=1)
    call.speaks(5.0, 5.4)  # mm-hm, and the agent talks on
    call.speaks(7.0, 8.0).interrupted(7.4, played=3.9).turn(2, 8.0, "Stop, what about Harvard?")
    call.says(8.6, "She was at Harvard from 1944.", 2.0, turn=2)
    question, mm_hm, bargein = drafted(tmp_path, call.ends(20.0))
    assert (question.kind, question.text) == ("question", 'Where did she, "er", study?')
    assert (question.start, question.end) == (1.0, 3.0)
    assert question.pauses == (Interval(2.0, 2.6),)
    assert (question.decision, question.sections) == ("", ()), "what is right is not for a draft"
    assert "# the agent did respond, citing education" in (tmp_path / "truth.toml").read_text()
    assert (mm_hm.kind, mm_hm.over_agent, mm_hm.takes_turn) == ("backchannel", True, False)
    assert (bargein.kind, bargein.start, bargein.takes_turn) == ("bargein", 7.0, True)


def test_what_a_caller_found_right_is_the_truth(tmp_path: Path) -> None:
    call = Recorded().speaks(1.0, 2.0).turn(1, 2.0, "Where?", sections=["education"])
    call.says(2.5, "At Vassar.", 1.0, turn=1)
    call.speaks(5.0, 6.0).turn(2, 6.0, "When?", sections=["education"])
    call.ends(9.0).write(tmp_path)
    (facts,) = Run.read(tmp_path).calls
    (tmp_path / "truth.toml").write_text(
        draft([facts], {(facts.call, 1): True, (facts.call, 2): False}), "utf-8"
    )
    right, wrong = Truth.load(tmp_path / "truth.toml").calls[call.name].utterances
    assert (right.decision, right.sections) == ("respond", ("education",))
    assert (wrong.decision, wrong.sections) == ("", ())


def test_a_program_that_calls_knows_what_it_said(tmp_path: Path) -> None:
    told = [
        Played("Where did she study?", (2.0, 3.5), False, "where.wav", False),
        Played("What about Yale?", (6.0, 7.0), True, "yale.wav", True),
        Played("", (9.0, 9.5), False, "cough.wav", True),
    ]
    (tmp_path / "truth.toml").write_text(played("c-1", told), "utf-8")
    question, bargein, cough = Truth.load(tmp_path / "truth.toml").calls["c-1.mcap"].utterances
    assert (question.kind, question.text, question.start, question.end) == (
        "question", "Where did she study?", 2.0, 3.5,
    )  # fmt: skip
    assert (bargein.kind, bargein.over_agent) == ("bargein", True)
    assert not cough.takes_turn


def test_a_truth_file_that_is_there_is_never_replaced(tmp_path: Path) -> None:
    drafted(tmp_path, Recorded().speaks(1.0, 2.0).turn(1, 2.0, "Why?").ends(9.0))
    (tmp_path / "truth.toml").write_text("# corrected by hand\n", "utf-8")
    done = CliRunner().invoke(app, ["truth", "draft", str(tmp_path)])
    assert done.exit_code == 2
    assert "is there already" in done.output
    assert (tmp_path / "truth.toml").read_text("utf-8") == "# corrected by hand\n"
