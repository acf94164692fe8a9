"""The gate's weights come from a logistic regression that finds what decides."""

import numpy as np

from benchmarks.gate import area, fitted
from knowledge.search.gate import GATE, Features, probability
from knowledge.search.token_match import Match


def test_the_fit_finds_what_decides() -> None:
    rng = np.random.default_rng(7)
    seen = rng.normal(size=(4000, 3))
    seen[:, -1] = 1.0
    likely = 1 / (1 + np.exp(-(2.0 * seen[:, 0] - 0.5)))
    right = (rng.random(4000) < likely).astype(np.float64)
    weights = fitted(seen, right)
    assert abs(weights[0] - 2.0) < 0.2
    assert abs(weights[1]) < 0.15
    assert abs(weights[2] + 0.5) < 0.15
    assert area(seen @ weights, right) > 0.8
    assert area(-seen @ weights, right) < 0.2


def test_what_matches_is_likelier_and_what_lacks_it_unlikely() -> None:
    def likely(read: float, match: Match, *, lacks: bool = False) -> float:
        return probability(
            Features(
                meaning=0.6, shared=0.5, read=read, fit=0.0, when=0.0, alien=0.0,
                match=match, lead=0.2, lead_in_match=0.05, lacks=lacks,
            )
        )  # fmt: skip

    assert len(GATE) == len(Features(0, 0, 0, 0, 0, 0).vector())
    near, far = Match(0.8, 0.8, 0.7), Match(0.4, 0.3, 0.1)
    assert likely(8.0, near) > 0.6 > 0.4 > likely(-8.0, far)
    assert likely(8.0, near, lacks=True) < likely(8.0, near) - 0.3
