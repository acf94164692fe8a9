"""Moonshine's graphs as a processor runs them best, made once of the makers' files.

The makers publish int8 weights inside graphs of floats: every inference would make floats of every
weight first, 62 ms a token. Here the same integers are multiplied as integers: each product of
activations with weights becomes ``DynamicQuantizeLinear`` and ``MatMulInteger``, some 6 ms a token
on one thread. The weights are unsigned, so that no product saturates on any processor.

``make install`` runs this module, ``python -m models.moonshine_graphs``, which takes three seconds
and writes to the environment's ``share/viva``. A server that does not find the graphs has them made
in a process of its own, for making them takes 700 MB.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from models import graph_files
from models.graph_files import ENVIRONMENT
from models.weights import Weights, WeightsError

ENCODER = Weights(
    "moonshine-cpp",
    "moonshine_cpp/models/base-en/encoder_model.ort",
    "9d1a19e044cbf89a207723d1adb667de89a5671a1e3e611b8ebe721b2c31219c",
)
DECODER = Weights(
    "moonshine-cpp",
    "moonshine_cpp/models/base-en/decoder_model_merged.ort",
    "370e0c1f161d68dc1c2264c1a82024fb123380da3b73f47f05531d1e8d3308c3",
)
_FORMAT = 1
_MAKING_SECS = 180  # longest time for which the process that makes them is waited for
_SIGN = 128  # from int8 to uint8
_GRAPH = 5  # onnx.AttributeProto.GRAPH, which is not imported for reading
_FLOAT = 1  # onnx.TensorProto.FLOAT


class UnavailableError(RuntimeError):
    """Moonshine cannot be used here; the message says why, in a sentence without a full stop."""


@dataclass(frozen=True, slots=True)
class Graphs:
    """Two ONNX files.

    Parameters:
        encoder: ``input_values`` [1, samples] to ``last_hidden_state`` [1, time, 416].
        decoder: ``input_ids`` [1, 1] and the past to ``logits`` [1, 1, 32768] and the present.
    """

    encoder: bytes
    decoder: bytes


def installed() -> bool:
    """Whether the makers' package is installed; it exists for Linux on x86-64 only."""
    try:
        version(ENCODER.package)
    except PackageNotFoundError:
        return False
    return True


def graphs(folders: Sequence[Path] = ()) -> Graphs:
    """Read the graphs, and have them made if nobody has; blocks.

    Args:
        folders: Where to look, and to keep what is made, besides :data:`ENVIRONMENT`.

    Raises:
        UnavailableError: The package is not for this platform, or they could not be made.
    """
    if not installed():
        raise UnavailableError("its package, moonshine-cpp, is only for Linux on x86-64")
    places = (ENVIRONMENT, *folders)
    for folder in places:
        if found := _read(folder):
            return found
    said = ""
    for folder in places:
        command = [sys.executable, "-m", __name__, str(folder)]
        try:
            done = subprocess.run(
                command,
                cwd=Path(__file__).parents[1],
                capture_output=True,
                text=True,
                timeout=_MAKING_SECS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            said = str(error)
            continue
        if done.returncode == 0 and (found := _read(folder)):
            return found
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    raise UnavailableError(f"its graphs could not be made: {said}")


def make(folder: Path) -> None:
    """Make the graphs and write them; takes 700 MB.

    Raises:
        OSError: The folder cannot be written.
        WeightsError: The package is missing or its files are others.
    """
    for source in (ENCODER, DECODER):
        graph_files.write(_path(folder, source), _optimised(_in_integers(_as_onnx(source.read()))))


def _read(folder: Path) -> Graphs | None:
    """The graphs of a folder, if they are there and whole."""
    encoder, decoder = (graph_files.read(_path(folder, source)) for source in (ENCODER, DECODER))
    return Graphs(encoder, decoder) if encoder and decoder else None


def _path(folder: Path, source: Weights) -> Path:
    return graph_files.path(folder, source, made_as=_FORMAT)


def _session(model: bytes, level: Any, out: Path) -> None:
    """Have onnxruntime read a model and write it as ONNX."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.optimized_model_filepath = str(out)
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.save_model_format", "ONNX")
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _as_onnx(ort: bytes) -> Any:
    """A model of onnxruntime's own format as ONNX's."""
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        _session(ort, onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL, path)
        model = onnx.load(str(path))
    own = [entry for entry in model.opset_import if entry.domain == ""]
    del model.opset_import[:]
    model.opset_import.extend(own)
    model.graph.name = model.graph.name or "main"
    for name, graph in _branches(model.graph):
        graph.name = graph.name or name
    return model


def _optimised(model: Any) -> bytes:
    """A model with its nodes fused, which would take a second at every start."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        _session(model.SerializeToString(), level, path)
        return path.read_bytes()


def _branches(graph: Any) -> Iterator[tuple[str, Any]]:
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == _GRAPH:
                yield attribute.name, attribute.g


@dataclass(frozen=True, slots=True)
class _Quantised:
    """A weight as the makers store it: ``scale * (values - zero)``."""

    name: str
    values: Any
    scale: float
    zero: int


class _Weights:
    """The quantised weights of a graph, and which of them its nodes use as integers.

    Parameters:
        graph: A graph in which each weight is int8 → ``Cast`` → ``Mul`` → ``Add``.
    """

    def __init__(self, graph: Any) -> None:
        from onnx import numpy_helper

        stored = {weight.name: weight for weight in graph.initializer}
        takers: dict[str, Any] = {name: node for node in graph.node for name in node.input}
        self._found: dict[str, _Quantised] = {}
        self.made: dict[str, list[Any]] = {}

        def factor(node: Any, other: str) -> float:
            (name,) = (name for name in node.input if name != other)
            return float(numpy_helper.to_array(stored[name]).item())

        for node in graph.node:
            if node.op_type != "Cast" or node.input[0] not in stored:
                continue
            product = takers[node.output[0]]
            total = takers[product.output[0]]
            scale = factor(product, node.output[0])
            zero = -round(factor(total, product.output[0]) / scale)
            values = numpy_helper.to_array(stored[node.input[0]])
            self._found[total.output[0]] = _Quantised(node.input[0], values, scale, zero)

    def use(self, name: str, *, transposed: bool = False) -> str:
        """The unsigned form of a matrix, whose scale and zero have its name and an ending.

        Returns:
            Its name; empty if what is named is no quantised matrix.
        """
        from onnx import numpy_helper

        weight = self._found.get(name)
        if weight is None or weight.values.ndim != 2:
            return ""
        new = f"{weight.name}/{'transposed/' if transposed else ''}unsigned"
        if new not in self.made:
            values = weight.values.T if transposed else weight.values
            unsigned = (values.astype(np.int16) + _SIGN).astype(np.uint8)
            self.made[new] = [
                numpy_helper.from_array(np.ascontiguousarray(unsigned), new),
                numpy_helper.from_array(np.array(weight.zero + _SIGN, np.uint8), f"{new}/zero"),
                numpy_helper.from_array(np.array(weight.scale, np.float32), f"{new}/scale"),
            ]
        return new


def _in_integers(model: Any) -> Any:
    """A model with its products in integers, and without what it no longer needs."""
    weights = _Weights(model.graph)
    for name, graph in _branches(model.graph):
        _multiply_integers(graph, weights, f"{name}/")
    _multiply_integers(model.graph, weights, "")
    model.graph.initializer.extend(tensor for made in weights.made.values() for tensor in made)
    _drop_unused(model.graph)
    return model


def _multiply_integers(graph: Any, weights: _Weights, prefix: str) -> None:
    from onnx import helper

    makers = {name: node for node in graph.node for name in node.output}
    quantised: dict[str, str] = {}
    nodes = []
    for node in graph.node:
        out = node.output[0] if node.output else ""
        if node.op_type == "Gather" and (table := weights.use(node.input[0])):
            nodes += [
                helper.make_node("Gather", [table, node.input[1]], [f"{out}/rows"], axis=0),
                helper.make_node(
                    "DequantizeLinear", [f"{out}/rows", f"{table}/scale", f"{table}/zero"], [out]
                ),
            ]
            continue
        matrix = _matrix(node, makers, weights) if node.op_type == "MatMul" else ""
        if not matrix:
            nodes.append(node)
            continue
        left = node.input[0]
        if left not in quantised:
            row = quantised[left] = f"{prefix}{left}/row"
            outputs = [row, f"{row}/scale", f"{row}/zero"]
            nodes.append(helper.make_node("DynamicQuantizeLinear", [left], outputs))
        row = quantised[left]
        product = [row, matrix, f"{row}/zero", f"{matrix}/zero"]
        nodes += [
            helper.make_node("MatMulInteger", product, [f"{out}/integer"]),
            helper.make_node("Cast", [f"{out}/integer"], [f"{out}/float"], to=_FLOAT),
            helper.make_node("Mul", [f"{row}/scale", f"{matrix}/scale"], [f"{out}/scale"]),
            helper.make_node("Mul", [f"{out}/float", f"{out}/scale"], [out]),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


def _matrix(node: Any, makers: dict[str, Any], weights: _Weights) -> str:
    """The unsigned form of a product's right side; empty if that is no weight."""
    right = node.input[1]
    maker = makers.get(right)
    if maker is not None and maker.op_type == "Transpose":
        return weights.use(maker.input[0], transposed=True)
    return weights.use(right)


def _drop_unused(graph: Any) -> None:
    """Take out nodes and weights whose results nobody takes."""
    while True:
        used = {output.name for output in graph.output}
        for part in (graph, *(branch for _, branch in _branches(graph))):
            used.update(name for node in part.node for name in node.input)
            used.update(output.name for output in part.output)
        needed = [node for node in graph.node if any(name in used for name in node.output)]
        if len(needed) == len(graph.node):
            break
        del graph.node[:]
        graph.node.extend(needed)
    weights = [weight for weight in graph.initializer if weight.name in used]
    del graph.initializer[:]
    graph.initializer.extend(weights)


def main() -> None:
    """Make the graphs if this platform has the package, and they are not there."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ENVIRONMENT
    if not installed() or _read(folder):
        return
    try:
        make(folder)
    except (OSError, WeightsError) as error:
        sys.exit(f"{folder}: {error}")


if __name__ == "__main__":
    main()
