"""Files of questions: what they may say, and how a mistake in one is told."""

import re
from pathlib import Path

import pytest

from evals.scoring.expectation import DECISIONS, Expectation
from evals.text.questions import QuestionsError, Turn, load


def read(folder: Path, text: str, name: str = "questions.toml") -> tuple[Turn, ...]:
    path = folder / name
    path.write_text(text, "utf-8")
    return tuple(turn for scenario in load(path) for turn in scenario.turns)


def test_what_is_expected_stands_beside_the_question_or_under_expect(tmp_path: Path) -> None:
    beside = '[[questions]]\nask = "Where?"\nsays = ["Porto"]\nsections = "education"\n'
    under = '[[questions]]\nask = "Where?"\nexpect = { says = "Porto", section = "education" }\n'
    wanted = Expectation(says=("Porto",), sections=("education",), decision="respond")
    assert read(tmp_path, beside) == read(tmp_path, under) == (Turn("Where?", (wanted,)),)


def test_a_text_under_expect_is_a_criterion_for_a_judge(tmp_path: Path) -> None:
    path = tmp_path / "q.toml"
    path.write_text('[[questions]]\nask = "Why?"\nexpect = "gives a reason"\n', "utf-8")
    (scenario,) = load(path)
    assert scenario.needs_judge
    assert scenario.turns[0].expectations[0].criterion == "gives a reason"


def test_a_question_names_its_document_beside_the_file_and_what_was_asked_before(
    tmp_path: Path,
) -> None:
    path = tmp_path / "q.toml"
    path.write_text(
        'document = "ana.md"\n[[questions]]\nask = "Where?"\n[[questions]]\nask = "And when?"\n'
        'after = ["Where?"]\ndocument = "bob.md"\ndecision = "escalate"\n',
        "utf-8",
    )
    first, second = load(path)
    assert (first.document, second.document) == (tmp_path / "ana.md", tmp_path / "bob.md")
    assert [turn.ask for turn in second.turns] == ["Where?", "And when?"]
    assert second.name == "Where? / And when?"
    assert second.turns[0].expectations == ()


def test_the_same_question_twice_has_two_names(tmp_path: Path) -> None:
    path = tmp_path / "q.toml"
    path.write_text('[[questions]]\nask = "Who?"\n[[questions]]\nask = "Who?"\n', "utf-8")
    assert [scenario.name for scenario in load(path)] == ["Who? (1)", "Who? (2)"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("questions = 3", r"questions is 3; it must be tables"),
        ("", r"questions is missing"),
        ('[[questions]]\nsays = ["a"]', r"question 1: ask is missing or empty"),
        ('[[questions]]\nask = "Q"\nanswer = "a"', r"answer is unknown; allowed: ask, after"),
        ('[[questions]]\nask = "Q"\ndecision = "reply"', r"decision is 'reply'; it must be one of"),
        ('[[questions]]\nask = "Q"\nsays = ["|"]', r"says is \['\|'\]; it must be a list of texts"),
        ('[[questions]]\nask = "Q"\nexpect = 3', r"expect is 3; it must be a criterion in words"),
        ('[[questions]]\nask = "Q"\nsays = "a"\nexpect = {says = "b"}', r"says stands beside"),
        ('[[questions]]\nask = "Q"\nnot = "a"\nnever = "b"', r"not and never are the same"),
        ('[[questions]]\nask = "Q"\nwithin_secs = 0', r"within_secs is 0; it must be seconds"),
        ("[[questions]\n", r"is not TOML"),
        ('[[question]]\nask = "Q"', r"question is unknown; allowed: kind, document, questions"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_is_allowed(
    text: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(QuestionsError, match=told):
        read(tmp_path, text)


def test_other_files_and_missing_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(QuestionsError, match=r"ends in one of .toml, .yaml, .yml"):
        load(tmp_path / "questions.json")
    with pytest.raises(QuestionsError, match="there is no such file"):
        load(tmp_path / "questions.toml")
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9\n")
    with pytest.raises(QuestionsError, match="not UTF-8"):
        load(tmp_path / "latin.toml")


# YAML, as pipecat eval reads it.

SCENARIO = """
name: cv
document: ana.md
judge: !include judge.yaml
scenarios:
  - name: education
    turns:
      - expect:
          - event: response
            text_contains: "AI"
      - user: "Where did she study?"
        expect:
          - event: user_transcription
            text_contains: "study"
          - event: response
            text_contains: Porto
            text_excludes: Lisbon
            eval: "says where she studied"
            within_ms: 4000
            sections: [education]
  - name: salary
    turns:
      - user: "What does she earn?"
        expect:
          - event: function_call
            calls:
              - name: escalate
                args: { reason: sensitive }
"""


def test_scenarios_of_pipecat_are_asked(tmp_path: Path) -> None:
    (tmp_path / "judge.yaml").write_text("eval:\n  service: ollama\n", "utf-8")
    path = tmp_path / "cv.yaml"
    path.write_text(SCENARIO, "utf-8")
    education, salary = load(path)
    assert (education.name, education.document) == ("cv/education", tmp_path / "ana.md")
    greeting, asked = education.turns
    assert (greeting.ask, greeting.expectations[0].contains) == (None, ("AI",))
    assert asked.expectations[1] == Expectation(
        contains=("Porto",),
        excludes=("Lisbon",),
        sections=("education",),
        criterion="says where she studied",
        within_secs=4.0,
    )
    assert salary.turns[0].expectations == (Expectation(decision="sensitive"),)


@pytest.mark.parametrize(
    ("turns", "told"),
    [
        ("[{dtmf: '1'}]", "dtmf cannot be had in writing"),
        ("[{user: Hi, send_after: {delay_ms: 5}}]", "send_after cannot be had in writing"),
        ("[{user: Hi, expect: [{event: bot_started_speaking}]}]", "in writing there are response"),
        ("[{user: Hi, expect: [{event: response, absent: true}]}]", "event is 'absent llm_resp"),
        ("[{user: Hi, expect: [{event: function_call, name: weather}]}]", "of 'weather'; allowed"),
        ("[{user: Hi}, {expect: [{event: response}]}]", "only the first turn, the greeting"),
        ("[{user: Hi, expect: [{event: response, decision: no}]}]", "decision is False"),
        ("{}", "is no scenario of pipecat's evals"),
    ],
)
def test_what_cannot_be_had_in_writing_is_told(turns: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(QuestionsError, match=told):
        read(tmp_path, f"name: n\nscenarios:\n  - name: s\n    turns: {turns}\n", "s.yaml")


def test_audio_and_personas_are_for_pipecat_eval_itself(tmp_path: Path) -> None:
    spoken = "{modality: audio, speech: {service: kokoro, voice: v}}"
    audio = f"name: n\nscenarios: [{{name: s, user: {spoken}, turns: [{{user: Hi}}]}}]"
    with pytest.raises(QuestionsError, match="its modality is audio"):
        read(tmp_path, audio, "s.yaml")
    persona = "name: n\nscenarios: [{name: s, persona: Jo, goal: g, success: s}]"
    with pytest.raises(QuestionsError, match="only scripted turns can be asked"):
        read(tmp_path, persona, "s.yml")


def test_the_files_that_the_documentation_shows_can_be_read(tmp_path: Path) -> None:
    page = Path("docs/evaluating.md").read_text("utf-8")
    toml = "".join(re.findall(r"```toml\n(# questions.toml\n.*?)```", page, re.DOTALL))
    (yaml,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    asked = read(tmp_path, toml)
    assert [turn.expectations[0].decision for turn in asked if turn.expectations] == [
        "respond", "respond", "escalate", "respond",
    ]  # fmt: skip
    greeting, *others = read(tmp_path, yaml, "cv.yaml")
    assert greeting.ask is None
    assert [turn.expectations[0].decision for turn in others] == ["", "escalate"]
    assert all(f"| `{name}` |" in page for name in DECISIONS)
