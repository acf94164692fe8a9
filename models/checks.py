"""Checks that each model gives the reference outputs on this machine.

Each model runs on known inputs, and its outputs are compared with reference outputs: those of its
float weights or, if it has only int8 weights, of exact arithmetic (see :mod:`models.references`).
The tolerances were measured on an AMD EPYC without VNNI: correct kernels stay within them,
saturating ones do not.
"""

import time
import wave
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models import catalogue
from models.inference import (
    SILERO_WINDOW,
    SileroMemory,
    minilm_tokenizer,
    minilm_vectors,
    reranker_logit,
    reranker_tokenizer,
    smart_turn_probability,
)
from models.moonshine import Moonshine
from models.moonshine_graphs import UnavailableError
from models.processor import features
from models.sessions import EXACT_INT8, is_exact

Floats = npt.NDArray[np.float32]

REFERENCE = Path(__file__).parent / "reference"
CLIPS = ("question", "hesitation")
"""Recordings beside this file: a complete question, and one that breaks off after half a second."""

TEXTS = (
    "Where did she study mathematics?",
    "She earned a doctorate in mathematics at Yale.",
    "The bakery opens at seven in the morning.",
)
HIBARI_OUTPUTS = ("lh", "f0")
"""The spectrum of the voice's harmonics, and its pitch in Hz."""
PHONEMES = "həlˈO, ðɪs ɪz vˈivə."  # noqa: RUF001 - hibari's own alphabet

SILERO_TOLERANCE = 0.02
"""For a window's probability. With float weights, kernels differ only by rounding."""
SMART_TURN_TOLERANCE = 0.2
"""For a probability. On 12 recordings, exact int8 differed by at most 0.10 from the same graph in
float arithmetic, saturating int8 by up to 0.78."""
MINILM_MIN_COSINE = 0.999
"""Of a vector with the reference's."""
RERANKER_TOLERANCE = 0.5
"""For a logit, which ranges from about -11 to 11. Signed int8 without VNNI can saturate."""
HIBARI_MIN_CORRELATION = 0.998
"""For each output. Signed int8 without VNNI gave at least 0.9994 over eight sentences."""
WHISPER_TOLERANCE = 0.15
"""For the mean log probability of the tokens. int8 differed by at most 0.034 from the float model
on three recordings; the text must be the same."""
MOONSHINE_TOLERANCE = 0.1
"""The same, of int8 activations beside the makers' graph, which is in float arithmetic."""


@dataclass(frozen=True, slots=True)
class ModelCheck:
    """The result of checking one model.

    Parameters:
        model: Its name.
        passed: Whether its outputs are within the tolerance.
        detail: The measured difference, or a description of the error.
        millis: CPU time of one inference in an otherwise idle process; 0 after an error.
    """

    model: str
    passed: bool
    detail: str
    millis: float


class _WrongError(Exception):
    """A model's output differs from its reference."""


def check_models(names: Sequence[str] | None = None) -> list[ModelCheck]:
    """Check models; blocks for a second or two each.

    Args:
        names: Keys of ``CHECKS``; all by default.

    Raises:
        ValueError: A name is unknown.
    """
    for name in names or ():
        if name not in CHECKS:
            raise ValueError(f"{name!r} is not a model: it must be one of {', '.join(CHECKS)}")
    return [_check(name) for name in CHECKS if names is None or name in names]


def _check(name: str) -> ModelCheck:
    try:
        detail, millis = CHECKS[name]()
    except _WrongError as wrong:
        return ModelCheck(name, False, f"{wrong} (processor: {features().name})", 0.0)
    except Exception as error:  # such as a model that cannot be loaded
        return ModelCheck(name, False, f"{type(error).__name__}: {error}", 0.0)
    return ModelCheck(name, True, detail, millis)


@cache
def reference() -> Mapping[str, Any]:
    """Load the reference outputs, by name."""
    with np.load(REFERENCE / "outputs.npz") as stored:
        return {name: stored[name] for name in stored.files}


def clip(name: str) -> Floats:
    """Load a recording: samples at 16 kHz, in -1 to 1."""
    with wave.open(str(REFERENCE / f"{name}.wav")) as file:
        pcm = file.readframes(file.getnframes())
    return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32_768)


def silero_probabilities(session: Any, samples: Floats) -> Floats:
    """Return the probability of speech in each whole window of 512 samples."""
    memory = SileroMemory()
    probabilities: list[float] = []
    for begin in range(0, len(samples) - SILERO_WINDOW + 1, SILERO_WINDOW):
        memory.add(samples[begin : begin + SILERO_WINDOW])
        ((probability,),) = SileroMemory.infer(session, [memory], 1)
        probabilities.append(probability)
    return np.array(probabilities, np.float32)


def text_vectors(session: Any) -> Floats:
    """Return the unit vectors of :data:`TEXTS`, ``[3, 384]``."""
    tokenizer = minilm_tokenizer()
    encoded = [np.array([tokenizer.encode(text).ids], np.int64) for text in TEXTS]
    return np.concatenate([minilm_vectors(session, ids) for ids in encoded])


def reranker_logits(session: Any) -> Floats:
    """Return how well each of the other :data:`TEXTS` answers the first, ``[2]``."""
    tokenizer = reranker_tokenizer()
    pairs = [tokenizer.encode(TEXTS[0], text) for text in TEXTS[1:]]
    logits = [reranker_logit(session, pair.ids, pair.type_ids) for pair in pairs]
    return np.array(logits, np.float32)


def hibari_feeds() -> dict[str, Any]:
    """Return the input of hibari's network for :data:`PHONEMES`."""
    import json

    vocabulary = catalogue.HIBARI_HEART.locate().parent / "vocab.json"
    letters = json.loads(vocabulary.read_text(encoding="utf-8"))
    ids = [0, *[letters[letter] for letter in PHONEMES], 0]
    return {"ids": np.array([ids], np.int64), "speed": np.ones(1, np.float32)}


def whisper_text(model: Any, samples: Floats) -> tuple[str, float]:
    """Return a recording's text and its tokens' mean log probability; greedy, 30 s window."""
    peak = float(np.abs(samples).max())
    segments, _ = model.transcribe(
        samples * np.float32(0.9 / peak), language="en", beam_size=1, temperature=0.0
    )
    found = list(segments)
    text = "".join(segment.text for segment in found).strip()
    return text, float(np.mean([segment.avg_logprob for segment in found]))


def check_exact_int8(session: Any, model: str) -> None:
    """Fail if a session lacks the option that keeps int8 products from saturating.

    On a processor with VNNI the outputs are the same with and without it.
    """
    if not is_exact(session):
        raise _WrongError(
            f"{model}'s session is made without {EXACT_INT8}: on x86 without VNNI its products "
            "saturate, and hesitations are taken for ends of turns"
        )


def _silero() -> tuple[str, float]:
    session = catalogue.silero_session()
    worst = 0.0
    for name in CLIPS:
        got, millis = _timed(silero_probabilities, session, clip(name))
        worst = max(worst, float(np.abs(got - reference()[f"silero/{name}"]).max()))
    if worst > SILERO_TOLERANCE:
        raise _WrongError(
            f"a window's probability of speech is {worst:.3f} off its reference; "
            f"{SILERO_TOLERANCE} is allowed"
        )
    return f"probabilities within {worst:.4f} of the reference", millis / len(got)


def _smart_turn() -> tuple[str, float]:
    session = catalogue.smart_turn_session()
    check_exact_int8(session, "smart-turn")
    said = []
    for name in CLIPS:
        got, millis = _timed(smart_turn_probability, session, clip(name))
        expected = float(reference()[f"smart-turn/{name}"])
        if abs(got - expected) > SMART_TURN_TOLERANCE:
            raise _WrongError(
                f"a {name} is finished with probability {got:.2f}; the reference is "
                f"{expected:.2f} ± {SMART_TURN_TOLERANCE}: int8 arithmetic is wrong here"
            )
        said.append(f"{name} {got:.2f} ({expected:.2f})")
    return f"finished, and by the reference: {', '.join(said)}", millis


def _minilm() -> tuple[str, float]:
    session = catalogue.minilm_session()
    got, millis = _timed(text_vectors, session)
    least = float((got * reference()["minilm"]).sum(axis=1).min())
    if least < MINILM_MIN_COSINE:
        raise _WrongError(
            f"a vector's cosine to its reference is {least:.4f}; at least {MINILM_MIN_COSINE} "
            "is needed"
        )
    return f"cosine to the reference at least {least:.5f}", millis / len(TEXTS)


def _reranker() -> tuple[str, float]:
    session = catalogue.reranker_session()
    got, millis = _timed(reranker_logits, session)
    off = float(np.abs(got - reference()["reranker"]).max())
    if off > RERANKER_TOLERANCE:
        raise _WrongError(
            f"a logit differs from its reference by {off:.2f}; at most {RERANKER_TOLERANCE} is "
            "right: int8 arithmetic is wrong here"
        )
    return f"logits within {off:.3f} of the reference", millis / len(got)


def _hibari() -> tuple[str, float]:
    session = catalogue.open_hibari_session(catalogue.HIBARI_HEART.read())
    got, millis = _timed(session.run, list(HIBARI_OUTPUTS), hibari_feeds())
    least = 1.0
    for name, output in zip(HIBARI_OUTPUTS, got, strict=True):
        expected = reference()[f"hibari/{name}"].astype(np.float32)
        if output.shape != expected.shape:
            raise _WrongError(
                f"output {name} has shape {output.shape}, the reference {expected.shape}"
            )
        least = min(least, float(np.corrcoef(output.ravel(), expected.ravel())[0, 1]))
    if least < HIBARI_MIN_CORRELATION:
        raise _WrongError(
            f"an output's correlation to its reference is {least:.4f}; at least "
            f"{HIBARI_MIN_CORRELATION} is needed: int8 arithmetic is wrong here"
        )
    return f"correlation to the reference at least {least:.5f}", millis


def _whisper() -> tuple[str, float]:
    model = catalogue.load_whisper()
    got, millis = _timed(whisper_text, model, clip("question"))
    text, probability = got
    expected = float(reference()["whisper/logprob"])
    if text != str(reference()["whisper/text"]) or abs(probability - expected) > WHISPER_TOLERANCE:
        raise _WrongError(
            f"the question is heard as {text!r} at {probability:.2f}; the reference is "
            f"{str(reference()['whisper/text'])!r} at {expected:.2f} ± {WHISPER_TOLERANCE}"
        )
    return f"same text; log probability {probability:.3f} ({expected:.3f})", millis


def _moonshine() -> tuple[str, float]:
    try:
        model = Moonshine.load()
    except UnavailableError as why:
        return f"{why}; Whisper hears alone", 0.0
    got, millis = _timed(model.decode, clip("question"))
    text, expected = str(reference()["moonshine/text"]), float(reference()["moonshine/logprob"])
    if got.text != text or abs(got.avg_logprob - expected) > MOONSHINE_TOLERANCE:
        raise _WrongError(
            f"the question is heard as {got.text!r} at {got.avg_logprob:.2f}; the reference is "
            f"{text!r} at {expected:.2f} ± {MOONSHINE_TOLERANCE}: int8 arithmetic is wrong here"
        )
    return f"same text; log probability {got.avg_logprob:.3f} ({expected:.3f})", millis


CHECKS: Mapping[str, Callable[[], tuple[str, float]]] = {
    "silero": _silero,
    "smart-turn": _smart_turn,
    "MiniLM": _minilm,
    "reranker": _reranker,
    "hibari": _hibari,
    "whisper": _whisper,
    "moonshine": _moonshine,
}
"""The check of each model, by its name."""


def _timed(work: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """Run a function twice; return its result, and the CPU milliseconds of the second run."""
    work(*arguments)
    begun = time.process_time()
    result = work(*arguments)
    return result, 1000 * (time.process_time() - begun)
