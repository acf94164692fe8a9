"""Confidence intervals and significance tests; all randomness is seeded.

Turns of one call are correlated, so intervals resample whole calls (a cluster bootstrap).
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DRAWS = 2000
"""Number of draws of a bootstrap or a permutation test."""

LEVEL = 0.95
"""Confidence level of intervals."""

SEED = 20261127

EXACT_PAIRS = 12
"""Maximum number of pairs for which all permutations are tried."""


@dataclass(frozen=True, slots=True)
class Values:
    """Samples as arrays of the same length.

    Parameters:
        value: The values.
        weight: The weights, such as the number of words of a reference.
        group: The bins, for statistics with bins.
    """

    value: Floats
    weight: Floats
    group: npt.NDArray[np.int64]

    def select(self, which: npt.NDArray[np.int64]) -> "Values":
        """Select samples by index, with repetition."""
        return Values(self.value[which], self.weight[which], self.group[which])


Statistic = Callable[[Values], float]


def mean(values: Values) -> float:
    """The weighted mean; of ratios weighted by their denominators, the ratio of sums."""
    weight = float(values.weight.sum())
    return float(values.value @ values.weight) / weight if weight else math.nan


def quantile(values: npt.ArrayLike, share: float) -> float:
    """A quantile by linear interpolation (Hyndman and Fan's type 7)."""
    # numpy's takes ten times as long for the hundred or so samples of a run.
    ordered = np.sort(np.asarray(values, np.float64))
    place = share * (ordered.size - 1)
    below = int(place)
    low, high = ordered[below], ordered[min(below + 1, ordered.size - 1)]
    return float(low + (high - low) * (place - below))


def percentile(rank: float) -> Statistic:
    """A statistic that is a percentile, 0 to 100."""

    def statistic(values: Values) -> float:
        return quantile(values.value, rank / 100) if values.value.size else math.nan

    return statistic


def expected_calibration_error(values: Values) -> float:
    """Σ over bins of |Σ (claimed - true)|, over all samples; ``value`` is claimed - true."""
    if not values.value.size:
        return math.nan
    gaps = np.bincount(values.group, weights=values.value)
    return float(np.abs(gaps).sum() / values.value.size)


def wilson(successes: int, n: int, *, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's interval of a proportion.

    Raises:
        ValueError: There are no trials, or fewer than successes.
    """
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"{successes} of {n} is no proportion")
    from scipy import stats  # type: ignore[import-untyped]

    low, high = stats.binomtest(successes, n).proportion_ci(level, method="wilson")
    return float(low), float(high)


def interval(
    values: Values,
    clusters: Sequence[Hashable],
    statistic: Statistic,
    *,
    binary: bool = False,
    seed: int = SEED,
) -> tuple[float, float] | None:
    """The percentile bootstrap's 95 % interval of a statistic, resampling whole clusters.

    Where all binary samples are equal, the bootstrap has no width, so the interval is Wilson's.

    Args:
        values: The samples.
        clusters: The cluster (call) of each sample.
        statistic: The statistic.
        binary: Whether every value is 0 or 1.
        seed: The seed of the draws.

    Returns:
        ``None`` for fewer than two clusters.
    """
    if binary and values.value.size and np.unique(values.value).size == 1:
        return wilson(int(values.value.sum()), values.value.size)
    members = _members(clusters)
    if len(members) < 2:
        return None
    chance = np.random.default_rng(seed)
    drawn = chance.integers(0, len(members), size=(DRAWS, len(members)))
    if statistic is mean:
        found = _drawn_means(values, members, drawn)
    else:
        found = np.array(
            [
                statistic(values.select(np.concatenate([members[cluster] for cluster in row])))
                for row in drawn
            ]
        )
    return _middle(found)


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference of two runs over paired samples.

    Parameters:
        n: The number of pairs.
        a: The statistic of the first run's samples.
        b: The statistic of the second run's samples.
        ci95: The interval of ``b - a``, resampling whole calls; ``None`` for fewer than two calls.
        p: The two-sided p; ``None`` if no test applies.
        test: The test that gave ``p``.
        wilcoxon_p: The p of Wilcoxon's signed-rank test, where it applies.
    """

    n: int
    a: float
    b: float
    ci95: tuple[float, float] | None
    p: float | None
    test: str
    wilcoxon_p: float | None = None

    @property
    def difference(self) -> float:
        """``b - a``."""
        return self.b - self.a


def compare(
    a: Values,
    b: Values,
    clusters: Sequence[Hashable],
    statistic: Statistic,
    *,
    binary: bool = False,
    seed: int = SEED,
) -> Difference:
    """Compare two runs by paired samples in the same order.

    The test is McNemar's exact one where every value is 0 or 1 with equal weights; otherwise a
    permutation test that swaps the runs within pairs, and for a mean also Wilcoxon's.

    Raises:
        ValueError: The samples are not pairs.
    """
    n = a.value.size
    if n != b.value.size or n != len(clusters):
        raise ValueError(f"{n} and {b.value.size} samples of {len(clusters)} are no pairs")
    if n == 0:
        return Difference(0, math.nan, math.nan, None, None, "")
    ci95 = _paired_interval(a, b, clusters, statistic, seed)
    if binary and statistic is mean:
        only_a = int(((a.value == 1) & (b.value == 0)).sum())
        only_b = int(((a.value == 0) & (b.value == 1)).sum())
        return Difference(
            n, statistic(a), statistic(b), ci95, mcnemar(only_a, only_b), "McNemar, exact"
        )
    return Difference(
        n=n,
        a=statistic(a),
        b=statistic(b),
        ci95=ci95,
        p=permutation(a, b, statistic, seed=seed),
        test="paired permutation",
        wilcoxon_p=_wilcoxon(a.value, b.value) if statistic is mean else None,
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """The p of McNemar's exact test.

    Args:
        only_a: Pairs in which only the first run succeeded.
        only_b: Pairs in which only the second run succeeded.
    """
    if not only_a + only_b:
        return 1.0
    from scipy import stats

    return float(stats.binomtest(only_a, only_a + only_b).pvalue)


def permutation(a: Values, b: Values, statistic: Statistic, *, seed: int = SEED) -> float:
    """The two-sided p of the observed difference under random swaps within pairs.

    All swaps are tried for up to :data:`EXACT_PAIRS` pairs, otherwise :data:`DRAWS` random ones;
    the observed difference counts among them, so that p is never 0.
    """
    n = a.value.size
    found = abs(statistic(b) - statistic(a))
    exact = n <= EXACT_PAIRS
    if exact:
        swaps = (np.arange(2**n)[:, None] >> np.arange(n)) & 1 == 1
    else:
        swaps = np.random.default_rng(seed).random((DRAWS, n)) < 0.5
    close = 1e-12 * max(1.0, found)
    if statistic is mean:
        differences = _swapped_means(a, b, swaps)
    else:
        differences = np.array([_swapped(a, b, swap, statistic) for swap in swaps])
    as_large = int((np.abs(differences) >= found - close).sum())
    return as_large / len(swaps) if exact else (as_large + 1) / (len(swaps) + 1)


def _swapped_means(a: Values, b: Values, swaps: npt.NDArray[np.bool_]) -> Floats:
    """:func:`_swapped` for the mean, for all swaps at once."""
    above_a, above_b = a.value * a.weight, b.value * b.weight
    moved, moved_weight = swaps @ (above_b - above_a), swaps @ (b.weight - a.weight)
    mean_a = (above_a.sum() + moved) / (a.weight.sum() + moved_weight)
    mean_b = (above_b.sum() - moved) / (b.weight.sum() - moved_weight)
    return np.asarray(mean_b - mean_a, dtype=np.float64)


def _swapped(a: Values, b: Values, swap: npt.NDArray[np.bool_], statistic: Statistic) -> float:
    def mixed(some: Values, others: Values) -> Values:
        return Values(
            np.where(swap, others.value, some.value),
            np.where(swap, others.weight, some.weight),
            np.where(swap, others.group, some.group),
        )

    return statistic(mixed(b, a)) - statistic(mixed(a, b))


def _paired_interval(
    a: Values, b: Values, clusters: Sequence[Hashable], statistic: Statistic, seed: int
) -> tuple[float, float] | None:
    members = _members(clusters)
    if len(members) < 2:
        return None
    chance = np.random.default_rng(seed)
    drawn = chance.integers(0, len(members), size=(DRAWS, len(members)))
    if statistic is mean:
        found = _drawn_means(b, members, drawn) - _drawn_means(a, members, drawn)
    else:
        rows = (np.concatenate([members[cluster] for cluster in row]) for row in drawn)
        found = np.array([statistic(b.select(row)) - statistic(a.select(row)) for row in rows])
    return _middle(found)


def _drawn_means(
    values: Values, members: Sequence[npt.NDArray[np.int64]], drawn: npt.NDArray[np.int64]
) -> Floats:
    """The mean of each draw of clusters."""
    above = np.array([float(values.value[indices] @ values.weight[indices]) for indices in members])
    below = np.array([float(values.weight[indices].sum()) for indices in members])
    return np.asarray(above[drawn].sum(axis=1) / below[drawn].sum(axis=1), dtype=np.float64)


def _wilcoxon(a: Floats, b: Floats) -> float | None:
    from scipy import stats

    if not np.any(a != b):
        return 1.0
    result: Any = stats.wilcoxon(a, b, zero_method="wilcox")
    return float(result.pvalue)


def _members(clusters: Sequence[Hashable]) -> list[npt.NDArray[np.int64]]:
    places: dict[Hashable, list[int]] = {}
    for index, cluster in enumerate(clusters):
        places.setdefault(cluster, []).append(index)
    return [np.array(indices, dtype=np.int64) for indices in places.values()]


def _middle(found: Floats) -> tuple[float, float] | None:
    found = found[np.isfinite(found)]
    if not found.size:
        return None
    low, high = np.percentile(found, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return float(low), float(high)
