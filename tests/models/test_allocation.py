"""The C library shares arenas and gives back what is free; Python passes over what is loaded."""

import ctypes
import gc
from collections.abc import Callable

import pytest

from models.allocation import exempt_from_collection, give_back, share_arenas


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


def test_what_exists_is_passed_over_once_its_garbage_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []
    monkeypatch.setattr(gc, "collect", lambda: done.append("collected"))
    monkeypatch.setattr(gc, "freeze", lambda: done.append("frozen"))
    exempt_from_collection()
    assert done == ["collected", "frozen"]
