"""The stages of a replay that are done again, by a vendor that is loaded once a process."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from inspect import isawaitable
from typing import Any, Self

from evals.replay.virtual_time import VirtualTimeLoop
from knowledge.loading.document import Document
from pipeline.choice import choose
from pipeline.vendors import STAGES, Context, Stage, Vendor
from processors.brain.contract import Brain, BrainEvent, Question, events_of
from recording.metadata import plain_settings
from settings import Settings

_LOADED: dict[tuple[str, str, str], Any] = {}


@dataclass(slots=True)
class Again:
    """A stage that is re-run.

    Parameters:
        vendor: Who does it.
        loaded: What its ``load`` gave.
    """

    vendor: Vendor
    loaded: Any = None


class Rerun(Mapping[Stage, Again]):
    """The stages that are re-run; used as a context while a call is held."""

    def __init__(self, settings: Settings, document: Document, stages: dict[Stage, Again]) -> None:
        self._context = Context(settings, document)
        self._stages = stages

    @classmethod
    def load(cls, settings: Settings, document: Document, vendors: Mapping[Stage, str]) -> Self:
        """Load what runs in this process.

        Args:
            settings: The settings.
            document: What calls are answered from.
            vendors: Who does each stage that is re-run.

        Raises:
            SettingsError: A vendor cannot be used.
        """
        stages: dict[Stage, Again] = {}
        if vendors:
            choices = choose(settings)
            for stage in STAGES:
                if stage in vendors:
                    stages[stage] = Again(choices[stage].vendor)
        rerun = cls(settings, document, stages)
        for again in stages.values():
            if again.vendor.kind == "embedded":
                again.loaded = rerun._load_once(again.vendor)
        return rerun

    def __getitem__(self, stage: Stage) -> Again:
        return self._stages[stage]

    def __iter__(self) -> Iterator[Stage]:
        return iter(self._stages)

    def __len__(self) -> int:
        return len(self._stages)

    async def __aenter__(self) -> None:
        for again in self._stages.values():
            if again.vendor.kind == "cloud":
                # A connection belongs to its event loop, and so to one call.
                vendor = again.vendor
                again.loaded = await asyncio.to_thread(vendor.load, self._context, _untold)
                if vendor.stage == "brain":
                    again.vendor = replace(vendor, build=_InRealTime.building(vendor))

    async def __aexit__(self, *_: object) -> None:
        for again in self._stages.values():
            close = getattr(again.loaded, "close", None)
            if again.vendor.kind == "cloud" and close is not None and isawaitable(end := close()):
                await end

    def _load_once(self, vendor: Vendor) -> Any:
        settings = json.dumps(plain_settings(self._context.settings), sort_keys=True)
        key = (vendor.name, settings, self._context.document.sha256)
        if key not in _LOADED:
            if len(_LOADED) > 8:
                _LOADED.clear()
            _LOADED[key] = vendor.load(self._context, _untold)
        return _LOADED[key]


class _InRealTime:
    """A brain that answers over a network: the clock runs while it does."""

    def __init__(self, brain: Brain) -> None:
        self._brain = brain

    @classmethod
    def building(cls, vendor: Vendor) -> Any:
        build = vendor.build
        return lambda loaded, context: cls(build(loaded, context))

    @property
    def name(self) -> str:
        """The brain's own."""
        return self._brain.name

    async def decide(self, question: Question) -> AsyncIterator[BrainEvent]:
        """Stream what the brain streams; raises as it does."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        with loop.real_time():
            async with aclosing(events_of(self._brain, question)) as events:
                async for event in events:
                    yield event


def _untold(_part: str, _share: float) -> None:
    pass
