"""The C library shares arenas and gives back what is free, where it is one that can."""

import ctypes
from collections.abc import Callable

import pytest

from models.allocation import give_back, share_arenas


def test_threads_share_two_arenas_and_what_is_free_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, tuple[int, ...]]] = []

    class Glibc:
        def __getattr__(self, name: str) -> Callable[..., None]:
            return lambda *arguments: asked.append((name, arguments))

    monkeypatch.setattr(ctypes, "CDLL", lambda _: Glibc())
    share_arenas()
    give_back()
    assert asked == [("mallopt", (-8, 2)), ("malloc_trim", (0,))]


@pytest.mark.parametrize("why", [OSError("musl"), TypeError("Windows"), None])
def test_elsewhere_nothing_is_done(monkeypatch: pytest.MonkeyPatch, why: Exception | None) -> None:
    def opened(_: None) -> object:
        if why:
            raise why
        return object()

    monkeypatch.setattr(ctypes, "CDLL", opened)
    share_arenas()
    give_back()
