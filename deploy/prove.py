"""Tests the Dockerfile without a container engine: performs its steps and calls the server.

``python deploy/prove.py`` needs Linux, root (or user namespaces), and the Python version of the
Dockerfile. In a mount namespace of its own, empty directories replace those that the Dockerfile
writes to; every step runs as written. Then the server starts as the Dockerfile's user, without
capabilities and with a read-only root file system, and is called.

At the end it lists what it cannot test. The exit status is 0 if all steps succeeded.
"""

import argparse
import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCKERFILE = Path(__file__).with_name("Dockerfile")
PLACES = ("/opt", "/srv")
"""Directories that the Dockerfile may write to."""

START_SECS = 120.0

SLIM = frozenset(
    (
        "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1", "libc.so.6", "libm.so.6", "libmvec.so.1",
        "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1", "libstdc++.so.6",
        "libgcc_s.so.1", "libz.so.1", "liblzma.so.5", "libbz2.so.1.0", "libssl.so.3",
        "libcrypto.so.3",
        "libffi.so.8", "libexpat.so.1", "libsqlite3.so.0", "libuuid.so.1", "libreadline.so.8",
        "libncursesw.so.6", "libtinfo.so.6", "libdb-5.3.so", "libnsl.so.2", "libtirpc.so.3",
        "libresolv.so.2", "libcrypt.so.1",
    )
)  # fmt: skip
"""System libraries of python:3.11-slim-bookworm."""

OPTIONAL = frozenset(("libgomp.so.1.0.0", "libtbb.so.12"))
"""Optional libraries for numba's thread pools; without them it uses its own."""

STAND_IN = {"LD_LIBRARY_PATH": "/usr/local/lib"}
"""Library path for a Python that was built for another prefix."""

NOT_RUN = (
    "FROM: no image was pulled; the base is this machine's own system and Python",
    "HEALTHCHECK, EXPOSE, VOLUME, STOPSIGNAL: the engine's part of them; their commands and "
    "signals were tried here",
    "cgroups, seccomp, the container's network: there are none here",
    "compose.yaml and kubernetes/: they are checked by tests/deploy, and were not applied",
)


@dataclass(frozen=True, slots=True)
class Step:
    """An instruction of the Dockerfile.

    Parameters:
        word: The keyword, such as ``RUN``.
        rest: Its arguments, with variables expanded.
    """

    word: str
    rest: str


@dataclass(slots=True)
class Stage:
    """A build stage.

    Parameters:
        base: Name of its base image.
        name: Its name; empty if it has none.
        steps: The instructions after ``FROM``.
    """

    base: str
    name: str
    steps: list[Step] = field(default_factory=list)

    def last(self, word: str, default: str = "") -> str:
        """The arguments of the last instruction of a kind."""
        return next((step.rest for step in reversed(self.steps) if step.word == word), default)

    def environment(self) -> dict[str, str]:
        """The variables that ``ENV`` sets."""
        given: dict[str, str] = {}
        for step in self.steps:
            if step.word == "ENV":
                given |= dict(assignment.split("=", 1) for assignment in shlex.split(step.rest))
        return given


def stages(text: str) -> list[Stage]:
    """Parse the stages of a Dockerfile."""
    found: list[Stage] = []
    variables: dict[str, str] = {}
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for line in lines.replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        word, _, rest = line.strip().partition(" ")
        rest = re.sub(r"\$\{(\w+)\}", lambda name: variables.get(name[1], name[0]), rest.strip())
        if word == "ARG":
            name, _, value = rest.partition("=")
            variables[name] = value
        elif word == "FROM":
            base, *named = rest.split()
            found.append(Stage(base, named[1] if named else ""))
        else:
            found[-1].steps.append(Step(word, rest))
    return found


def sent(root: Path, ignore: str) -> Iterator[Path]:
    """The files in the build context, relative to the root, according to a ``.dockerignore``."""
    rules = [line for line in ignore.splitlines() if line and not line.startswith("#")]
    kept = [rule[1:] for rule in rules if rule.startswith("!")]
    inside = [rule.removeprefix("**/") for rule in rules if rule.startswith("**/")]
    assert set(rules) == {"*", *(f"!{name}" for name in kept), *(f"**/{name}" for name in inside)}
    for name in kept:
        top = root / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            parts = path.relative_to(root).parts
            dropped = any(fnmatch.fnmatch(part, rule) for part in parts for rule in inside)
            if path.is_file() and not dropped:
                yield path.relative_to(root)


def say(text: str) -> None:
    """Print progress."""
    print(text, flush=True)  # noqa: T201


class Build:
    """Performs the Dockerfile's steps in empty directories mounted over :data:`PLACES`.

    Parameters:
        tree: An empty directory.
        python: Prefix of the Python that replaces the image's.
    """

    def __init__(self, tree: Path, python: Path) -> None:
        self._tree = tree
        self._python = python
        self._context = tree / "context"
        self.stages = stages(DOCKERFILE.read_text())

    def run(self) -> None:
        """Perform every step of every stage."""
        ignore = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text()
        for path in sent(ROOT, ignore):
            (self._context / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, self._context / path)
        for number, stage in enumerate(self.stages):
            self._mount(stage, number)
            say(f"FROM {stage.base} {stage.name}".rstrip())
            self._build(stage)
            if number < len(self.stages) - 1:
                for place in PLACES:
                    _do("umount", "--recursive", place)

    def _mount(self, stage: Stage, number: int) -> None:
        """Mount empty directories and the image's Python."""
        if number == 0:
            _do("mount", "--bind", str(self._python), "/usr/local")
        for place in PLACES:
            folder = self._folder(stage.name or str(number), place)
            folder.mkdir(parents=True)
            folder.parent.chmod(0o755)
            if number < len(self.stages) - 1:
                _show(Path(place), folder)
            _do("mount", "--rbind", str(folder), place)

    def _folder(self, stage: str, place: str) -> Path:
        return self._tree / "stages" / stage / place.strip("/")

    def _build(self, stage: Stage) -> None:
        folder, path = "/", "/usr/local/bin:/usr/bin:/bin"
        environment = {"PATH": path, "HOME": "/root", **STAND_IN}
        # The package index and its configuration are those of this machine.
        own = ("PIP_", "SSL_", "REQUESTS_", "HTTP_", "HTTPS_", "NO_PROXY")
        environment |= {
            name: value for name, value in os.environ.items() if name.upper().startswith(own)
        }
        for step in stage.steps:
            say(f"  {step.word} {step.rest}")
            match step.word:
                case "ENV":
                    environment |= stage.environment()
                case "WORKDIR":
                    folder = step.rest
                    Path(folder).mkdir(parents=True, exist_ok=True)
                case "RUN":
                    began = time.monotonic()
                    _do("/bin/sh", "-c", step.rest, cwd=folder, env=environment)
                    say(f"    {time.monotonic() - began:.0f} s")
                case "COPY":
                    self._copy(step.rest, folder)
                case "VOLUME" | "USER" | "EXPOSE" | "STOPSIGNAL" | "HEALTHCHECK" | "ENTRYPOINT":
                    pass
                case "CMD":
                    pass
                case _:
                    raise SystemExit(f"deploy/Dockerfile: {step.word} is not supported here")

    def _copy(self, rest: str, folder: str) -> None:
        options = re.match(r"--from=(\w+) ", rest)
        *sources, target = rest[options.end() if options else 0 :].split()
        into = Path(folder) / target
        if not str(into).startswith(PLACES):
            raise SystemExit(f"deploy/Dockerfile: COPY to {into}; allowed here: {PLACES}")
        for source in sources:
            if options:
                place = next(place for place in PLACES if source.startswith(place))
                origin = self._folder(options[1], place) / source.removeprefix(place).strip("/")
            else:
                origin = self._context / source
            if origin.is_dir():
                shutil.copytree(origin, into, symlinks=True, dirs_exist_ok=True)
            else:
                into.mkdir(parents=True, exist_ok=True)
                shutil.copy2(origin, into)


class Trial:
    """Runs the image's command as an engine would, with a read-only root file system.

    Parameters:
        stage: The last stage of the Dockerfile.
        wav: Recording of the question to ask.
    """

    def __init__(self, stage: Stage, wav: bytes) -> None:
        self._stage = stage
        self._wav = wav
        self._wrong: list[str] = []

    def run(self) -> list[str]:
        """Start, call and stop the server; returns the problems found."""
        user, _, group = self._stage.last("USER").partition(":")
        environment = {
            **self._stage.environment(),
            **STAND_IN,
            "PUBLIC_URL": "https://viva.example.com",
            "WORKERS": "2",
            "DRAIN_SECS": "20",
        }
        for name in ("/tmp", "/run", "/var/tmp", "/dev/shm"):
            _do("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", name)
        Path("/tmp/question.wav").write_bytes(self._wav)
        for place in ("/usr/local", "/opt", "/"):
            _do("mount", "-o", "remount,bind,ro", place)
        as_user = [
            *("setpriv", "--reuid", user, "--regid", group, "--clear-groups"),
            *("--bounding-set", "-all", "--inh-caps", "-all", "--no-new-privs"),
        ]
        self._expect(
            "the root file system is read-only", not _writable(as_user, ["/", "/opt/viva"])
        )
        self._expect(
            "only the data directory and /tmp can be written",
            _writable(as_user, ["/srv/viva", "/tmp"]) == ["/srv/viva", "/tmp"],
        )
        command = [
            *json.loads(self._stage.last("ENTRYPOINT")),
            *json.loads(self._stage.last("CMD")),
        ]
        say(f"starting {shlex.join(command)} as {user}, on a read-only root file system")
        with subprocess.Popen(
            [*as_user, *command], cwd=self._stage.last("WORKDIR"), env=environment
        ) as server:
            try:
                self._use(server, [*as_user, *command[:-1]], environment)
            finally:
                server.kill()
        return self._wrong

    def _use(
        self, server: "subprocess.Popen[bytes]", viva: list[str], environment: Mapping[str, str]
    ) -> None:
        began = time.monotonic()
        loaded = _loaded(server)
        self._expect("it loads its models", loaded)
        if not loaded:
            return
        say(f"loaded {time.monotonic() - began:.0f} s after its start")
        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{server.pid}/status").read_text().splitlines()
        )
        self._expect("it has no capability", set(status["CapEff"] + status["CapPrm"]) == {"0"})
        self._expect("it runs as the user", set(status["Uid"].split()) == {"10001"})
        check = self._stage.last("HEALTHCHECK").partition("CMD ")[2]
        healthy = subprocess.run(json.loads(check), env=environment, check=False).returncode
        self._expect("HEALTHCHECK passes", healthy == 0)
        port = environment["PORT"]
        said = subprocess.run(
            [
                *(*viva, "call", "--wav", "/tmp/question.wav", "--json"),
                *("--url", f"ws://127.0.0.1:{port}/call"),
            ],
            env=dict(environment),
            cwd="/srv",
            capture_output=True,
            text=True,
            check=False,
        )
        self._expect(f"a call is answered {said.stderr[-500:]}".rstrip(), said.returncode == 0)
        if said.returncode == 0:
            (turn,) = json.loads(said.stdout)["turns"]
            say(f"asked: {turn['transcript']}  heard: {turn['heard_text']}")
        number = getattr(signal, self._stage.last("STOPSIGNAL"))
        server.send_signal(number)
        self._expect(f"{number.name} ends it with status 0", server.wait(30.0) == 0)

    def _expect(self, what: str, right: bool) -> None:
        say(f"  {'yes' if right else 'NO'}: {what}")
        if not right:
            self._wrong.append(what)


def strangers(folder: str) -> set[str]:
    """System libraries that files below a folder need and the slim image lacks."""
    ours = {path.name for path in Path(folder).rglob("*.so*")}
    lacking = set()
    for path in Path(folder).rglob("*.so*"):
        if path.is_symlink() or not path.is_file():
            continue
        told = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        for line in told.splitlines():
            name, arrow, where = line.strip().partition(" => ")
            name = Path(name.split(" (")[0]).name
            foreign = not where.startswith(folder) or "not found" in where
            if arrow and foreign and name not in SLIM | OPTIONAL | ours:
                lacking.add(f"{name} (for {path.relative_to(folder)})")
    return lacking


def _show(hidden: Path, folder: Path) -> None:
    """Mount a directory of this machine, such as its packages, at a second place."""
    for kept in hidden.iterdir():
        if kept.is_dir() and not kept.is_symlink():
            (folder / kept.name).mkdir()
            _do("mount", "--bind", str(kept), str(folder / kept.name))


def _writable(as_user: list[str], folders: list[str]) -> list[str]:
    """The folders that the user may write to."""
    return [
        folder
        for folder in folders
        if subprocess.run(
            [*as_user, "/bin/sh", "-c", f"touch {folder}/.try && rm {folder}/.try"],
            stderr=subprocess.DEVNULL,
            check=False,
        ).returncode
        == 0
    ]


def _loaded(server: "subprocess.Popen[bytes]") -> bool:
    give_up = time.monotonic() + START_SECS
    while server.poll() is None and time.monotonic() < give_up:
        try:
            with urllib.request.urlopen("http://127.0.0.1:7860/readyz", timeout=5) as answer:
                return bool(json.load(answer)["ready"])
        except OSError:
            time.sleep(0.5)
    return False


def _do(*command: str, cwd: str | None = None, env: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, env=env, check=False)
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)} ended with status {done.returncode}")


def prove(tree: Path, python: Path) -> int:
    """Build, test, and list what was not tested; returns the exit status."""
    wav = (ROOT / "tests" / "audio" / "where-studied.wav").read_bytes()
    build = Build(tree, python)
    build.run()
    lacking = strangers("/opt/viva/venv")
    say(f"libraries that the slim image lacks: {', '.join(sorted(lacking)) or 'none'}")
    wrong = Trial(build.stages[-1], wav).run()
    wrong += [f"the slim image lacks {module}" for module in sorted(lacking)]
    say("not run:")
    for step in NOT_RUN:
        say(f"  {step}")
    say("all that was run went well" if not wrong else "WRONG: " + "; ".join(wrong))
    return bool(wrong)


def main() -> None:
    """Run everything in a mount namespace, and clean up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inside", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        sys.exit(prove(*options.inside))
    version = re.search(r"PYTHON=(\d+\.\d+)", DOCKERFILE.read_text())
    if version is None or not sys.version.startswith(version[1]):
        raise SystemExit(
            f"deploy/Dockerfile has Python {version and version[0]}; this is {sys.version}"
        )
    namespace = ["unshare", "--mount", "--propagation", "private"]
    if os.geteuid() != 0:
        namespace += ["--user", "--map-root-user", "--map-auto"]
    with tempfile.TemporaryDirectory(prefix="viva-image-", dir="/var/tmp") as tree:
        Path(tree).chmod(0o755)
        base = sys.base_prefix
        done = subprocess.run(
            [*namespace, sys.executable, __file__, "--inside", tree, base], check=False
        )
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
