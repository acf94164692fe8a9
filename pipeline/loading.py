"""Loads the engines while the server already listens."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from loguru import logger

from models.weights import WeightsError
from pipeline.engines import Engines
from pipeline.vendors import Progress

FAILED = "failed"
"""The label reported as progress when loading has failed."""


class LoadingError(Exception):
    """The engines cannot be loaded; the message says which vendor, where, and what to do."""


Load = Callable[[Progress], Coroutine[Any, Any, Engines]]


class Loading:
    """The engines of a process, from loading to closing.

    Parameters:
        load: Loads the engines and reports progress.
        progress: Called with the same progress.
        closes: Whether :meth:`close` closes the engines, too.
    """

    def __init__(
        self, load: Load, *, progress: Progress = lambda _label, _share: None, closes: bool = True
    ) -> None:
        self.news: tuple[str, float] = ("starting", 0.0)
        self.failed = asyncio.Event()
        """Set once loading has failed; :attr:`failure` says why."""
        self.failure: LoadingError | None = None
        self._load = load
        self._progress = progress
        self._closes = closes
        self._task: asyncio.Task[Engines] | None = None

    def start(self) -> None:
        """Start loading."""
        self._task = asyncio.create_task(self._load(self._report))
        self._task.add_done_callback(self._log_failure)

    @property
    def engines(self) -> Engines | None:
        """The engines once they are loaded."""
        task = self._task
        if task is None or not task.done() or task.cancelled() or task.exception() is not None:
            return None
        return task.result()

    @property
    def done(self) -> bool:
        """Whether the engines are loaded."""
        return self.engines is not None

    async def ready(self, timeout_secs: float | None = None) -> Engines | None:
        """Wait for the engines; ``None`` if they are not loaded in time.

        Raises:
            Exception: Whatever made loading fail.
        """
        assert self._task is not None, "start() comes first"
        await asyncio.wait([self._task], timeout=timeout_secs)
        return self._task.result() if self._task.done() else None

    async def close(self) -> None:
        """Close the engines or stop loading them; no call may be open."""
        if self._task is None:
            return
        engines = self.engines
        if engines is None:
            self._task.cancel()
        elif self._closes:
            await engines.close()

    def _report(self, label: str, share: float) -> None:
        self.news = (label, share)
        self._progress(label, share)

    def _log_failure(self, task: "asyncio.Task[Engines]") -> None:
        if task.cancelled() or not (error := task.exception()):
            return
        if isinstance(error, KeyboardInterrupt):  # it has ended the loop already
            return
        self._report(FAILED, self.news[1])
        self.failure = LoadingError(explain(error))
        self.failure.__cause__ = error
        self.failed.set()
        logger.opt(exception=error).error("loading failed. {}", self.failure)


def explain(error: BaseException) -> str:
    """Say what could not be loaded, why, and what to do."""
    what = getattr(error, "__notes__", None) or ["the engines cannot be loaded"]
    why = ": ".join([*what, f"{type(error).__name__}: {error}".rstrip(".")])
    if isinstance(error, WeightsError):
        return f"{why}. Reinstall: rm -rf .venv && make install."
    remedy = "Run `make install`" if isinstance(error, ImportError) else "Correct that"
    return f"{why}. {remedy}, or set another vendor; `viva vendors` lists them."
