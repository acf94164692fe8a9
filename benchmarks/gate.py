"""Fits the gate of the embedded brain: how likely it is that the best record answers a question.

Run: ``python -m benchmarks.gate``. It asks the questions of ``evals/documents/develop``, prints the
weights for :data:`knowledge.search.gate.GATE`, and, leaving one document out, the area under the
curve and what each least probability would tell and pass on. The other half of the documents is
never looked at.
"""

import sys
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.documents import documents
from conversation.frames import Exchange
from evals.scoring.expectation import check
from evals.text.answers import Case, cases, decide
from knowledge.loading.document import Document, load
from processors.brain.extractive import ExtractiveBrain

Floats = npt.NDArray[np.float64]

_PENALTY = 1.0  # of the squares of the weights, but for the constant
_STEPS, _CLOSE = 100, 1e-9
_THRESHOLDS = (0.4, 0.5, 0.55, 0.6, 0.65, 0.7)


@dataclass(frozen=True, slots=True)
class Example:
    """One question and the record that was found first.

    Parameters:
        document: Name of the document.
        features: As the gate weighs them.
        right: Whether the record, told as it is, answers the question.
        answerable: Whether the document answers it.
    """

    document: str
    features: tuple[float, ...]
    right: bool
    answerable: bool


@dataclass(frozen=True, slots=True)
class _Reply:
    text: str
    sections: tuple[str, ...]
    decision: str = "respond"
    reason: str = ""


def example(brain: ExtractiveBrain, document: Document, case: Case) -> Example | None:
    """What the gate is told of a question; ``None`` if no record is found, or it is not asked."""
    if case.decision not in ("respond", "escalate"):
        return None
    history: list[Exchange] = []
    for before in case.after:
        told = decide(brain, document, before, history)
        history.append(Exchange(before, told.text, told.sections, told.decision))
    best = brain.best(case.ask, history)
    if best is None:
        return None
    features, said = best
    reply = _Reply(said.text, said.sections)
    right = case.decision == "respond" and all(
        found.passed for found in check(case.expected, reply)
    )
    return Example(document.name, features.vector(), right, case.decision == "respond")


def examples() -> list[Example]:
    """The questions of all documents to develop on."""
    found: list[Example] = []
    for path in documents("develop"):
        document = load(path)
        brain = ExtractiveBrain.load(document)
        asked = cases(path.with_suffix(".toml"))[1]
        found += filter(None, (example(brain, document, case) for case in asked))
        brain.close()
    return found


def fitted(features: Floats, right: Floats) -> Floats:
    """The weights of a logistic regression, the constant last."""
    penalty = np.full(features.shape[1], _PENALTY)
    penalty[-1] = _CLOSE
    weights = np.zeros(features.shape[1])
    for _ in range(_STEPS):
        likely = 1 / (1 + np.exp(-features @ weights))
        slope = features.T @ (likely - right) + penalty * weights
        bend = (features * (likely * (1 - likely))[:, None]).T @ features + np.diag(penalty)
        step = np.linalg.solve(bend, slope)
        weights -= step
        if np.abs(step).max() < _CLOSE:
            break
    return weights


def area(likely: Floats, right: Floats) -> float:
    """The area under the curve: how often a right answer is likelier than a wrong one."""
    rank = np.argsort(np.argsort(likely)) + 1
    count = right.sum()
    wins = rank[right > 0].sum() - count * (count + 1) / 2
    return float(wins / (count * (len(right) - count)))


def main() -> None:
    """Fit the weights and print them."""
    asked = examples()
    features = np.array([one.features for one in asked])
    right = np.array([one.right for one in asked], dtype=np.float64)
    answerable = np.array([one.answerable for one in asked])
    names = np.array([one.document for one in asked])
    likely = np.zeros(len(asked))
    for name in sorted(set(names)):
        out = names == name
        likely[out] = 1 / (1 + np.exp(-features[out] @ fitted(features[~out], right[~out])))
    write = sys.stdout.write
    weights = ", ".join(f"{weight:.2f}" for weight in fitted(features, right))
    write(f"{len(asked)} questions, {int((~answerable).sum())} without an answer\n({weights})\n")
    write(f"leaving one document out: area under the curve {area(likely, right):.4f}\n")
    for least in _THRESHOLDS:
        told = likely >= least
        write(
            f"  from {least:.2f}: right {(right * told).sum() / answerable.sum():.1%}, of what is "
            f"said {right[told].mean():.1%}, passed on {(~told)[~answerable].mean():.1%}\n"
        )


if __name__ == "__main__":
    main()
