"""Silero's graph for several windows of several callers at once, made of its makers' file.

The makers' graph takes one window of each caller at a time, and works out anew, in five nested
branches, which sample rate and which shapes it has. This one has the same weights and the same
operations, in the same order, for 16 kHz: all windows pass the encoder together, and the recurrent
layer goes over a caller's windows in turn. Its outputs are the same to the last bit. Most of what a
window of a lone call costs is fetching the weights from memory, so three windows at once cost
little more than one.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models import graph_files
from models.weights import Weights, WeightsError

SOURCE = Weights(
    "pipecat-ai",
    "pipecat/audio/vad/data/silero_vad.onnx",
    "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
)
ROW = 576
"""Samples that the encoder takes of a window: the 64 before it, and its 512."""

HIDDEN = 128

_FORMAT = 1
_STRIDES = (1, 2, 2, 1)
_FREQUENCIES = 129
_SHARED = "If_0_then_branch__Inline_0__"  # the branch for 16 kHz


def graph(folder: Path | None = None) -> bytes:
    """The graph: ``input`` [t, n, 576] and ``state`` [2, n, 128] to ``output`` [t, n], ``stateN``.

    Args:
        folder: Where an installation keeps it; made in 0.3 s if it is not there.

    Raises:
        WeightsError: The makers' file is missing, or its hash is not the expected one.
    """
    return graph_files.read(_path(folder or graph_files.ENVIRONMENT)) or make()


def make() -> bytes:
    """Make the graph.

    Raises:
        WeightsError: The makers' file is missing, or its hash is not the expected one.
    """
    import onnx
    from onnx import TensorProto, helper

    weights = _weights(onnx.load_from_string(SOURCE.read()))
    nodes: list[Any] = []

    def node(kind: str, inputs: Sequence[str], *outputs: str, **attributes: Any) -> None:
        nodes.append(helper.make_node(kind, inputs, outputs, **attributes))

    node("Reshape", ["input", "rows"], "windows")
    node("Pad", ["windows", "pads"], "padded", mode="reflect")
    node("Unsqueeze", ["padded", "channel"], "samples")
    node("Conv", ["samples", "basis"], "spectrum", strides=[128])
    node("Split", ["spectrum", "halves"], "real", "imaginary", axis=1)
    for part in ("real", "imaginary"):
        node("Pow", [part, "two"], f"{part}_squared")
    node("Add", ["real_squared", "imaginary_squared"], "power")
    node("Sqrt", ["power"], "encoded_0")
    for layer, stride in enumerate(_STRIDES):
        inputs = [f"encoded_{layer}", f"weight_{layer}", f"bias_{layer}"]
        node("Conv", inputs, f"sums_{layer}", strides=[stride], pads=[1, 1])
        node("Relu", [f"sums_{layer}"], f"encoded_{layer + 1}")
    node("Shape", ["state"], "callers", start=1, end=2)
    node("Concat", ["any", "callers", "hidden"], "steps_shape", axis=0)
    node("Reshape", [f"encoded_{len(_STRIDES)}", "steps_shape"], "steps")
    node("Split", ["state"], "hidden_before", "cell_before", axis=0, num_outputs=2)
    before = ["steps", "input_weight", "hidden_weight", "gate_bias", "", "hidden_before"]
    after = ("recurrent", "hidden_after", "cell_after")
    node("LSTM", [*before, "cell_before"], *after, hidden_size=HIDDEN)
    node("Concat", ["hidden_after", "cell_after"], "stateN", axis=0)
    node("Reshape", ["recurrent", "columns"], "flat")
    node("Relu", ["flat"], "active")
    node("Conv", ["active", "last_weight", "last_bias"], "logits")
    node("Sigmoid", ["logits"], "probabilities")
    node("Concat", ["any", "callers"], "output_shape", axis=0)
    node("Reshape", ["probabilities", "output_shape"], "output")

    def value(name: str, shape: Sequence[Any]) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    made = helper.make_model(
        helper.make_graph(
            nodes,
            "silero",
            [value("input", ["t", "n", ROW]), value("state", [2, "n", HIDDEN])],
            [value("output", ["t", "n"]), value("stateN", [2, "n", HIDDEN])],
            initializer=weights,
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def _weights(model: Any) -> list[Any]:
    from onnx import numpy_helper

    (choice,) = (node for node in model.graph.node if node.op_type == "If")
    (branch,) = (part.g for part in choice.attribute if part.name == "then_branch")
    given = {
        node.output[0].removeprefix(_SHARED): numpy_helper.to_array(node.attribute[0].t)
        for node in branch.node
        if node.op_type == "Constant"
    }

    def gates(name: str) -> Any:
        """A recurrent weight or bias: torch's order of the gates to ONNX's."""
        entry, forget, cell, out = np.split(given[f"decoder.rnn.{name}"], 4)
        return np.concatenate([entry, out, forget, cell])

    arrays = {
        "rows": np.array([-1, ROW]),
        "pads": np.array([0, 0, 0, 64]),
        "channel": np.array([1]),
        "basis": given["stft.forward_basis_buffer"],
        "halves": np.array([_FREQUENCIES, _FREQUENCIES]),
        "two": np.array(2.0, np.float32),
        "any": np.array([-1]),
        "hidden": np.array([HIDDEN]),
        "columns": np.array([-1, HIDDEN, 1]),
        "input_weight": gates("weight_ih")[np.newaxis],
        "hidden_weight": gates("weight_hh")[np.newaxis],
        "gate_bias": np.concatenate([gates("bias_ih"), gates("bias_hh")])[np.newaxis],
        "last_weight": given["decoder.decoder.2.weight"],
        "last_bias": given["decoder.decoder.2.bias"],
    }
    for layer in range(len(_STRIDES)):
        arrays[f"weight_{layer}"] = given[f"encoder.{layer}.reparam_conv.weight"]
        arrays[f"bias_{layer}"] = given[f"encoder.{layer}.reparam_conv.bias"]
    return [
        numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in arrays.items()
    ]


def _path(folder: Path) -> Path:
    return graph_files.path(folder, SOURCE, made_as=_FORMAT)


def main() -> None:
    """Make the graph if it is not there."""
    path = _path(graph_files.ENVIRONMENT)
    if graph_files.read(path):
        return
    try:
        graph_files.write(path, make())
    except (OSError, WeightsError) as error:
        sys.exit(f"{path}: {error}")


if __name__ == "__main__":
    main()
