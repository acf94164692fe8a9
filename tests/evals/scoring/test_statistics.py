"""Intervals and tests: checked against worked examples, and for what must hold of any figures."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.scoring import statistics
from evals.scoring.statistics import Values, mean, percentile

FIGURES = st.lists(st.integers(-100, 100).map(lambda n: n / 8), min_size=1, max_size=12)


def values(
    figures: Sequence[float], weights: Sequence[float] = (), groups: Sequence[int] = ()
) -> Values:
    return Values(
        np.array(figures, dtype=np.float64),
        np.array(weights or [1.0] * len(figures), dtype=np.float64),
        np.array(groups or [0] * len(figures), dtype=np.int64),
    )


def test_a_weighted_mean_is_the_ratio_of_sums() -> None:
    # 1 of 4 words wrong, 3 of 6: 4 of 10.
    assert mean(values([1 / 4, 3 / 6], [4, 6])) == pytest.approx(0.4)


def test_a_percentile_lies_between_two_samples_in_proportion() -> None:
    assert percentile(95)(values([1.0, 2.0, 3.0, 4.0, 5.0])) == pytest.approx(4.8)


@given(FIGURES, st.integers(0, 100))
def test_a_percentile_is_numpy_s(figures: list[float], rank: int) -> None:
    assert percentile(rank)(values(figures)) == pytest.approx(np.percentile(figures, rank))


def test_calibration_error_adds_up_the_gaps_of_the_bins() -> None:
    # Bin 0: claims 0.95 four times, right three times: 0.8 too much. Bin 1: claims 0.5 once, right.
    gaps = [-0.05, -0.05, -0.05, 0.95, -0.5]
    found = statistics.expected_calibration_error(values(gaps, groups=[0, 0, 0, 0, 1]))
    assert found == pytest.approx((0.8 + 0.5) / 5)


def test_wilson_s_interval_of_nine_in_ten() -> None:
    assert statistics.wilson(9, 10) == pytest.approx((0.5958, 0.9821), abs=1e-4)


def test_a_perfect_rate_is_not_certain() -> None:
    found = statistics.interval(values([1.0] * 40), list(range(40)), mean, binary=True)
    assert found == pytest.approx((0.9124, 1.0), abs=1e-4)
    assert found is not None
    assert found[1] == 1.0


def test_nothing_of_nothing_is_no_proportion() -> None:
    with pytest.raises(ValueError, match="0 of 0 is no proportion"):
        statistics.wilson(0, 0)


@given(FIGURES)
def test_an_interval_is_the_same_each_time_and_within_what_was_measured(
    figures: list[float],
) -> None:
    clusters = [index // 2 for index in range(len(figures))]
    first = statistics.interval(values(figures), clusters, mean)
    assert first == statistics.interval(values(figures), clusters, mean)
    if len(figures) <= 2:
        assert first is None
    else:
        assert first is not None
        assert min(figures) - 1e-9 <= first[0] <= first[1] <= max(figures) + 1e-9


def test_turns_of_one_call_do_not_make_an_interval_narrower() -> None:
    # Ten calls of one turn, or the same ten figures eight times each: it is ten calls all the same.
    figures = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    once = statistics.interval(values(figures), list(range(10)), mean)
    often = statistics.interval(values(figures * 8), list(range(10)) * 8, mean)
    assert once == pytest.approx(often)


def test_a_bootstrap_covers_the_truth_about_as_often_as_it_says() -> None:
    chance = np.random.default_rng(7)
    covered = 0
    for _ in range(200):
        sample = chance.normal(5.0, 1.0, size=40)
        low, high = statistics.interval(values(list(sample)), list(range(40)), mean) or (0, 0)
        covered += low <= 5.0 <= high
    assert 178 <= covered <= 198  # 95 % of 200, less what 40 calls cost a percentile bootstrap


def test_mcnemar_looks_only_at_the_pairs_that_differ() -> None:
    # Eight got worse and one better: twice (1 + 9) of 512.
    assert statistics.mcnemar(8, 1) == pytest.approx(2 * 10 / 512)
    assert statistics.mcnemar(0, 0) == 1.0
    assert statistics.mcnemar(4, 4) == 1.0


def test_a_permutation_test_of_five_pairs_tries_all_32() -> None:
    # All five went the same way: only that and its mirror image are as far from none.
    a, b = values([1.0, 2.0, 3.0, 4.0, 5.0]), values([1.5, 2.4, 3.3, 4.2, 5.1])
    assert statistics.permutation(a, b, mean) == pytest.approx(2 / 32)


def test_wilcoxon_s_test_leaves_out_pairs_that_do_not_differ() -> None:
    a, b = values([0.0] * 8), values([0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    assert statistics.compare(a, b, range(8), mean).wilcoxon_p == pytest.approx(2 / 32)


@given(FIGURES)
def test_runs_that_are_the_same_do_not_differ(figures: list[float]) -> None:
    same = statistics.compare(values(figures), values(figures), range(len(figures)), mean)
    assert same.difference == 0
    assert same.p == 1.0
    assert same.wilcoxon_p == 1.0
    assert same.ci95 in (None, (0.0, 0.0))


@given(FIGURES, st.integers(0, 1000))
def test_a_difference_has_the_same_p_the_other_way_round(figures: list[float], seed: int) -> None:
    other = list(np.random.default_rng(seed).permutation(figures))
    there = statistics.permutation(values(figures), values(other), mean)
    back = statistics.permutation(values(other), values(figures), mean)
    assert there == pytest.approx(back)
    assert 0 < there <= 1


@given(FIGURES, st.integers(0, 1000))
def test_a_mean_is_tested_as_any_other_statistic_is(figures: list[float], seed: int) -> None:
    other = list(np.random.default_rng(seed).normal(0, 5, len(figures)))
    weights = [1.0 + index % 3 for index in range(len(figures))]
    a, b = values(figures, weights), values(other, weights[::-1])
    clusters = [index // 3 for index in range(len(figures))]
    fast = statistics.compare(a, b, clusters, mean)
    slow = statistics.compare(a, b, clusters, lambda some: 1.0 * mean(some))
    assert fast.p == pytest.approx(slow.p)
    assert (fast.ci95 or ()) == pytest.approx(slow.ci95 or ())


def test_a_binary_metric_is_tested_by_mcnemar() -> None:
    a, b = values([1, 1, 1, 1, 0, 1]), values([0, 0, 0, 1, 1, 1])
    found = statistics.compare(a, b, range(6), mean, binary=True)
    assert found.test == "McNemar, exact"
    assert found.p == pytest.approx(2 * (1 + 4) / 16)
    assert found.difference == pytest.approx(-2 / 6)


def test_a_tail_is_tested_by_permutation_alone() -> None:
    a, b = values([1.0, 2.0, 3.0]), values([1.1, 2.1, 9.0])
    found = statistics.compare(a, b, range(3), percentile(95))
    assert found.test == "paired permutation"
    assert found.wilcoxon_p is None
    assert found.difference == pytest.approx(8.31 - 2.9)


def test_the_interval_of_a_difference_draws_calls_not_turns() -> None:
    a, b = values([0.0] * 6), values([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    found = statistics.compare(a, b, ["x"] * 3 + ["y"] * 3, mean)
    assert found.ci95 == (0.0, 1.0)


def test_nothing_in_common_is_no_difference() -> None:
    found = statistics.compare(values([]), values([]), [], mean)
    assert found.n == 0
    assert math.isnan(found.difference)


def test_samples_without_a_partner_are_refused() -> None:
    with pytest.raises(ValueError, match="2 and 1 samples of 2 are no pairs"):
        statistics.compare(values([1, 2]), values([1]), [0, 1], mean)
