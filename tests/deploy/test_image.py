"""The Dockerfile and ``compose.yaml``, as far as that can be told without a container engine."""

import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.prove import DOCKERFILE, PLACES, ROOT, Stage, sent, stages
from settings import Settings

IGNORE = DOCKERFILE.with_name("Dockerfile.dockerignore")
COMPOSE = DOCKERFILE.with_name("compose.yaml")


@pytest.fixture(scope="module")
def built() -> list[Stage]:
    return stages(DOCKERFILE.read_text())


def test_the_image_is_slim_and_has_two_stages_of_one_python(built: list[Stage]) -> None:
    build, image = built
    assert build.base == image.base
    assert build.base.startswith("python:3.11-slim")
    copied = [step.rest for step in image.steps if step.word == "COPY"]
    assert copied == ["--from=build /opt/viva /opt/viva"]


def test_packages_are_installed_by_their_hashes_alone(built: list[Stage]) -> None:
    installs = [step.rest for step in built[0].steps if "pip install" in step.rest]
    assert len(installs) == 1
    assert "--require-hashes" in installs[0]


def test_the_server_runs_as_nobody_in_particular(built: list[Stage]) -> None:
    image = built[-1]
    user, _, group = image.last("USER").partition(":")
    assert int(user) >= 10_000
    assert int(group) >= 10_000
    words = [step.word for step in image.steps]
    assert "RUN" not in words[words.index("USER") :], "nothing is done as root after that"
    assert image.last("STOPSIGNAL") == signal.SIGTERM.name
    assert json.loads(image.last("CMD")) == ["serve"]


def test_its_environment_is_settings_that_go_together(built: list[Stage]) -> None:
    environment = built[-1].environment()
    known = {name.upper() for name in Settings.model_fields}
    ours = {name: value for name, value in environment.items() if name in known}
    assert set(ours) == {"HOST", "PORT", "DATA_DIR", "LOG_FORMAT"}
    settings = Settings.load(
        **{name.lower(): value for name, value in ours.items()}, _env_file=None
    )
    assert str(settings.data_dir) == built[-1].last("VOLUME")
    assert str(settings.port) == built[-1].last("EXPOSE")
    assert str(settings.data_dir).startswith(PLACES)


def test_all_that_a_server_needs_is_sent_to_the_build_and_nothing_else() -> None:
    files = {str(path) for path in sent(ROOT, IGNORE.read_text())}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    setup = project["tool"]["setuptools"]
    for package in setup["packages"]:
        assert f"{package.replace('.', '/')}/__init__.py" in files, package
    for module in setup["py-modules"]:
        assert f"{module}.py" in files
    for wanted in (
        "web/call/index.html",
        "pipeline/vendors/hibari.py",
        "knowledge/grace-hopper.md",
    ):
        assert wanted in files
    for unwanted in (".env", "tests/", "data/", ".git/", "requirements-dev.lock"):
        assert not any(name.startswith(unwanted) for name in files), unwanted
    assert not any("__pycache__" in name for name in files)


@pytest.mark.thorough
def test_what_is_sent_to_the_build_starts_by_itself(tmp_path: Path) -> None:
    for path in sent(ROOT, IGNORE.read_text()):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes((ROOT / path).read_bytes())
    # -P and -S: neither this tree nor the packages' own hooks may help.
    script = (
        "import sys; sys.path = [entry for entry in sys.path if entry != sys.argv[1]]; "
        "sys.path.insert(0, sys.argv[2]); import cli, server, pipeline; "
        "print(pipeline.__path__[0], server.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, str(ROOT), str(tmp_path)],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(tmp_path / "pipeline"), str(tmp_path / "server.py")]


# compose.yaml


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return loaded


def test_compose_gives_the_server_settings_that_there_are(compose: dict[str, Any]) -> None:
    environment = compose["services"]["viva"]["environment"]
    known = {name.upper() for name in Settings.model_fields}
    assert set(environment) <= known
    assert environment["DATABASE_URL"].startswith("postgresql://viva:")
    assert environment["DATABASE_URL"].endswith("@postgres/viva")
    assert ":?" in environment["PUBLIC_URL"], "it does not start without"


def test_compose_locks_the_server_in_and_lets_its_calls_finish(compose: dict[str, Any]) -> None:
    viva = compose["services"]["viva"]
    assert viva["read_only"] is True
    assert viva["tmpfs"] == ["/tmp"]
    assert viva["cap_drop"] == ["ALL"]
    assert viva["security_opt"] == ["no-new-privileges:true"]
    assert viva["ports"] == ["127.0.0.1:7860:7860"], "TLS is the proxy's"
    drain = float(viva["environment"]["DRAIN_SECS"])
    default = Settings.load(_env_file=None)
    assert drain > default.call_secs
    grace = float(viva["stop_grace_period"].removesuffix("s"))
    assert grace > drain + default.shutdown_secs + 20


def test_compose_builds_what_is_here_and_keeps_what_must_last(compose: dict[str, Any]) -> None:
    services = compose["services"]
    build = services["viva"]["build"]
    assert (COMPOSE.parent / build["context"]).resolve() == ROOT
    assert ROOT / build["dockerfile"] == DOCKERFILE
    kept = {volume.split(":")[0] for service in services.values() for volume in service["volumes"]}
    assert kept == set(compose["volumes"])
    assert services["viva"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert "healthcheck" in services["postgres"]
