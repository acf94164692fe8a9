"""Replays a recorded call, with any of its stages re-run by another vendor.

Stages that are not re-run give their recorded output, and the caller says what they said, placed
relative to the agent's voice. The replay runs in virtual time (:mod:`evals.replay.virtual_time`):
if nothing is re-run, it takes the same steps every time and writes the same recording to the byte.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from dataclasses import replace as replace_fields
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, get_args

from pipecat.processors.frame_processor import FrameProcessor

from conversation.frames import EscalationFrame
from evals.replay import virtual_time
from evals.replay.brain import (
    RecordedSpeculation,
    ReplayedBrain,
    asks_of,
    replayed_tools,
    warmed_by,
)
from evals.replay.caller import ReplayedCaller, Timing
from evals.replay.client_playback_profile import playback_profile_of
from evals.replay.differences import differences
from evals.replay.microphone import Microphone
from evals.replay.rerun import Rerun
from evals.replay.stages import ReplayedDecisions, ReplayedStage
from evals.replay.utterances import RecordedCaller
from evals.replay.virtual_time import VirtualTimeLoop
from evals.replay.voice import ReplayedVoice, Takes
from knowledge.check.support import precompute
from knowledge.loading.document import Document, load
from ledger.money.price_table import published_prices
from ledger.money.prices import Prices
from models.replacement import replace
from pipeline.call import Call, Terms
from pipeline.choice import Choice, choose
from pipeline.engines import Engines
from pipeline.escalations import Escalations
from pipeline.vendors import STAGES, VENDORS, Context, Stage, Vendor
from processors.brain.tools import registered
from recording.message import Message
from recording.recorder import Recorder, RecordingTarget
from recording.recording import Recording
from recording.writer import InlineWriter
from settings import Settings, SettingsError
from transports.replay import ReplayConnection, ReplayedPage

From = Literal["audio", "transcript", "decision"]

PATIENCE_SECS = 3_600.0
"""Longer than any timer of a call, so that turn taking does not act where it is replayed."""

_STAGE_NAMES = {"transcribing": "stt", "thinking": "brain", "speaking": "tts", "listening": "vad"}

_REFUSED: Mapping[From, frozenset[Stage]] = {
    "audio": frozenset(),
    "transcript": frozenset(("vad", "stt")),
    "decision": frozenset(("vad", "stt", "brain")),
}


class ReplayError(Exception):
    """A recording cannot be replayed with these options; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Options:
    """How recordings are replayed.

    Parameters:
        source: What enters the call: the caller's audio, the transcripts, or the decisions.
        timing: Whether the caller keeps their place relative to the agent's voice, or their times.
        vendors: The vendors of stages that are re-run.
        overrides: Changed settings, by name.
        knowledge: The document to answer from; ``None`` for that of the settings.
    """

    source: From = "audio"
    timing: Timing = "reactive"
    vendors: Mapping[Stage, str] = field(default_factory=dict)
    overrides: Mapping[str, str] = field(default_factory=dict)
    knowledge: str | None = None

    def check(self) -> None:
        """Check that the options can be combined.

        Raises:
            ReplayError: They cannot be combined.
        """
        if self.source not in get_args(From):
            raise ReplayError(f"--from is {self.source!r}; allowed: {', '.join(get_args(From))}.")
        if self.timing not in get_args(Timing):
            allowed = ", ".join(get_args(Timing))
            raise ReplayError(f"--timing is {self.timing!r}; allowed: {allowed}.")
        for stage in self.vendors:
            if stage in _REFUSED[self.source]:
                further = "audio" if stage in ("vad", "stt") else "transcript"
                raise ReplayError(
                    f"--{stage} cannot be used with --from {self.source}, which comes after that "
                    f"stage. Use --from {further}."
                )
        for name in self.overrides:
            if name not in Settings.model_fields:
                raise ReplayError(
                    f"--set {name.upper()}: there is no such setting; see `viva settings`."
                )
            if name in STAGES:
                raise ReplayError(f"--set {name.upper()}: use --{name} to re-run that stage.")
        try:
            settings = _with(self.overrides, self.vendors)
            if self.vendors:
                choose(settings)
        except SettingsError as error:
            raise ReplayError(str(error)) from None

    def as_dict(self) -> dict[str, Any]:
        """The options as ``run.json`` has them."""
        stages = {stage: self.vendors.get(stage, "replayed") for stage in STAGES}
        return {
            "from": self.source,
            "timing": self.timing,
            "stages": stages,
            "set": dict(self.overrides),
        }


def replay(source: Path, out: Path, options: Options) -> dict[str, Any]:
    """Replay one recording into another.

    Args:
        source: The recording.
        out: The new recording, written atomically.
        options: How to replay.

    Returns:
        The call's entry in ``run.json``.

    Raises:
        RecordingError: The recording cannot be read.
        ReplayError: It cannot be replayed with these options.
    """
    cpu = time.process_time()
    recorded = Recording.load(source)
    session = _Session(recorded, options)
    part = part_of(out)
    try:
        counted = bool(session.rerun) and not session.real_time
        virtual_time.run(session.hold(part), counted=counted)
        replayed = Recording.load(part)
        entry = {
            "file": out.name,
            "source": str(source),
            "digest": replayed.digest,
            "source_digest": recorded.digest,
            "turns": sum(
                1
                for message in replayed.topic("/turn/TurnFrame")
                if not message.data["speculation"]
            ),
            "seconds": round(replayed.duration_secs, 6),
            "missing": [dict(message.data) for message in replayed.topic("/replay/Missing")],
            "differs": differences(recorded, replayed),
            "irregular_page": session.irregular,
        }
        replace(part, out)
    finally:
        part.unlink(missing_ok=True)
    return entry | {"cpu_seconds": round(time.process_time() - cpu, 4)}


def part_of(out: Path) -> Path:
    """The path of a replay until it is complete."""
    return out.with_name(f".{out.stem}.part.mcap")


class _Unkept(Escalations):
    """Escalations of a replay, which are not stored a second time."""

    def __init__(self) -> None:
        super().__init__(Path())

    async def add(self, call: str, frame: EscalationFrame) -> None:
        """Do nothing."""


class _Session:
    """One call's replay."""

    def __init__(self, recording: Recording, options: Options) -> None:
        self._recording = recording
        self._options = options
        begin = next(recording.topic("/call/Begin"), None)
        if begin is None:
            raise ReplayError(f"{recording.path} does not say how its call began; record it again.")
        self._begin: Message = begin
        self._document = _document(options.knowledge, opening_of(recording))
        self._vendors = self._to_rerun()
        self._settings = self._settings_of()
        self.rerun = Rerun.load(self._settings, self._document, self._vendors)
        audio = any(message.data["data"] for message in recording.topic("/caller/audio"))
        self._hears = any(stage in self._vendors for stage in ("vad", "stt"))
        if self._hears and not audio:
            raise ReplayError(
                f"{recording.path} has no audio of its caller, which --stt and --vad need. "
                "Use --from transcript."
            )
        self._has_audio = audio
        self._asks = asks_of(recording)
        self._page: ReplayedPage | None = None
        self.irregular = False

    @property
    def real_time(self) -> bool:
        """Whether the whole call runs in real time."""
        return any(
            self.rerun[stage].vendor.kind == "cloud" for stage in self.rerun if stage != "brain"
        )

    async def hold(self, path: Path) -> None:
        """Replay the call and write its recording."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        during: AbstractContextManager[None] = loop.real_time() if self.real_time else nullcontext()
        with during:
            async with self.rerun:
                await self._hold(path)

    async def _hold(self, path: Path) -> None:
        recording, options = self._recording, self._options
        deciding = options.source == "decision"
        recorded = RecordedCaller.from_recording(recording, self._given_by_caller())
        microphone = None
        if self._has_audio:
            microphone = Microphone(recording.caller_audio(), recorded.utterances)
        caller = ReplayedCaller(
            recorded, timing=options.timing, microphone=microphone, heard=self._hears
        )
        engines = self._engines(caller)
        profile = playback_profile_of(recording)
        self.irregular = bool(profile.repeated)
        if self.rerun or options.overrides:
            # Another voice, or another course of the call, was never reported.
            profile = replace_fields(profile, repeated=())
        page = ReplayedPage(profile, told=caller.voice.read_message, over=caller.fall_silent)
        caller.page = self._page = page
        connection = ReplayConnection(
            page,
            stage_vendors={
                name: engines.choices[stage].vendor.name  # type: ignore[index]
                for name, stage in _STAGE_NAMES.items()
            },
            speak=caller.speak,
        )
        if deciding:
            caller.decisions = lambda conversation: ReplayedDecisions(
                caller.stages["stt"], conversation, recording
            )
        terms = Terms(
            id=recording.call,
            tariff=_prices(recording.started_at),
            follow_up=self._begin.data.get("follow_up", "person"),
        )
        target = RecordingTarget(InlineWriter(), path.parent, source="replay", name=path.stem)
        await Call(connection, engines, _Unkept(), terms, target).run()

    def _given_by_caller(self) -> tuple[str, ...]:
        """The stages whose recorded output is pushed along with the caller's utterances."""
        if self._options.source == "decision":
            return ("turn", "brain")
        return tuple(stage for stage in ("vad", "stt") if stage not in self._vendors)

    def _to_rerun(self) -> dict[Stage, str]:
        vendors = dict(self._options.vendors)
        if "stt" in vendors and "vad" not in vendors and self._begin.data["ending"] != "model":
            # The recogniser ended the turns, so the recording has no turn model's verdicts.
            vendors["vad"] = "auto"
        return vendors

    def _settings_of(self) -> Settings:
        # The recording's settings of a vendor that it did not use must not count.
        used = set(self._recording.vendors.values())
        used_settings = {
            name
            for vendor in VENDORS
            if vendor.name in used
            for name in vendor.settings.model_fields
        }
        others = {
            name for vendor in VENDORS for name in vendor.settings.model_fields
        } - used_settings
        recorded = {
            name: value
            for name, value in self._recording.settings.items()
            if name in Settings.model_fields and name not in STAGES and name not in others
        }
        try:
            return _with(recorded, self._options.overrides, self._vendors)
        except SettingsError as error:
            raise ReplayError(str(error)) from None

    # The engines.

    def _engines(self, caller: ReplayedCaller) -> Engines:
        settings = self._settings
        if self._options.source == "decision":
            asleep = {"silence_prompt_secs": PATIENCE_SECS, "silence_end_secs": PATIENCE_SECS}
            settings = settings.model_copy(update=asleep)
        choices: dict[Stage, Choice] = {}
        loaded: dict[str, Any] = {}
        for stage in STAGES:
            if stage in self.rerun:
                again = self.rerun[stage]
                choices[stage] = Choice(again.vendor, "re-run")
                loaded[again.vendor.name] = again.loaded
            else:
                vendor = self._replayed(stage, caller)
                choices[stage] = Choice(vendor, "replayed")
                loaded[vendor.name] = None
        speculation = (
            RecordedSpeculation([], max_wasted_share=settings.preemptive_waste)
            if "brain" in self.rerun
            else RecordedSpeculation.from_recording(
                self._recording, max_wasted_share=settings.preemptive_waste
            )
        )
        tools = replayed_tools(self._recording, registered())
        return Engines(
            settings,
            self._document,
            choices,
            loaded,
            speculation=speculation,
            tools=tools,
            normalise=None if "tts" in self.rerun else Takes.from_recording(self._recording).say,
            said_by_clause=None
            if "brain" in self.rerun
            else self._begin.data.get("by_clause", False),
        )

    def _replayed(self, stage: Stage, caller: ReplayedCaller) -> Vendor:
        recording = self._recording
        name = recording.vendors.get(stage, stage)
        return Vendor(
            stage=stage,
            name=name,
            label=f"{name}, as recorded",
            kind="cloud" if stage == "brain" and self._begin.data["preemptive"] else "embedded",
            detail="its recorded output",
            build=partial(self._build, stage, caller),
            ends_turns=stage == "stt" and self._begin.data["ending"] == "recogniser",
            model=recording.models.get(name, ""),
        )

    def _build(
        self, stage: Stage, caller: ReplayedCaller, _loaded: None, _context: Context
    ) -> FrameProcessor | ReplayedBrain:
        recording = self._recording
        if stage == "brain":
            name = recording.vendors.get("brain", "brain")
            return ReplayedBrain(
                self._asks, name=name, missing=self._note_missing, warmed=warmed_by(recording)
            )
        if stage == "tts":
            return ReplayedVoice(Takes.from_recording(recording), missing=self._note_missing)
        processor = caller.stages[stage] = ReplayedStage()
        return processor

    def _note_missing(self, stage: str, what: str) -> None:
        if self._page is not None and isinstance(self._page.observer, Recorder):
            self._page.observer.write("/replay/Missing", {"stage": stage, "what": what})


def _with(*settings: Mapping[Any, Any]) -> Settings:
    """The process's settings, overridden by others; later ones win."""
    together: dict[str, Any] = {}
    for some in settings:
        together.update(some)
    return Settings.load(**together)


def opening_of(recording: Recording) -> str | None:
    """What the agent of an imported call said first, in place of a greeting; empty for nothing.

    Of a call of Viva's it is ``None``: the document has its greeting.
    """
    if recording.metadata.get("source") != "import":
        return None
    first = next(recording.topic("/turn/TTSSpeakFrame", "/turn/TurnFrame"), None)
    return str(first.data["text"]) if first and first.kind == "TTSSpeakFrame" else ""


@cache
def _document(knowledge: str | None, opening: str | None) -> Document:
    path = Path(knowledge) if knowledge else Settings.load().knowledge
    document = load(path)
    if opening is not None:
        persona = replace_fields(document.persona, greeting=opening)
        document = replace_fields(document, persona=persona)
    precompute(document)
    return document


def _prices(started_at: float) -> Prices:
    """Vendors' prices at the time of the call."""
    return Prices(published_prices(), clock=lambda: started_at)
