"""Personas are read from files that people write: what cannot be is named."""

from pathlib import Path

import pytest

from evals.callers.caller import moods
from evals.callers.persona import PersonaError, load, load_all
from evals.callers.voice import check_sounds

EXAMPLES = Path(__file__).parents[3] / "examples" / "personas"

ASKS = 'goal = "Know"\n[[say]]\ntext = "Where did she study?"\n'


def written(folder: Path, text: str, name: str = "ada.toml") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_the_examples_can_be_used_and_show_every_field() -> None:
    personas = load_all([EXAMPLES, *(path for path in EXAMPLES.iterdir() if path.is_dir())])
    for persona in personas:
        check_sounds(persona)
    assert {persona.leader for persona in personas} == {"script", "model"}
    for name in ("reached", "manner", "background", "wrong_idea"):
        assert any(getattr(persona, name) for persona in personas), name
    for name in ("interruptions", "backchannels"):
        assert any(getattr(persona, name).share for persona in personas), name
    assert any(line.says and line.sections for persona in personas for line in persona.script)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("goal = 3", "goal is 3; it must be a text"),
        ('name = "Ada"', "goal is missing"),
        ("goal = [", "is not TOML"),
        (f"mood = 1\n{ASKS}", "mood is unknown; allowed: name, goal"),
        ('goal = "x"\nsay = "Hi"', r"say is 'Hi'; it must be tables, each under \[\[say\]\]"),
        ('goal = "x"\n[[say]]\ntext = "…"', "say 1: text is '…'; it must be words to say"),
        (f'{ASKS}decision = "answer"', "decision is 'answer'; it must be one of respond, escal"),
        (f'{ASKS}decision = "escalate"\nsays = ["x"]', "says, never and expect are of an answer"),
        (f'{ASKS}kind = "cough"', "say 1: kind is 'cough'; it must be one of question, courtesy"),
        (f"reaction_secs = [2, 1]\n{ASKS}", r"reaction_secs is \[2, 1\]; it must be seconds, or"),
        (f"reaction_secs = nan\n{ASKS}", "reaction_secs is nan; it must be seconds"),
        (f"most_turns = 0\n{ASKS}", "most_turns is 0; it must be a whole number from 1 to 50"),
        (f"{ASKS}[patience]\nsecs = true", "patience: secs is True; it must be a number from 1"),
        (f"{ASKS}[interruptions]\nshare = 1.5", "interruptions: share is 1.5; it must be a numb"),
        (f"{ASKS}[backchannels]\nsays = ['']", "backchannels: says is .* none of them empty"),
        (f"{ASKS}[voice]\nspeed = 2", "voice: speed is unknown; allowed: vendor, name, pitch"),
        (f"{ASKS}[voice]\npitch = 13", "voice: pitch is 13; it must be a number from -12 to 12"),
        (f"{ASKS}[voice]\nsettings = {{ a = [] }}", "voice: settings is .* it must be a table"),
        (f"{ASKS}[background]\nsnr_db = 3", "background: it has neither kind and file; one is"),
        (f'{ASKS}[background]\nkind = "rain"', "kind is 'rain'; it must be one of line, crowd"),
        (f"{ASKS}[wrong_idea]\ncorrected = []", "wrong_idea: believes is ''; it must be what"),
        (f"background = 1\n{ASKS}", r"background is 1; it must be a table, under \[background\]"),
    ],
)
def test_a_field_that_cannot_be_used_is_named_with_its_value_and_what_is_allowed(
    tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(PersonaError, match=f"ada.toml.*{says}"):
        load(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[voice]\nvendor = "robot"', "voice: TTS='robot'"),
        ('[voice]\nvendor = "elevenlabs"', "ELEVENLABS"),
        ("[voice]\nsettings = { pace = 2 }", "voice: settings has pace; see `viva settings`"),
        ('[background]\nfile = "cafe.wav"', "cafe.wav: cannot be read as WAV: No such file"),
    ],
)
def test_sounds_that_cannot_be_had_are_told_before_anybody_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ELEVENLABS_API_KEY", raising=False)
    with pytest.raises(PersonaError, match=f"ada.toml: .*{says}"):
        check_sounds(load(written(tmp_path, f"{ASKS}{text}")))


def test_a_folder_without_personas_and_two_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PersonaError, match=r"has no personas \(\*.toml\)"):
        load_all([tmp_path])
    written(tmp_path, ASKS)
    with pytest.raises(PersonaError, match="there are two personas named ada"):
        load_all([tmp_path, tmp_path])
    with pytest.raises(PersonaError, match=r"must be of letters, digits, - and _"):
        load_all([written(tmp_path, ASKS, "a b.toml")])
    with pytest.raises(PersonaError, match=r"nobody.toml cannot be read: No such file"):
        load_all([tmp_path / "nobody.toml"])


def test_a_seed_draws_the_same_moods_and_another_draws_others(tmp_path: Path) -> None:
    persona = load(
        written(tmp_path, f"{ASKS}[interruptions]\nshare = 0.5\nsays = ['Wait.', 'Sorry.']")
    )
    assert moods(persona, 1) == moods(persona, 1) != moods(persona, 2)
    drawn = [mood for seed in range(100) for mood in moods(persona, seed)]
    cuts = [mood.cuts_in for mood in drawn if mood.cuts_in is not None]
    assert 0.45 < len(cuts) / len(drawn) < 0.55
    assert min(cuts) >= 1.0
    assert max(cuts) <= 2.5
