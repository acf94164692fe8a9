"""The commands ``viva serve`` and ``viva call``, where there is nothing to be heard."""

import signal

import pytest

from tests.conftest import AUDIO
from tests.end_to_end.running import Viva, viva_call


@pytest.mark.thorough
def test_a_caller_to_whom_nobody_answers_is_told_what_to_do() -> None:
    status, out, error = viva_call("ws://127.0.0.1:9/call", AUDIO / "where-studied.wav")
    assert status == 2
    assert out == ""
    assert "nobody answers at ws://127.0.0.1:9/call" in error
    assert "Is `viva serve` running?" in error
    assert "Traceback" not in error


def test_a_document_is_shown_before_the_models_are_there_and_ctrl_c_is_obeyed_at_once() -> None:
    with Viva(KNOWLEDGE="README.md") as viva:
        document = viva.get("document.json")
        assert viva.get("healthz") == {"calls": 0, "ready": False}
        assert document["title"] == "Viva"
        shown = [line["text"] for section in document["sections"] for line in section["lines"]]
        assert any("make run" in text for text in shown)
        assert viva.stop(signal.SIGINT, timeout_secs=60.0) == 0
        assert viva.left == []
        assert "Traceback" not in viva.stderr
