"""Keeps the C library from holding on to free memory, and Python from looking through what stays.

glibc gives each thread an arena of its own, and keeps what was freed in it. Loading the engines in
threads, and then running each in others, leaves much of that. Elsewhere than on glibc nothing is
done.
"""

import ctypes
import gc
from typing import Any

_M_ARENA_MAX = -8  # of mallopt, from malloc.h
_ARENAS = 2
"""One for the event loop, one for the engines' threads, which seldom allocate at once."""


def share_arenas() -> None:
    """Let threads that start from now on share arenas; arenas that exist remain."""
    if (mallopt := _function("mallopt")) is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)


def give_back() -> None:
    """Give back to the system what is free; blocks for some milliseconds."""
    if (malloc_trim := _function("malloc_trim")) is not None:
        malloc_trim(0)


def exempt_from_collection() -> None:
    """Have the garbage collector pass over what exists now; blocks for 50 ms and more.

    Modules and engines stay as long as the process, but each full collection would look through
    them again, and hold up all calls meanwhile: 60 ms for the 210,000 objects of a server without
    embedded engines. What is let go later is freed all the same, unless it refers to itself.
    """
    gc.collect()
    gc.freeze()


def _function(name: str) -> Any:
    try:
        return getattr(ctypes.CDLL(None), name, None)
    except (OSError, TypeError):  # no C library that can be opened so
        return None
