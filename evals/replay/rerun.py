"""The re-run stages of a replay; their vendors are loaded once per process."""

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
    """A re-run stage.

    Parameters:
        vendor: The vendor.
        loaded: The engine that its ``load`` returned.
    """

    vendor: Vendor
    loaded: Any = None


class Rerun(Mapping[Stage, Again]):
    """The re-run stages; a context manager around each call."""

    def __init__(self, settings: Settings, document: Document, stages: dict[Stage, Again]) -> None:
        self._context = Context(settings, document)
        self._stages = stages

    @classmethod
    def load(cls, settings: Settings, document: Document, vendors: Mapping[Stage, str]) -> Self:
        """Load the vendors.

        Args:
            settings: The settings.
            document: The calls' document.
            vendors: The vendor of each re-run stage.

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
                # A connection belongs to an event loop, and each call has its own.
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
    """Runs a cloud brain in real time."""

    def __init__(self, brain: Brain) -> None:
        self._brain = brain

    @classmethod
    def building(cls, vendor: Vendor) -> Any:
        build = vendor.build
        return lambda loaded, context: cls(build(loaded, context))

    @property
    def name(self) -> str:
        """The brain's name."""
        return self._brain.name

    async def decide(self, question: Question) -> AsyncIterator[BrainEvent]:
        """Stream the brain's events; raises its errors."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        with loop.real_time():
            async with aclosing(events_of(self._brain, question)) as events:
                async for event in events:
                    yield event


def _untold(_part: str, _share: float) -> None:
    pass
