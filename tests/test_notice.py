"""Every model that Viva runs on is the one that NOTICE says it is."""

import hashlib
import re
import sysconfig
from pathlib import Path

import pytest

from models import catalogue
from models.weights import Weights

NOTICE = (Path(__file__).parent.parent / "NOTICE").read_text(encoding="utf-8")
PACKAGES = Path(sysconfig.get_path("purelib"))
FILES = re.findall(r"^  ([0-9a-f]{64})  (.+)$", NOTICE, re.MULTILINE)


@pytest.mark.parametrize(("sha256", "files"), FILES, ids=[files for _, files in FILES])
def test_the_installed_file_is_the_one_named(sha256: str, files: str) -> None:
    digest = hashlib.sha256()
    for file in files.split(" + "):
        digest.update((PACKAGES / file).read_bytes())
    assert digest.hexdigest() == sha256


def test_the_models_are_loaded_by_the_same_hashes() -> None:
    loaded = {value.sha256 for value in vars(catalogue).values() if isinstance(value, Weights)} | {
        file.sha256 for file in catalogue.WHISPER
    }
    assert loaded | {catalogue.WHISPER_SHA256} == {sha256 for sha256, _ in FILES}


def test_every_stage_has_its_model() -> None:
    stages = re.findall(r"^(\w[\w ]*): ", NOTICE, re.MULTILINE)
    assert stages == [
        "Voice activity",
        "End of turn",
        "Speech to text",
        "Text to speech",
        "Retrieval",
    ]
