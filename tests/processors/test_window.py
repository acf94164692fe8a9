"""A window against a list that forgets nothing."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from processors.window import Window

SECS = 10.0
FIGURES = st.floats(0.0, 5.0)


def course(steps: Sequence[tuple[float, float]]) -> tuple[Window, list[tuple[float, float]], float]:
    """A window that is given a figure after each pause; the same by moment, and the last moment."""
    window, kept, now = Window(SECS), [], 1_000.0
    for pause, figure in steps:
        now += pause
        window.add(figure, now)
        kept.append((now, figure))
    return window, kept, now


@given(
    steps=st.lists(st.tuples(st.floats(0.0, 4.0), FIGURES), max_size=40),
    more=st.lists(FIGURES, max_size=5),
    later=st.floats(0.0, 15.0),
    share=st.floats(0.0, 1.0),
)
def test_a_share_of_the_last_seconds_figures_is_not_above_the_quantile(
    steps: list[tuple[float, float]], more: list[float], later: float, share: float
) -> None:
    window, kept, last = course(steps)
    now = last + later
    figures = [figure for at, figure in kept if now - at < SECS] + more
    told = window.quantile(share, now, more)
    if not figures:
        assert told == 0.0
        return
    assert told in figures
    assert sum(figure <= told for figure in figures) >= share * len(figures) - 1e-9
    assert sum(figure < told for figure in figures) <= share * len(figures) + 1e-9
    assert len(window) == len(figures) - len(more), "no more is kept than counts"


@given(steps=st.lists(st.tuples(st.floats(0.0, 4.0), FIGURES), min_size=1, max_size=40))
def test_a_clock_that_is_set_back_leaves_nothing_that_is_never_forgotten(
    steps: list[tuple[float, float]],
) -> None:
    window, _, _ = course(steps)
    assert window.quantile(1.0, 5.0) == 0.0
    window.add(0.25, 6.0)
    assert (window.quantile(0.5, 6.0), len(window)) == (0.25, 1)


def test_what_is_cleared_does_not_count() -> None:
    window, _, now = course([(1.0, 3.0), (1.0, 2.0)])
    assert window.quantile(0.99, now) == 3.0
    window.clear()
    assert window.quantile(0.99, now) == 0.0


def test_many_threads_may_add_while_others_look() -> None:
    window = Window(SECS)

    def work(number: int) -> float:
        for _ in range(500):
            window.add(1.0, 0.0)
            window.quantile(0.99, 0.0)
        return window.quantile(number / 8, 0.0)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [1.0] * 8
    assert len(window) == 4_000
