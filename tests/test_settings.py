"""Settings as people write them: encodings, homes, empty values and names nearly right."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

import cli
from pipeline.vendor import secret
from pipeline.vendors.claude import ClaudeSettings
from pipeline.vendors.deepgram import DeepgramSettings
from settings import ENV_FILE, Settings, SettingsError, current, meant_by, without_effect


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory and an environment without settings."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_in_utf_16_is_refused_with_what_to_do(encoding: str) -> None:
    Path(".env").write_bytes("MAX_CALLS=7\r\n".encode(encoding))
    with pytest.raises(SettingsError, match=r"^\.env .*: it is UTF-16, .* Save it as UTF-8"):
        Settings.load()


def test_a_file_in_another_encoding_is_refused_with_the_line() -> None:
    Path(".env").write_bytes("MAX_CALLS=7\nMAIL_FROM=Büro <a@b.example>\n".encode("cp1252"))
    with pytest.raises(SettingsError, match=r"line 2 \(MAIL_FROM\) is not UTF-8 text, .*1252"):
        Settings.load()
    Path(".env").write_bytes("# für alle\nMAX_CALLS=7\n".encode("cp1252"))
    with pytest.raises(SettingsError, match="line 1 is not UTF-8 text"):
        Settings.load()


def test_a_byte_order_mark_is_no_part_of_the_first_name() -> None:
    Path(".env").write_bytes("MAX_CALLS=7\n# für alle\n".encode("utf-8-sig"))
    assert Settings.load().max_calls == 7


def test_a_path_may_begin_in_a_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    Path(".env").write_text("DATA_DIR=~/viva\nKNOWLEDGE=~/cv.md\n")
    settings = Settings.load()
    assert settings.data_dir == Path("/home/ada/viva")
    assert settings.knowledge == Path("/home/ada/cv.md")
    assert Settings.load(data_dir=Path("data~")).data_dir == Path("data~")
    with pytest.raises(
        SettingsError, match=r"DATA_DIR=.*: there is no home directory ~nobody-here"
    ):
        Settings.load(data_dir=Path("~nobody-here/viva"))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DAILY_SPEND_CAP", ("DAILY_SPEND_CAP_USD",)),
        ("MAX_CALLS_PER_DAY", ("MAX_CALLS",)),
        ("PORT_NUMBER", ("PORT",)),
        ("VIVA_MAX_CALLS", ("MAX_CALLS",)),
        ("MAX_CALL", ("MAX_CALLS",)),
        ("RESEND", ("RESEND_API_KEY", "RESEND_BASE_URL")),
        ("PUBLIC", ("PUBLIC_URL",)),
        ("MAX_CALLS", ()),
        ("DRAIN_S", ()),  # an alias
        ("COMPOSE_PROJECT_NAME", ()),
        ("HOSTNAME", ()),
        ("TZ", ()),
    ],
)
def test_a_name_that_begins_as_a_setting_means_it(name: str, meant: tuple[str, ...]) -> None:
    assert meant_by(name) == meant


def test_what_sets_nothing_is_told_with_what_was_meant() -> None:
    Path(".env").write_text("PORT=7870\ndaily_spend_cap=5\nCOMPOSE_PROFILES=x\nno tall calls\n")
    environment = {"MAX_CALLS_PER_DAY": "3", "HOSTNAME": "h", "PORT_1": "1", "HOST_IP": "10.0.0.1"}
    assert without_effect(environment) == [
        ".env, line 4: 'no tall calls' sets nothing; write NAME=value.",
        ".env, line 2: daily_spend_cap is unknown; did you mean DAILY_SPEND_CAP_USD?",
        "the environment: MAX_CALLS_PER_DAY is unknown; did you mean MAX_CALLS?",
    ]
    Path(".env").unlink()
    assert without_effect({}) == []


def test_an_unset_variable_does_not_move_the_data_to_the_default_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATA_DIR", "")  # DATA_DIR=$UNSET
    monkeypatch.setenv("LOG_LEVEL", "loud")
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert str(caught.value).splitlines() == [
        "DATA_DIR='': give it a value, or remove it to use its default, data.",
        "LOG_LEVEL='loud': allowed: 'TRACE', 'DEBUG', 'INFO', 'WARNING', 'ERROR'.",
    ]
    assert caught.value.names == ("data_dir", "log_level")


def test_an_empty_line_is_named_as_it_is_written() -> None:
    ENV_FILE.write_text("DRAIN_S=\n")
    with pytest.raises(SettingsError, match=r"^DRAIN_S='': give it a value, .* default, 30\.0\.$"):
        Settings.load()


def test_white_space_around_a_value_is_none_of_it_and_alone_it_is_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLAUDE_MODEL", " claude-haiku-4-5\t")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key\r\n")
    monkeypatch.setenv("PORT", " 7000 ")
    ENV_FILE.write_text('BARGE_IN=" instant "\nDEEPGRAM_MODEL="  "\n')
    with pytest.raises(SettingsError, match="DEEPGRAM_MODEL='': give it a value"):
        Settings.load()
    monkeypatch.setenv("DEEPGRAM_MODEL", "nova-3 ")
    settings = Settings.load()
    claude = settings.for_vendor(ClaudeSettings)
    assert claude.claude_model == "claude-haiku-4-5"
    assert secret(claude.anthropic_api_key) == "key"
    assert (settings.port, settings.barge_in) == (7000, "instant")
    assert settings.for_vendor(DeepgramSettings).deepgram_model == "nova-3"


def test_what_may_be_empty_or_is_given_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KNOWLEDGE", "DAILY_SPEND_CAP_USD", "ALLOW", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("PORT", "7999")
    ENV_FILE.write_text("PORT=\nDATA_DIR=\n")
    settings = Settings.load(data_dir=Path("elsewhere"))
    assert settings.port == 7999
    assert settings.data_dir == Path("elsewhere")
    assert settings.daily_spend_cap_usd is None


def test_a_variable_that_is_set_to_nothing_hides_what_the_file_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ENV_FILE.write_text("DATABASE_URL=postgresql://viva:pw@production/viva\nPORT=7999\n")
    assert Settings.load().database_url == "postgresql://viva:pw@production/viva"
    monkeypatch.setenv("DATABASE_URL", "")  # DATABASE_URL= viva ledger delete
    assert Settings.load().database_url == ""
    monkeypatch.setenv("PORT", "")
    with pytest.raises(SettingsError, match=r"^PORT='': give it a value, .* to use that of \.env"):
        Settings.load()


def test_what_is_in_force_is_printed_with_where_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    ENV_FILE.write_text(
        "DATABASE_URL=postgresql://viva:secret@db.example/viva\nDEEPGRAM_API_KEY=secret\n"
        "SMTP_URL=smtp://ada:secret@mail.example\nMAX_CALLS=3\nDRAIN_S=4\n"
    )
    monkeypatch.setenv("MAX_CALLS", "7")
    monkeypatch.setenv("BRAIN_BASE_URL", "")
    lines = current(Settings.load()).splitlines()
    assert "DATABASE_URL=postgresql://***@db.example/viva  (.env)" in lines
    assert "DEEPGRAM_API_KEY=***  (.env)" in lines
    assert "SMTP_URL=***  (.env)" in lines
    assert "MAX_CALLS=7  (environment)" in lines
    assert "DRAIN_SECS=4.0  (.env)" in lines
    assert "BRAIN_BASE_URL=  (environment)" in lines
    assert "DATA_DIR=data  (default)" in lines
    assert len(lines) == len(Settings.model_fields)
    assert "secret" not in "".join(lines)


def test_what_is_in_force_is_printed_beside_all_that_serve_would_refuse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ENV_FILE.write_text("PORT=seventy\nBARGE_IN=\nEMBED_ORIGINS=example.com/page\nMAX_CALLS=3\n")
    monkeypatch.setenv("PUBLIC_URL", "viva.example.com")
    monkeypatch.setenv("STT", "depgram")
    printed = CliRunner().invoke(cli.app, ["settings", "--current"])
    assert printed.exit_code == 2
    lines = printed.stdout.splitlines()
    assert {"PORT=seventy  (.env, invalid)", "BARGE_IN=  (.env, invalid)"} <= set(lines)
    assert {"MAX_CALLS=3  (.env)", "EMBED_ORIGINS=example.com/page  (.env)"} <= set(lines)
    assert len(lines) == len(Settings.model_fields)
    named = [line.removeprefix("viva: ")[:10] for line in printed.stderr.splitlines()]
    assert named == ["BARGE_IN='", "PORT='seve", "EMBED_ORIG", "PUBLIC_URL", "STT='depgr"]
    ENV_FILE.write_bytes("MAIL_FROM=Jos\xe9".encode("latin-1"))
    unread = CliRunner().invoke(cli.app, ["settings", "--current"])
    assert "PORT=7860  (default)" in unread.stdout
    assert "STT=depgram  (environment)" in unread.stdout
    assert "viva: .env cannot be read: line 1 (MAIL_FROM) is not UTF-8 text" in unread.stderr
