"""Creates the reference outputs that :mod:`models.checks` compares with.

``python -m models.references`` writes ``models/reference/outputs.npz``. It needs ``onnx``, which
the tests install. The references, by model:

* silero, MiniLM: the model's graph without optimisations, in float arithmetic;
* smart-turn: the same, so that float kernels compute its quantised values exactly;
* the reranker: the same in integer arithmetic, with products that cannot saturate;
* hibari: onnx's reference evaluator, whose integer products have 32 bits;
* Whisper: the weights converted to float32;
* Moonshine: the makers' own graphs, in float arithmetic.
"""

import sys
from typing import Any

import numpy as np
import onnxruntime

from models import catalogue, checks, silero_graph
from models.inference import smart_turn_probability
from models.moonshine import Moonshine, vocabulary
from models.sessions import EXACT_INT8


def main() -> None:
    """Create all references and write the file."""
    outputs: dict[str, Any] = {}
    silero = _plain(silero_graph.make())
    smart_turn = _plain(catalogue.SMART_TURN.read())
    for name in checks.CLIPS:
        samples = checks.clip(name)
        outputs[f"silero/{name}"] = checks.silero_probabilities(silero, samples)
        outputs[f"smart-turn/{name}"] = smart_turn_probability(smart_turn, samples)
    outputs["minilm"] = checks.text_vectors(_plain(catalogue.MINILM.read()))
    outputs["reranker"] = checks.reranker_logits(_plain(catalogue.RERANKER.read(), exact_int8=True))
    for name, output in zip(checks.HIBARI_OUTPUTS, _hibari(), strict=True):
        # Half precision is a thousand times finer than the tolerance.
        outputs[f"hibari/{name}"] = np.asarray(output, np.float16)
    text, probability = checks.whisper_text(
        catalogue.load_whisper(compute_type="float32"), checks.clip("question")
    )
    outputs["whisper/text"], outputs["whisper/logprob"] = text, probability
    moonshine = moonshine_in_floats().decode(checks.clip("question"))
    outputs["moonshine/text"] = moonshine.text
    outputs["moonshine/logprob"] = moonshine.avg_logprob
    np.savez_compressed(checks.REFERENCE / "outputs.npz", **outputs)
    for name, value in outputs.items():
        shown = value if np.ndim(value) == 0 else np.shape(value)
        sys.stdout.write(f"{name}: {shown}\n")


def _plain(model: bytes, *, exact_int8: bool = False) -> Any:
    options = onnxruntime.SessionOptions()
    if exact_int8:
        options.add_session_config_entry(EXACT_INT8, "1")
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def moonshine_in_floats() -> Moonshine:
    """Moonshine as its makers publish it, without any change to its graphs."""
    encoder, decoder = (_plain(file.read()) for file in catalogue.MOONSHINE[:2])
    return Moonshine(encoder, decoder, vocabulary(catalogue.MOONSHINE[2].read()))


def _hibari() -> list[Any]:
    from onnx import load_from_string
    from onnx.reference import ReferenceEvaluator

    model = load_from_string(catalogue.HIBARI_HEART.read())
    names = list(checks.HIBARI_OUTPUTS)
    return list(ReferenceEvaluator(model).run(names, checks.hibari_feeds()))


if __name__ == "__main__":
    main()
