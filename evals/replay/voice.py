"""A voice that gives its recorded audio at its recorded pace."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from pipecat.frames.frames import ErrorFrame, Frame, TTSAudioRawFrame
from pipecat.services.settings import TTSSettings
from pipecat.utils.context.word_timestamp_tracker import WordTimestamp

from processors.tts.speech_queue import SpeechQueue
from recording.message import Message
from recording.recording import Recording

SECS_A_LETTER = 0.065
"""Assumed pace of a voice that finished no sentence in the recording, in seconds per letter."""

FIRST_SECS = 0.2
"""Assumed delay to the first audio of a voice that began no sentence in the recording."""

FRAME_SECS = 0.06


@dataclass(frozen=True, slots=True)
class Word:
    """Marks that a word starts with the next sample."""

    text: str


@dataclass(slots=True)
class Take:
    """One recorded text with its audio.

    Parameters:
        text: The spoken text.
        shown: Its caption.
        items: Audio, words and errors, each with seconds after the request.
        done: When all of it had come, in seconds after the request.
        samples: The number of samples of audio.
        whole: Whether it was not interrupted.
        used: Whether the replay has spoken it.
    """

    text: str
    shown: str = ""
    items: list[tuple[float, bytes | Word | str]] = field(default_factory=list)
    done: float = 0.0
    samples: int = 0
    whole: bool = False
    used: bool = False


@dataclass(frozen=True, slots=True)
class Takes:
    """Everything that a voice spoke in a recording.

    Parameters:
        takes: The texts, in order.
        sample_rate: The audio's sample rate, in Hz.
        timed: Whether words have times.
        secs_a_letter: Its pace, in seconds per letter.
        first_secs: Its usual delay to the first audio, in seconds.
    """

    takes: tuple[Take, ...]
    sample_rate: int
    timed: bool
    secs_a_letter: float
    first_secs: float

    def say(self, shown: str) -> str:
        """The text that was spoken for a caption; the caption itself if it was not spoken."""
        return next((take.text for take in self.takes if take.shown == shown), shown)

    @classmethod
    def from_recording(cls, recording: Recording) -> "Takes":
        """Read the texts and their audio from a recording."""
        reading = _Reading()
        for message in recording.messages:
            reading.read_message(message)
        return reading.takes()


class _Reading:
    def __init__(self) -> None:
        self._requests: dict[str, list[float]] = defaultdict(list)
        self._takes: list[Take] = []
        self._asked = 0.0  # time of the last request
        self._until = 0.0  # when the last item of it came
        self._rate = 24_000
        self._timed = False
        self._broken = False  # whether the last text was interrupted

    def read_message(self, message: Message) -> None:
        match message.topic:
            case "/brain/SentenceFrame" | "/turn/TTSSpeakFrame":
                data = message.data
                self._requests[data.get("shown", data["text"])].append(message.at)
            case "/turn/InterruptionFrame":
                self._broken = True
                self._until = message.at
            case "/tts/SentenceFrame" | "/tts/AggregatedTextFrame":
                self._finish(message.at)
                text = message.data["text"]
                shown = message.data.get("shown", text)
                asked = [at for at in self._requests[shown] if at <= message.at]
                if asked:
                    self._requests[shown].remove(asked[0])
                self._asked = max(asked[0] if asked else message.at, self._until)
                self._takes.append(Take(text, shown))
            case "/tts/TTSAudioRawFrame" if self._takes:
                self._rate = int(message.data["sample_rate"])
                pcm = message.pcm()
                self._takes[-1].samples += len(pcm) // 2
                self._add(message.at, pcm)
            case "/tts/TTSTextFrame" if self._takes:
                if message.data["timed"]:
                    self._timed = True
                    self._add(message.at, Word(message.data["text"]))
                else:
                    self._finish(message.at)
            case "/tts/TTSStoppedFrame":
                self._finish(message.at)
            case "/tts/ErrorFrame" if self._takes:
                self._add(message.at, str(message.data["error"]))
            case _:
                pass

    def _add(self, at: float, item: bytes | Word | str) -> None:
        take = self._takes[-1]
        if not take.whole:
            take.items.append((max(0.0, at - self._asked), item))
            self._until = at
            self._broken = False

    def _finish(self, at: float) -> None:
        if self._takes and not self._takes[-1].whole and not self._broken:
            take = self._takes[-1]
            take.whole = True
            take.done = max(0.0, at - self._asked)
            self._until = at
        self._broken = False

    def takes(self) -> Takes:
        whole = [take for take in self._takes if take.whole and take.samples and take.text]
        letters = sum(len(take.text) for take in whole)
        spoken = sum(take.samples for take in whole) / self._rate
        firsts = [
            next((after for after, item in take.items if isinstance(item, bytes)), None)
            for take in self._takes
        ]
        known = [first for first in firsts if first is not None]
        return Takes(
            takes=tuple(self._takes),
            sample_rate=self._rate,
            timed=self._timed,
            secs_a_letter=spoken / letters if letters else SECS_A_LETTER,
            first_secs=median(known) if known else FIRST_SECS,
        )


class ReplayedVoice(SpeechQueue):
    """Speaks each text with its recorded audio, or with silence if the recording has none.

    The silence is as long as the words would take at the voice's pace, after its usual delay. The
    same stands in for the rest of a text that was interrupted in the recording, but is not now.

    Parameters:
        takes: The recorded texts.
        missing: Called with ``"tts"`` and what the recording lacks.
    """

    def __init__(self, takes: Takes, *, missing: Callable[[str, str], None]) -> None:
        super().__init__(
            sample_rate=takes.sample_rate,
            push_start_frame=True,
            push_stop_frames=True,
            push_text_frames=not takes.timed,
            stop_frame_timeout_s=60.0,
            max_consecutive_zero_audio_contexts=0,
            settings=TTSSettings(model="replayed", voice="replayed", language="en"),
        )
        self._takes = takes
        self._missing = missing

    def can_generate_metrics(self) -> bool:
        """True: the spoken characters are counted."""
        return True

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Speak a text."""
        loop = asyncio.get_running_loop()
        asked = loop.time()
        await self.start_tts_usage_metrics(text)
        take = self._find(text)
        if take is None:
            self._missing("tts", text)
            await asyncio.sleep(self._takes.first_secs)
            async for frame in self._silence(self._secs(text), context_id):
                yield frame
            return
        for after, item in take.items:
            if (wait := asked + after - loop.time()) > 0:
                await asyncio.sleep(wait)
            match item:
                case bytes():
                    yield self._audio(item, context_id)
                case Word():
                    secs = 0.0  # its start follows from its place in the audio
                    await self.append_to_audio_context(
                        context_id, WordTimestamp(item.text, secs, context_id)
                    )
                case str():
                    yield ErrorFrame(item)
        if take.whole:
            if (wait := asked + take.done - loop.time()) > 0:
                await asyncio.sleep(wait)
            return
        async for frame in self._go_on(take, context_id):
            yield frame

    async def on_turn_context_completed(self) -> None:
        """Close the answer's context, even when its last sentence gave no audio."""
        self._is_yielding_frames_synchronously = True
        await super().on_turn_context_completed()

    def _find(self, text: str) -> Take | None:
        alike = [take for take in self._takes.takes if take.text == text]
        if not alike:
            return None
        found = next((take for take in alike if not take.used), None)
        if found is None:
            found = next((take for take in reversed(alike) if take.whole), alike[-1])
        found.used = True
        return found

    async def _go_on(self, take: Take, context_id: str) -> AsyncGenerator[Frame, None]:
        """Speak the rest of a text that was interrupted in the recording."""
        whole = next((o for o in self._takes.takes if o.whole and o.text == take.text), None)
        if whole is not None and whole.samples > take.samples:
            left = b"".join(item for _, item in whole.items if isinstance(item, bytes))
            for frame in self._frames(left[2 * take.samples :], context_id):
                yield frame
            return
        left_secs = self._secs(take.text) - take.samples / self._takes.sample_rate
        if not take.samples:
            self._missing("tts", take.text)
            await asyncio.sleep(self._takes.first_secs)
        elif left_secs > 0:
            self._missing("tts", f"the end of: {take.text}")
        async for frame in self._silence(left_secs, context_id):
            yield frame

    async def _silence(self, secs: float, context_id: str) -> AsyncGenerator[Frame, None]:
        for frame in self._frames(bytes(2 * round(max(0.0, secs) * self.sample_rate)), context_id):
            yield frame

    def _frames(self, pcm: bytes, context_id: str) -> Sequence[Frame]:
        step = 2 * round(FRAME_SECS * self._takes.sample_rate)
        return [
            self._audio(pcm[start : start + step], context_id) for start in range(0, len(pcm), step)
        ]

    def _audio(self, pcm: bytes, context_id: str) -> TTSAudioRawFrame:
        return TTSAudioRawFrame(pcm, self._takes.sample_rate, 1, context_id=context_id)

    def _secs(self, text: str) -> float:
        return len(text) * self._takes.secs_a_letter
