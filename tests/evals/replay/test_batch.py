"""Many recordings replayed at once: the same digests whoever does it, and nothing is lost."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from shutil import copy
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import app
from evals.replay.batch import Batch, Outcome
from evals.replay.processes import Processes
from evals.replay.recorded_call import Options, ReplayError, replay
from recording.recording import Recording
from recording.rewriting import rewrite

NAMES = ("barge-in", "clean")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, calls: dict[str, Path]) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    for name in NAMES:
        copy(calls[name], folder)
    return folder


@pytest.fixture(scope="module")
def digests(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each recording's replay is, made here and now, with nothing beside it."""
    out = tmp_path_factory.mktemp("alone")
    return {
        path.name: replay(path, out / path.name, Options())["digest"]
        for path in sorted(folder.glob("*.mcap"))
    }


def digests_of(batch: Batch) -> dict[str, str]:
    return {call["file"]: call["digest"] for call in batch.as_dict()["calls"]}


@contextmanager
def load_on_every_core() -> Iterator[None]:
    """Somebody else wants the machine too."""
    spin = [sys.executable, "-c", "while True: sum(range(10_000))"]
    busy = [subprocess.Popen(spin) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def nothing(_outcome: Outcome) -> None:
    pass


def many(folder: Path, place: Path, count: int) -> Path:
    """Each recording so many times, under other names."""
    place.mkdir()
    for path in folder.glob("*.mcap"):
        for number in range(count):
            copy(path, place / f"{path.stem}-{number:02}.mcap")
    return place


@pytest.mark.thorough
def test_two_processes_under_load_make_what_one_makes_alone(
    folder: Path, digests: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for jobs, seed in ((1, "1"), (2, "2")):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        out = tmp_path / f"jobs-{jobs}"
        batch = Batch.find_recordings([folder], out, Options(), workers=jobs)
        with load_on_every_core():
            batch.run(Processes(jobs), nothing)
        found.append(digests_of(batch))

    assert found == [digests, digests]


@pytest.mark.thorough
def test_a_worker_that_is_killed_is_replaced_and_its_call_done_again(
    folder: Path, digests: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "1")
    source = many(folder, tmp_path / "many", 2)
    batch = Batch.find_recordings([source], tmp_path / "out", Options(), workers=2)
    workers = Processes(2)
    killed: list[int] = []

    def kill_once(_outcome: Outcome) -> None:
        if not killed:
            killed.append(workers.pids[0])
            os.kill(killed[0], signal.SIGKILL)

    batch.run(workers, kill_once)

    assert len(killed) == 1
    assert batch.refused == []
    found = digests_of(batch)
    assert len(found) == 4
    for name, digest in found.items():
        assert digest == digests[re.sub(r"-\d\d\.", ".", name)]
    out = tmp_path / "out"
    assert not list(out.glob(".*"))
    written = json.loads((out / "run.json").read_text("utf-8"))
    assert [call["file"] for call in written["calls"]] == sorted(found)
    assert all((out / call["file"]).exists() for call in written["calls"])
    assert all(call["differs"] == [] for call in written["calls"])
    stages = ("vad", "stt", "brain", "tts")
    assert written["options"]["stages"] == dict.fromkeys(stages, "replayed")


@pytest.mark.thorough
def test_ray_makes_the_same_and_loses_nothing_to_workers_that_are_killed(
    folder: Path, digests: dict[str, str], tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    from evals.replay.ray_tasks import RayTasks

    source = many(folder, tmp_path / "many", 8)
    batch = Batch.find_recordings([source], tmp_path / "out", Options(), workers=2)
    killed: set[int] = set()

    def kill_once(_outcome: Outcome) -> None:
        if not killed:
            killed.update(kill_ray_workers())

    batch.run(RayTasks("local", 2), kill_once)

    assert killed, "Ray had no worker when one could have been killed"
    assert batch.refused == []
    found = digests_of(batch)
    assert len(found) == 16
    for name, digest in found.items():
        assert digest == digests[re.sub(r"-\d\d\.", ".", name)]


class RayHere:
    """Ray's names, and its tasks done in this process one at a time; one worker of it is lost."""

    exceptions = SimpleNamespace(RayError=type("RayError", (Exception,), {}))

    def __init__(self, *, loses: str) -> None:
        self._loses = loses
        self.begun = self.over = False

    def init(self, **_: Any) -> None:
        self.begun = True

    def shutdown(self) -> None:
        self.over = True

    def remote(self, **_: Any) -> Callable[[Callable[..., Any]], Any]:
        def task_of(work: Callable[..., Any]) -> Any:
            return SimpleNamespace(remote=lambda *given: partial(work, *given))

        return task_of

    def wait(self, running: list[Any], *, num_returns: int) -> tuple[list[Any], list[Any]]:
        return running[-num_returns:], running[:-num_returns]

    def get(self, done: Any) -> Any:
        if self._loses in done.args[1]:
            raise self.exceptions.RayError("the worker died")
        return done()


@pytest.mark.thorough
def test_recordings_go_out_to_ray_and_replays_come_back(
    folder: Path, digests: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evals.replay.ray_tasks import RayTasks

    ray = RayHere(loses="clean-00")
    monkeypatch.setitem(sys.modules, "ray", ray)
    source = many(folder, tmp_path / "many", 1)
    batch = Batch.find_recordings([source], tmp_path / "out", Options(), workers=1)

    batch.run(RayTasks("local", 1), nothing)

    assert digests_of(batch) == {"barge-in-00.mcap": digests["barge-in.mcap"]}
    (call,) = batch.as_dict()["calls"]
    assert call["source"] == str(source / "barge-in-00.mcap"), "not the copy that Ray replayed"
    (lost,) = batch.refused
    assert "Ray could not replay it: the worker died" in lost.error
    assert ray.begun
    assert ray.over


def kill_ray_workers() -> set[int]:
    """Kill all workers of this process's Ray, those in the middle of their work among them.

    Not its agents (``ray::RuntimeEnvAgent``): the whole node ends with one of those.
    """
    killed = set()
    for pid in descendants(os.getpid()):
        try:
            if (
                Path(f"/proc/{pid}/cmdline")
                .read_bytes()
                .startswith((b"ray::_replay", b"ray::IDLE"))
            ):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        except OSError:
            continue
    return killed


def descendants(pid: int) -> set[int]:
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(fields[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


@pytest.mark.thorough
def test_ctrl_c_leaves_whole_files_and_a_run_of_them(folder: Path, tmp_path: Path) -> None:
    source = many(folder, tmp_path / "many", 40)
    out = tmp_path / "out"
    words = [str(Path(sys.executable).with_name("viva")), "replay", str(source), "--out", str(out)]
    replaying = subprocess.Popen([*words, "--jobs", "1"], stderr=subprocess.PIPE)
    while len(list(out.glob("[!.]*.mcap"))) < 3 and replaying.poll() is None:
        time.sleep(0.05)

    replaying.send_signal(signal.SIGINT)
    _, told = replaying.communicate()

    assert replaying.returncode == 130
    assert b"interrupted" in told
    run = json.loads((out / "run.json").read_text("utf-8"))
    assert 1 <= len(run["calls"]) < 80
    assert not list(out.glob(".*"))
    for path in out.glob("*.mcap"):
        assert Recording.load(path).whole


def checksum_at(recording: bytes) -> int:
    """Where the checksum of the first chunk is: https://mcap.dev/spec#chunk-op0x06."""
    at = 8
    while recording[at] != 0x06:
        at += 9 + int.from_bytes(recording[at + 1 : at + 9], "little")
    return at + 9 + 24


def test_what_cannot_be_read_is_refused_and_the_rest_goes_on(folder: Path, tmp_path: Path) -> None:
    source = many(folder, tmp_path / "some", 1)
    whole = (source / "clean-00.mcap").read_bytes()
    flipped = bytearray(whole)
    flipped[len(flipped) // 2] ^= 1
    (source / "flipped.mcap").write_bytes(flipped)
    # A flipped bit is told by its checksum, or before that by what can no longer be unpacked.
    summed = bytearray(whole)
    summed[checksum_at(whole)] ^= 1
    (source / "summed.mcap").write_bytes(summed)
    (source / "foreign.mcap").write_bytes(b"RIFF no recording at all")
    future = Recording.load(source / "clean-00.mcap")
    rewrite(source / "future.mcap", {**future.metadata, "format": "99"}, future.messages)
    out = tmp_path / "out"

    result = CliRunner().invoke(app, ["replay", str(source), "--out", str(out), "--json"])

    assert result.exit_code == 1, result.output
    run: dict[str, Any] = json.loads((out / "run.json").read_text("utf-8"))
    assert [call["file"] for call in run["calls"]] == [
        "barge-in-00.mcap",
        "clean-00.mcap",
    ]
    refused = {Path(entry["source"]).name: entry["error"] for entry in run["refused"]}
    assert refused.keys() == {"flipped.mcap", "summed.mcap", "foreign.mcap", "future.mcap"}
    assert "flipped.mcap is damaged" in refused["flipped.mcap"]
    assert "checksum" in refused["summed.mcap"]
    assert "is no recording" in refused["foreign.mcap"]
    assert "has format '99'" in refused["future.mcap"]
    assert json.loads(result.stdout)["speed_x_realtime"] == run["speed_x_realtime"] > 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere", "--out", "out"], "there is no such file"),
        (["empty", "--out", "out"], "has no recordings"),
        (["call.mcap", "--out", "."], "would be replaced by its replay"),
        (["call.mcap", "again/call.mcap", "--out", "out"], "the same name"),
        (["call.mcap", "--out", "out", "--set", "vad_stop_secs"], "write NAME=VALUE"),
        (["call.mcap", "--out", "out", "--stt", "ears"], "STT='ears' is unknown"),
    ],
)
def test_what_cannot_be_begun_is_said_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "again"):
        Path(name).mkdir()
    for name in ("call.mcap", "again/call.mcap"):
        Path(name).write_bytes(b"")

    result = CliRunner().invoke(app, ["replay", *words])

    assert result.exit_code == 2
    assert told in " ".join(result.stderr.split())
    assert not Path("out", "run.json").exists()


def test_ray_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evals.replay.ray_tasks import RayTasks

    monkeypatch.setitem(sys.modules, "ray", None)

    with pytest.raises(ReplayError, match="run `make install-dev`"):
        RayTasks("local", 1)
