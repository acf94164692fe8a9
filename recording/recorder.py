"""Records a call: what each stage pushed, the page's messages, and the brain's decisions.

The recorder is the call's observer. On the event loop it only looks at a frame's type and queues
the message; another thread encodes and writes. An error here ends the recording, never the call.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from loguru import logger
from pipecat.frames.frames import ErrorFrame, Frame

from conversation.frames import Exchange, FailoverFrame
from conversation.records import CallRecord, TurnRecord
from recording.frames import Contexts, kinds_of, of_history, raw_audio, to_message
from recording.metadata import metadata
from recording.writer import Recordings, RecordingSink
from server_settings import ServerSettings

Consent = Literal["", "asked", "told"]

_NOT_RECORDED = frozenset({"turn", "cost", "clock", "admitted"})
"""Messages to the page that are left out: recorded otherwise, or not of this call alone."""

_OWN_TO_A_PROCESS = frozenset({"timestamp"})


@dataclass(frozen=True, slots=True)
class RecordingTarget:
    """Where to write a call's recording, and how its caller agreed.

    Parameters:
        writer: Writes the file.
        folder: The folder; the file is named ``<call id>.mcap``.
        consent: How the caller agreed: ``asked``, or ``told`` before they called.
        source: ``call``, or ``replay`` of a recording.
        name: The file's name without its ending; empty for the call's id.
    """

    writer: Recordings
    folder: Path
    consent: Consent = ""
    source: Literal["call", "replay"] = "call"
    name: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a recording's metadata says of the engines.

    Parameters:
        settings: The settings; secrets are not written.
        vendors: Name of each stage's vendor.
        models: Model of each vendor, by its name.
        ending: What ends the caller's turn.
        preemptive: Whether answers are begun before the end of the turn is certain.
        by_clause: Whether an answer's first clauses are said ahead of their sentence.
        follow_up: Who can answer a question that is left.
    """

    settings: ServerSettings
    vendors: Mapping[str, str]
    models: Mapping[str, str]
    ending: str
    preemptive: bool
    by_clause: bool = False
    follow_up: str = "person"


class Recorder:
    """One call's recorder: its :class:`~conversation.observer.CallObserver`.

    Parameters:
        target: Where to write the recording.
        facts: The engines of the call.
        clock: Seconds on the call's clock.
        lost: Called with a reason if the recording ends before the call.
    """

    def __init__(
        self,
        target: RecordingTarget,
        facts: Facts,
        *,
        clock: Callable[[], float],
        lost: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        self._target = target
        self._facts = facts
        self._clock = clock
        self._lost = lost
        self._file: RecordingSink | None = None
        self._over = False
        self._start_ns = 0
        self._started_at = 0.0
        self._began = 0.0
        self._contexts = Contexts()
        self._asked = 0
        self._errors: set[int] = set()

    @property
    def live(self) -> bool:
        """Whether the call is being recorded."""
        return self._file is not None

    # Reports of the call: the recorder is one of its listeners.

    def begun(self, record: CallRecord) -> None:
        """Open the file."""
        facts = self._facts
        self._started_at = record.started_at
        self._start_ns = round(record.started_at * 1e9)
        self._began = self._clock()
        about = metadata(
            call=record.id,
            started_at=record.started_at,
            document=record.document,
            document_hash=record.document_hash,
            settings=facts.settings,
            vendors=facts.vendors,
            models=facts.models,
            source=self._target.source,
            consent=self._target.consent,
        )
        path = self._target.folder / f"{self._target.name or record.id}.mcap"
        try:
            self._file = self._target.writer.open(path, about, lost=self._give_up)
        except Exception as error:
            self._give_up(str(error))
        self.write(
            "/call/Begin",
            {
                "call": record.id,
                "document": record.document,
                "document_hash": record.document_hash,
                "vendors": dict(facts.vendors),
                "models": dict(facts.models),
                "ending": facts.ending,
                "preemptive": facts.preemptive,
                "limit_secs": facts.settings.call_secs,
            }
            | ({"by_clause": True} if facts.by_clause else {})
            | ({"follow_up": facts.follow_up} if facts.follow_up != "person" else {}),
        )

    def turn(self, record: TurnRecord) -> None:
        """Record a turn that is over."""
        if self._file is not None:
            told = record.as_dict()
            del told["call"]
            # A call without turns has one record, whose time is that of its end.
            self.write("/call/Turn", told | {"at": record.at - self._started_at})

    def ended(self, record: CallRecord) -> None:
        """Record why the call ended."""
        self.write(
            "/call/End",
            {
                "reason": record.why,
                "turns": record.turns,
                "duration_secs": self._clock() - self._began,
                "cost": asdict(record.cost),
            },
        )

    def close(self) -> None:
        """Finish the recording; the page has received its last message."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except Exception as error:
                self._give_up(str(error))
        self._over = True

    # Reports of the page.

    def heard(self, pcm: bytes) -> None:
        """Record the caller's audio: 16 bits, mono, 16 kHz."""
        if self._file is not None:
            self.write("/caller/audio", raw_audio(pcm, 16_000))

    def sent(self, pcm: bytes) -> None:
        """Record audio sent to the page: 16 bits, mono, 24 kHz."""
        if self._file is not None:
            self.write("/agent/audio", raw_audio(pcm, 24_000))

    def page_said(self, kind: str, data: Mapping[str, Any]) -> None:
        """Record a message from the page.

        Args:
            kind: As docs/recording.md lists them for ``/caller/page``.
            data: Its fields.
        """
        if self._file is not None:
            said = {**data, "type": kind}
            if "at" in said:
                said["at"] -= self._began
            self.write("/caller/page", said)

    def page_told(self, kind: str, data: Mapping[str, Any]) -> None:
        """Record a message to the page, with its ``type`` and its fields."""
        if self._file is not None and kind not in _NOT_RECORDED:
            told = {name: value for name, value in data.items() if name not in _OWN_TO_A_PROCESS}
            self.write("/agent/page", told | {"type": kind})

    # Reports of the chain.

    def gave(self, stage: str, frame: Frame, *, upstream: bool = False) -> None:
        """Record a frame that a stage pushed, if recordings hold it; see :class:`CallObserver`."""
        if self._file is None or type(frame).__name__ not in kinds_of(stage):
            return
        if isinstance(frame, ErrorFrame):
            # It travels upstream: the first boundary to see it is next to where it came from.
            if frame.id in self._errors:
                return
            self._errors.add(frame.id)
        elif upstream:
            return
        if isinstance(frame, FailoverFrame) and frame.stage != stage:
            return
        try:
            told = to_message(stage, frame, self._contexts)
        except Exception as error:
            self._give_up(f"{type(frame).__name__}: {error}")
            return
        if told is not None:
            kind, data = told
            self.write(f"/{stage}/{kind}", data)

    def asked(
        self,
        question: str,
        history: Sequence[Exchange] = (),
        calls: Sequence[Mapping[str, Any]] = (),
    ) -> int:
        """Record a question to the brain; see :class:`CallObserver`."""
        self._asked += 1
        asked = {"ask": self._asked, "question": question, "history": of_history(history)}
        self.write("/brain/Asked", asked | ({"calls": list(calls)} if calls else {}))
        return self._asked

    def answered(self, ask: int, brain: str, event: Mapping[str, Any]) -> None:
        """Record an event of the brain's answer; see :class:`CallObserver`."""
        self.write("/brain/Event", {**event, "ask": ask, "brain": brain})

    def write(self, topic: str, data: Mapping[str, Any]) -> None:
        """Record a message of any topic, at the present time.

        Args:
            topic: A key of :data:`recording.schemas.TOPICS`.
            data: What it says.
        """
        if self._file is None:
            return
        at_ns = self._start_ns + round((self._clock() - self._began) * 1e9)
        try:
            self._file.write(at_ns, topic, data)
        except Exception as error:
            self._give_up(str(error))

    def _give_up(self, reason: str) -> None:
        if self._over:
            return
        self._over = True
        file, self._file = self._file, None
        logger.error("recording of the call stopped: {}", reason)
        if file is not None:
            try:
                file.close()
            except Exception as error:
                logger.debug("closing the recording failed: {}", error)
        self._lost(reason)
