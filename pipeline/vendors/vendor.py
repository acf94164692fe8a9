"""What a vendor is: one way to do one stage of a call."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, get_args

from knowledge.loading.document import Document
from settings import Settings

Stage = Literal["vad", "stt", "brain", "tts"]
STAGES: tuple[Stage, ...] = get_args(Stage)

Progress = Callable[[str, float], None]
"""Called with what is being loaded and how much of it is, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a vendor may know when it is loaded, and when a call's part is made.

    Parameters:
        settings: The settings.
        document: What calls are answered from.
        turn_model: Whether a turn model is to judge each stop of speech.
    """

    settings: Settings
    document: Document
    turn_model: bool = True


@dataclass(frozen=True, slots=True)
class Vendor:
    """One way to do one stage.

    Parameters:
        stage: The stage it does.
        name: Its name in settings.
        label: Its name for people.
        kind: ``embedded`` runs in this process, ``cloud`` is a service elsewhere.
        detail: In words: what it is and where it runs.
        missing: What keeps it from being used here, in a sentence; empty when nothing does.
        load: Loads what all calls share.
        build: Makes one call's part from what was loaded.
        ends_turns: Whether it decides the end of the caller's turn itself, so that no turn model
            is needed.
        automatic: Whether ``auto`` may choose it.
        model: Its model, where it has but one; empty where nothing is known of it.
        model_setting: Name of the setting that holds its model, where it has several.
        checked: What the project's tests hold against it: whole calls (against a simulator of its
            protocol, or the real engine), or only that it can be made.
    """

    stage: Stage
    name: str
    label: str
    kind: Literal["embedded", "cloud"]
    detail: str
    missing: Callable[[Settings], str]
    load: Callable[[Context, Progress], Any]
    build: Callable[[Any, Context], Any]
    ends_turns: bool = False
    automatic: bool = True
    model: str = ""
    model_setting: str = ""
    checked: Literal["calls", "construction"] = "calls"

    @property
    def prefix(self) -> str:
        """What the names of its own settings begin with."""
        return self.model_setting.removesuffix("_model") or self.name

    def model_of(self, settings: Settings) -> str:
        """Its model by these settings; empty where nothing is known of it."""
        return str(getattr(settings, self.model_setting)) if self.model_setting else self.model


def needs(*modules: str) -> Callable[[Settings], str]:
    """A vendor that runs from installed packages alone."""

    def missing(_: Settings) -> str:
        absent = [module for module in modules if find_spec(module) is None]
        return f"not installed: {', '.join(absent)}; run `make install`" if absent else ""

    return missing
