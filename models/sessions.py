"""Creates ONNX sessions: the one place that decides threads, arithmetic and providers.

int8 models need care on x86. On processors without VNNI instructions, onnxruntime multiplies
unsigned activations with signed weights in pairs whose sum saturates at 16 bits, so results can be
wrong: smart-turn gave 0.94 instead of 0.16 for one hesitation on an AMD EPYC.
``session.x64quantprecision`` makes onnxruntime use unsigned weights there, whose products do not
overflow; with VNNI and on ARM64, it changes nothing. Source: onnxruntime, "Quantize ONNX models",
section "When and why do I need to try U8U8".
"""

from typing import Any

import onnxruntime

EXACT_INT8 = "session.x64quantprecision"
"""The session option that keeps int8 products from saturating."""


def open_session(
    model: bytes, *, threads: int = 1, exact_int8: bool = True, arena: bool = False
) -> Any:
    """Create a session on the CPU with a fixed number of threads.

    Args:
        model: The ONNX file.
        threads: Threads per inference.
        exact_int8: Whether integer products must not saturate. ``False`` only for a model that
            onnxruntime cannot load this way, and whose outputs were measured to be right without.
        arena: Whether onnxruntime keeps what an inference needs for the next one, for a small model
            that runs all the time. It also keeps what loading needed, and what the longest input
            did: Moonshine takes 291 MB after a sentence with it, 252 MB without, in the same time.

    Returns:
        An ``onnxruntime.InferenceSession``; its ``run`` may be called from several threads.

    Raises:
        ValueError: ``threads`` is below 1.
    """
    if threads < 1:
        raise ValueError(f"threads is {threads}: it must be at least 1")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = arena
    if exact_int8:
        options.add_session_config_entry(EXACT_INT8, "1")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    # onnxruntime keeps the file to try another provider with, of which there is none: 150 MB of
    # all models.
    session._model_bytes = None
    return session


def is_exact(session: Any) -> bool:
    """Whether a session has the option that keeps int8 products from saturating."""
    options = session.get_session_options()
    try:
        return bool(options.get_session_config_entry(EXACT_INT8) == "1")
    except RuntimeError:  # raised by onnxruntime for an option that was never set
        return False
