"""Every model that Viva runs on is the one that NOTICE says it is."""

import re
from pathlib import Path

from models import catalogue

NOTICE = (Path(__file__).parent.parent / "NOTICE").read_text(encoding="utf-8")
FILES = re.findall(r"^  ([0-9a-f]{64})  (.+)$", NOTICE, re.MULTILINE)


def test_the_notice_names_the_files_that_models_are_loaded_from() -> None:
    assert sorted(FILES) == sorted((file.sha256, file.path) for file in catalogue.FILES)


def test_the_installed_files_are_the_ones_named() -> None:
    assert [check for check in catalogue.check_files() if not check.passed] == []


def test_every_stage_has_its_model() -> None:
    stages = re.findall(r"^(\w[\w ]*): ", NOTICE, re.MULTILINE)
    assert stages == [
        "Voice activity",
        "End of turn",
        "Speech to text",
        "Speech to text",
        "Text to speech",
        "Retrieval",
        "Reading",
    ]
