"""Detects speech and transcribes it, by the stages of a call."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pipecat.frames.frames import TranscriptionFrame, VADUserStoppedSpeakingFrame

from evals.conformance.harness import CHUNK_SECS, StageHarness
from evals.foreign.sound import Samples
from evals.foreign.transcript import Passage
from evals.replay import virtual_time
from knowledge.loading.document import Document
from knowledge.loading.section import Persona
from pipeline.choice import choose_for
from pipeline.vendors import Context, Vendor, embedded
from recording.frames import to_message
from recording.message import Message
from settings import Settings, SettingsError

HEARD_SECS = 30.0
"""Longest wait for the last words, in virtual time, which stands still while a model works."""

NO_DOCUMENT = Document("", "", "en", (), Persona("", "", ""), (), (), "", "")
"""Of a call of which nothing is known: no name is expected."""

AFTER_SECS = 1.5
"""Silence after the sound, in which voice activity and turn model come to their end."""

_VAD = ("VADUserStartedSpeakingFrame", "VADUserStoppedSpeakingFrame", "SpeechPauseFrame")
_VAD_FRAMES = frozenset({*_VAD, "EndOfTurnFrame"})
_STT_FRAMES = frozenset({"TranscriptionFrame"})


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of speech.

    Parameters:
        start: Its onset, in seconds of the call.
        end: Its end.
        closed_at: When voice activity says that it is over.
        text: The words.
    """

    start: float
    end: float
    closed_at: float
    text: str = ""


class EmbeddedListener:
    """The embedded voice activity, with its turn model, and the embedded recogniser.

    Parameters:
        settings: The settings.
        document: Its proper nouns are expected.
        hears_words: Whether the recogniser is wanted.

    Raises:
        SettingsError: One of them is not installed.
    """

    def __init__(self, settings: Settings, document: Document, *, hears_words: bool) -> None:
        self._context = Context(settings, document)
        self._vendors: list[Vendor] = [choose_for("vad", settings).vendor]
        if hears_words:
            self._vendors.append(_embedded_recogniser(settings))
        self._loaded = [vendor.load(self._context, _untold) for vendor in self._vendors]

    @property
    def names(self) -> dict[str, str]:
        """The name of each stage's vendor."""
        return {vendor.stage: vendor.name for vendor in self._vendors}

    def close(self) -> None:
        """End the models' threads."""
        for loaded in self._loaded:
            close = getattr(loaded, "close", None)
            if close is not None:
                close()

    def listen(self, samples: Samples) -> list[Message]:
        """What the stages push while they hear a voice.

        Args:
            samples: 16-bit mono at 16 kHz.

        Returns:
            The frames as messages, timed in seconds from the first sample.
        """
        return virtual_time.run(self._listen(samples))

    async def _listen(self, samples: Samples) -> list[Message]:
        built = [
            vendor.build(loaded, self._context)
            for vendor, loaded in zip(self._vendors, self._loaded, strict=True)
        ]
        loop = asyncio.get_running_loop()
        async with StageHarness(*built) as harness:
            began = loop.time()
            await harness.say(samples.tobytes())
            await asyncio.sleep(AFTER_SECS)
            if len(built) > 1:
                await harness.wait_for(
                    lambda: (
                        len(harness.received(TranscriptionFrame))
                        >= len(harness.received(VADUserStoppedSpeakingFrame))
                    ),
                    HEARD_SECS,
                    "the recogniser did not transcribe each stretch of speech",
                )
        found: list[Message] = []
        for at, frame in harness.frames:
            kind = type(frame).__name__
            stage = "vad" if kind in _VAD_FRAMES else "stt" if kind in _STT_FRAMES else ""
            told = to_message(stage, frame) if stage else None
            if told is not None:
                # A chunk of the microphone is sent when it begins, one of a call when it ends.
                found.append(Message(at - began + CHUNK_SECS, f"/{stage}/{kind}", told[1]))
        return found


def stretches(messages: Iterable[Message]) -> list[Stretch]:
    """The stretches of speech, with the recogniser's words if there are any."""
    found: list[Stretch] = []
    began: float | None = None
    unheard = 0  # the first stretch whose words have not come
    for message in messages:
        match message.kind:
            case "VADUserStartedSpeakingFrame":
                began = max(0.0, message.at - message.data["start_secs"])
            case "VADUserStoppedSpeakingFrame" if began is not None:
                end = max(began, message.at - message.data["stop_secs"])
                found.append(Stretch(began, end, message.at))
                began = None
            case "TranscriptionFrame" if unheard < len(found):
                found[unheard] = replace(found[unheard], text=message.data["text"].strip())
                unheard += 1
            case _:
                pass
    return found


def worded(found: Sequence[Stretch], passages: Iterable[Passage]) -> list[Stretch]:
    """Give each stretch the words of the passages that it shares the most time with.

    A passage longer than a stretch is divided among those that it spans, in proportion to their
    length; one in silence goes to the nearest.
    """
    words: list[list[str]] = [[] for _ in found]
    for passage in passages:
        said = passage.text.split()
        if not said or not found:
            continue
        shares = [
            max(0.0, min(passage.end, stretch.end) - max(passage.start, stretch.start))
            for stretch in found
        ]
        if not any(shares):
            middle = (passage.start + passage.end) / 2
            near = min(range(len(found)), key=lambda index: _distance(found[index], middle))
            shares[near] = 1.0
        whole, given, passed = sum(shares), 0, 0.0
        for index, share in enumerate(shares):
            passed += share
            until = round(len(said) * passed / whole)
            words[index] += said[given:until]
            given = until
    return [
        replace(stretch, text=" ".join(mine)) for stretch, mine in zip(found, words, strict=True)
    ]


def transcribed(heard: Iterable[Message], found: Sequence[Stretch]) -> list[Message]:
    """Put a transcript's words, as a recogniser's, where each stretch is over."""
    words = [
        Message(
            stretch.closed_at,
            "/stt/TranscriptionFrame",
            {"text": stretch.text, "finalized": True},
        )
        for stretch in found
    ]
    return sorted([*heard, *words], key=lambda message: message.at)


def _distance(stretch: Stretch, at: float) -> float:
    return max(stretch.start - at, at - stretch.end, 0.0)


def _embedded_recogniser(settings: Settings) -> Vendor:
    for vendor in embedded("stt"):
        if not vendor.missing(settings):
            return vendor
    raise SettingsError("no embedded recogniser is installed; give the words by --transcript.")


def _untold(_part: str, _share: float) -> None:
    pass
