"""The conformance suite: vendors that do their stage pass, and each that breaks a rule is caught.

It runs in virtual time, so that speech takes no longer than its work.
"""

import asyncio
import dataclasses
import json
import re
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    ProposedUserStoppedSpeakingFrame,
    StartFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pydantic import SecretStr
from typer.testing import CliRunner

import cli
from conversation.frames import SentenceFrame
from evals.conformance import suite as conformance
from evals.conformance.brain import COMPATIBILITY, PROMPTS, prompts
from evals.conformance.check import VendorUnderTest
from evals.conformance.pauses import (
    CONTINUED,
    HESITATION,
    NUMBER,
    PAUSE_CHECKS,
    SENTENCE,
    digit_error_rate,
    spoken_in_pieces,
)
from evals.conformance.stt import LONG, OTHER, SHORT
from evals.conformance.suite import (
    CHECKS,
    Result,
    Verdict,
    check,
    check_installation,
    check_vendor,
    to_paste,
)
from evals.replay import virtual_time
from knowledge.loading.document import load
from models import catalogue
from pipeline.choice import choose
from pipeline.engines import Engines
from pipeline.vendors import Context, Stage, Vendor
from pipeline.vendors.deepgram import DeepgramSettings
from processors.brain.contract import ArgumentsDelta, BrainError, Question, ToolStart
from processors.brain.guardrails import Guardrails
from processors.stt.whisper.service import WhisperSTT
from processors.tts.hibari.service import HibariTTS
from settings import Settings
from simulators.deepgram_recogniser import Transcriber
from simulators.model import Latency
from simulators.simulate import KEY, Simulators
from tests.remembering import Remembering

ANSWERED = {"sections": ["education"], "confidence": "high", "answer": "She studied at Yale."}


@pytest.fixture(name="engines", scope="module")
def remembering(engines: Engines) -> Engines:
    loaded = {**engines.loaded, "whisper": Remembering(engines.loaded["whisper"])}
    return dataclasses.replace(engines, loaded=loaded)


async def prompter(engines: Engines, *, pauses: bool = False) -> Transcriber:
    """A transcriber for Deepgram's simulator that knows the suite's sentences by their audio."""
    subject = VendorUnderTest(engines.choices["stt"].vendor, engines)
    known = {text: await subject.synthesise(text) for text in (SHORT, OTHER, LONG)}
    for pieces in (SENTENCE, HESITATION, NUMBER, CONTINUED) if pauses else ():
        known |= zip(pieces, await spoken_in_pieces(subject, pieces), strict=True)

    async def hear(segment: bytes) -> str:
        heard = sorted(
            (at, text, len(pcm))
            for text, pcm in known.items()
            if (at := _place(pcm, segment)) is not None
        )
        found = []
        for at, text, size in heard:
            words = text.split()
            middles = [at + size * (number + 0.5) / len(words) for number in range(len(words))]
            found += [
                word
                for word, middle in zip(words, middles, strict=True)
                if 0 <= middle < len(segment)
            ]
        return " ".join(found)

    return hear


def _place(pcm: bytes, segment: bytes) -> int | None:
    """Where audio begins in a segment of which it is a part, or which is a part of it."""
    for part, whole, sign in ((pcm, segment, 1), (segment, pcm, -1)):
        loudness = np.abs(np.frombuffer(part, "<i2").astype(np.int32))
        loudest = max(0, int(loudness.argmax()) - 80) * 2
        if (at := whole.find(part[loudest : loudest + 320])) >= 0:
            return sign * (at - loudest)
    return None


def failures(results: list[Result]) -> dict[str, str]:
    return {result.name: result.detail for result in results if result.loses}


def suite(
    engines: Engines,
    stage: Stage,
    build: Callable[[Any, Context], Any],
    *names: str,
    **vendor: Any,
) -> dict[str, str]:
    """The failures of a broken vendor, by check."""
    own = engines.choices[stage].vendor
    broken = dataclasses.replace(own, name="broken", build=build, **vendor)
    loaded = {**engines.loaded, "broken": engines.loaded[own.name]}
    on_it = dataclasses.replace(engines, loaded=loaded)
    return failures(virtual_time.run(check_vendor(broken, on_it, names=names)))


def test_a_question_is_cut_between_its_words_where_a_piece_ends() -> None:
    class Speaker:
        async def synthesise(self, text: str) -> bytes:
            assert text == "one, two three, four"
            word, comma = np.full(8000, 9000, "<i2"), np.zeros(2400, "<i2")
            return np.concatenate([word, comma, word, word, comma, word]).tobytes()

    async def cut() -> list[bytes]:
        return await spoken_in_pieces(Speaker(), ["one,", "two three,", "four"])  # type: ignore[arg-type]

    first, second, third = asyncio.run(cut())
    assert 8000 < len(first) // 2 < 8000 + 2400
    assert 26_400 < (len(first) + len(second)) // 2 < 26_400 + 2400
    assert len(first) + len(second) + len(third) == 2 * 36_800


def test_a_number_is_the_same_in_words_and_in_figures() -> None:
    said = " ".join(NUMBER)
    assert digit_error_rate(said, "Her number is 020 7946 0958.") == 0.0
    assert digit_error_rate(said, "Her number is 0 2 oh seven, 946 0958.") == 0.0
    assert digit_error_rate(said, "7946 0958") == pytest.approx(3 / 11)


PAUSES = [check.name for check in PAUSE_CHECKS]
THOROUGH = pytest.mark.thorough


def without_pauses(stage: Stage) -> list[str]:
    """The checks of a stage, without those for which seconds of speech are transcribed."""
    return [check.name for check in CHECKS[stage] if check.name not in PAUSES]


# Those that do their stage


@pytest.mark.parametrize("stage", ["vad", pytest.param("stt", marks=THOROUGH), "brain", "tts"])
def test_the_embedded_engines_pass(engines: Engines, stage: Stage) -> None:
    names = without_pauses(stage)
    results = virtual_time.run(check_vendor(engines.choices[stage].vendor, engines, names=names))
    assert failures(results) == {}
    assert [result.name for result in results] == names
    unapplied = {result.name for result in results if result.verdict == "not applicable"}
    assert unapplied <= {"reconnect", "bad key", COMPATIBILITY}


@pytest.mark.parametrize(
    ("stage", "chosen"),
    [
        ("stt", {"stt": "deepgram"}),
        ("brain", {"brain": "claude"}),
        ("brain", {"brain": "openai"}),
        ("tts", {"tts": "elevenlabs"}),
        pytest.param("tts", {"tts": "elevenlabs", "tts_mode": "whole"}, marks=pytest.mark.thorough),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else "",
)
def test_the_cloud_vendors_pass_against_their_simulators(
    engines: Engines, stage: Stage, chosen: dict[str, Any], tmp_path: Path
) -> None:
    results = on_simulators(engines, stage, {**chosen, "data_dir": tmp_path})
    assert failures(results) == {}
    applied = [result for result in results if result.verdict != "not applicable"]
    assert {result.verdict for result in applied} == {"passed"}
    own = COMPATIBILITY if chosen.get("brain") == "claude" else ""
    assert {result.name for result in results if result not in applied} <= {own}
    assert KEY not in str(results)
    if chosen.get("brain") == "openai":
        (line,) = to_paste(results)
        assert re.fullmatch(
            r"\S+: calls tools in 20 of 20; \d+ ms to first token; \d+\.\d s to the whole call; "
            r"refuses \d+ of 20",
            line,
        )
        assert (tmp_path / "dialects.json").exists()


@pytest.mark.thorough
def test_the_embedded_recogniser_hears_callers_who_pause_to_the_end(engines: Engines) -> None:
    vendor = engines.choices["stt"].vendor
    results = virtual_time.run(check_vendor(vendor, engines, names=PAUSES))
    assert failures(results) == {}
    assert [result.name for result in results] == PAUSES


@pytest.mark.thorough
@pytest.mark.parametrize("stt", ["deepgram", "deepgram-flux"])
def test_deepgram_hears_callers_who_pause_to_the_end(
    engines: Engines, stt: str, tmp_path: Path
) -> None:
    results = on_simulators(engines, "stt", {"stt": stt, "data_dir": tmp_path}, PAUSES)
    assert failures(results) == {}
    assert [result.name for result in results] == PAUSES


def on_simulators(
    engines: Engines,
    stage: Stage,
    chosen: dict[str, Any],
    names: Sequence[str] = (),
    *,
    writes: tuple[float, float] | None = None,
) -> list[Result]:
    """Check a vendor in a cloud on its simulator; by default without pauses.

    A language model there ``writes`` its first token after seconds, and then so many a second.
    """

    async def play() -> list[Result]:
        simulators = Simulators(
            engines.document,
            whisper=engines.loaded["whisper"],
            hibari=engines.loaded["hibari"],
            brain=engines.loaded["extractive"],
        )
        simulators.deepgram.transcriber = await prompter(engines, pauses=bool(names))
        if writes is not None:
            simulators.openai.model.first_token = Latency(writes[0])
            simulators.openai.model.tokens_per_sec = writes[1]
        async with simulators:
            given: dict[str, Any] = {k.lower(): v for k, v in simulators.environment.items()}
            given |= chosen
            settings = Settings(_env_file=None, **given)  # type: ignore[call-arg]
            choices = choose(settings)
            vendor = choices[stage].vendor
            assert vendor.kind == "cloud"
            context = Context(settings, engines.document)
            loaded = await asyncio.to_thread(vendor.load, context, lambda _label, _share: None)
            on_them = Engines(
                settings, engines.document, choices, {**engines.loaded, vendor.name: loaded}
            )
            return await check_vendor(vendor, on_them, names=names or without_pauses(stage))

    return virtual_time.run(play())


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("secs", "tokens_per_sec", "told"),
    [
        (
            9.0,
            3.0,
            r"calls tools in (\d+) of \1; \d+ more were not asked, since those took 270 s; .*",
        ),
        # Asked twice for 10 s each.
        (80.0, 0.0, r"calls tools in 0 of 14; 6 more were not .* 270 s; failed 14 times, 14 of .*"),
        (100.0, 0.0, "openai did not answer in time; nothing else of it was checked"),
        (9.0, 0.1, "no whole call within 300 s; a caller .* at most 60 s; nothing else of it .*"),
    ],
)
def test_the_report_of_a_slow_model_ends_in_time_and_says_so(
    engines: Engines, secs: float, tokens_per_sec: float, told: str, tmp_path: Path
) -> None:
    chosen = {"brain": "openai", "decision_timeout_secs": 60.0, "data_dir": tmp_path}
    results = on_simulators(
        engines, "brain", chosen, [COMPATIBILITY, "abort"], writes=(secs, tokens_per_sec)
    )
    (line,) = to_paste(results)
    assert re.fullmatch(f"simulated: {told}", line)


def test_twenty_prompts_are_made_of_any_document(engines: Engines, tmp_path: Any) -> None:
    bare = tmp_path / "bare.md"
    bare.write_text("# The lighthouse\n\nIt was built in 1821.\n")
    for document in (engines.document, load(bare)):
        asked = prompts(document)
        assert len(set(asked)) == len(asked) == PROMPTS
    assert "Who was Grace Hopper?" in prompts(engines.document)


# Recognisers that break a rule


class Deaf(WhisperSTT):
    """Gives no final transcripts."""

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        if not isinstance(frame, TranscriptionFrame):
            await super().push_frame(frame, direction)


class Fanciful(WhisperSTT):
    """Hears words in everything."""

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        if isinstance(frame, TranscriptionFrame):
            frame.text = frame.text or "Thank you for watching."
        await super().push_frame(frame, direction)


class Taciturn(WhisperSTT):
    """Gives no interim transcripts, and two sentences as one final transcript."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._said = ""

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        if isinstance(frame, InterimTranscriptionFrame):
            return
        if isinstance(frame, TranscriptionFrame):
            self._said = f"{self._said} {frame.text}".strip()
            if "machines" not in self._said:
                return
            frame.text = self._said
        await super().push_frame(frame, direction)


class Slow(WhisperSTT):
    """Takes three seconds over every final transcript."""

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        if isinstance(frame, TranscriptionFrame):
            await asyncio.sleep(3.0)
        await super().push_frame(frame, direction)


class Halved(WhisperSTT):
    """Forgets what was said before a pause."""

    _pieces = 0

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        if isinstance(frame, TranscriptionFrame) and frame.finalized:
            self._pieces += 1
            frame.text = "" if self._pieces == 1 else frame.text
        await super().push_frame(frame, direction)


class Hasty(WhisperSTT):
    """Proposes the end of the turn ahead of its words."""

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        if isinstance(frame, TranscriptionFrame):
            await super().push_frame(ProposedUserStoppedSpeakingFrame(), direction)
        await super().push_frame(frame, direction)


@pytest.mark.parametrize(
    ("kind", "name", "why"),
    [
        (Deaf, "finals", "no final transcript within 5 s"),
        (Deaf, "endpointing", "no final transcript within 5 s"),
        (Deaf, "two utterances", "no final transcript within 5 s"),
        (Fanciful, "silence", "of line noise as 'Thank you for watching.'"),
        (Taciturn, "interims", "no interim transcript"),
        (Taciturn, "two utterances", "the transcripts are not divided at the pause"),
        (Slow, "endpointing", "after the speech: over 2.0"),
        *(
            pytest.param(Halved, name, f"with pauses of {secs} s; asked was", marks=THOROUGH)
            for name, secs in zip(PAUSES, (0.5, 0.8, 0.6, 1.2), strict=True)
        ),
    ],
)
def test_a_recogniser_that_breaks_a_rule_is_caught(
    engines: Engines, kind: type[WhisperSTT], name: str, why: str
) -> None:
    failed = suite(engines, "stt", lambda engine, _: kind(engine=engine), name)
    assert why in failed[name]


def test_a_recogniser_that_ends_turns_must_propose_so_after_the_words(engines: Engines) -> None:
    for kind in (Hasty, WhisperSTT):
        failed = suite(
            engines,
            "stt",
            lambda engine, _, kind=kind: kind(engine=engine),  # type: ignore[misc]
            "endpointing",
            ends_turns=True,
        )
        assert "no end of the turn was proposed" in failed["endpointing"]


def test_a_vendor_that_takes_any_key_or_never_says_no_is_caught(engines: Engines) -> None:
    settings = engines.settings.model_copy(update={"deepgram_api_key": SecretStr("set")})
    keyed = dataclasses.replace(engines, settings=settings)

    def build(engine: Any, context: Context) -> WhisperSTT:
        assert context.settings.for_vendor(DeepgramSettings).deepgram_api_key
        return WhisperSTT(engine=engine)

    failed = suite(
        keyed, "stt", build, "bad key", kind="cloud", load=lambda *_: engines.loaded["whisper"]
    )
    assert "it reported no lasting error for a wrong key within 10 s" in failed["bad key"]


# Brains that break a rule


class Broken:
    """A brain that streams the same events for every prompt."""

    name = "broken"

    def __init__(self, *events: Any, error: BrainError | None = None) -> None:
        self._events = events
        self._error = error

    async def decide(self, _: Question) -> AsyncIterator[Any]:
        for event in self._events:
            yield event
        if self._error:
            raise self._error


class Stubborn:
    """Keeps running for 30 s after it was aborted."""

    name = "stubborn"

    async def decide(self, _: Question) -> AsyncIterator[Any]:
        try:
            yield ToolStart("respond")
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(30)


CALL = (ToolStart("respond"), ArgumentsDelta(json.dumps(ANSWERED)))


@pytest.mark.parametrize(
    ("brain", "failing", "why"),
    [
        (Broken("I think she studied at Yale."), {"one decision", "never free text"}, "0 tool"),
        (Broken("Well: ", *CALL), {"one decision", "never free text"}, "str instead of a tool"),
        (Broken(*CALL, *CALL), {"one decision"}, "2 tool calls instead of one: respond, respond"),
        (Broken(*CALL[:1]), {"one decision"}, "its arguments"),
        (Broken(CALL[0], ArgumentsDelta('{"answer": "Yale."}')), {"one decision"}, "its arguments"),
        (Broken(ToolStart("guess"), CALL[1]), {"one decision"}, "an unknown tool, 'guess'"),
        (Broken(error=BrainError("overloaded")), {"one decision"}, "overloaded"),
    ],
    ids=["free text", "preamble", "two calls", "cut", "unordered", "unknown tool", "fault"],
)
def test_a_brain_that_breaks_a_rule_is_caught(
    engines: Engines, brain: Broken, failing: set[str], why: str
) -> None:
    failed = suite(engines, "brain", lambda *_: brain, "one decision", "never free text")
    assert failing <= set(failed)
    assert why in failed["one decision"]


def test_a_brain_that_goes_on_after_it_was_aborted_is_caught(engines: Engines) -> None:
    failed = suite(engines, "brain", lambda *_: Stubborn(), "abort")
    assert "it was still running 1 s after it was aborted" in failed["abort"]


def test_a_gate_that_lets_an_unknown_section_pass_is_caught(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lenient(guardrails: Guardrails, ids: tuple[str, ...]) -> Any:
        guardrails.record("sections")
        return engines.document.sections

    monkeypatch.setattr(Guardrails, "check_sections", lenient)
    failed = suite(engines, "brain", lambda brain, _: brain, "unknown section")
    assert "the answer was spoken" in failed["unknown section"]


# Voices that break a rule


class Unstoppable(HibariTTS):
    """Keeps speaking after an interruption."""

    async def queue_frame(self, frame: Frame, *rest: Any) -> None:
        if isinstance(frame, InterruptionFrame):
            await self.push_frame(frame)
        else:
            await super().queue_frame(frame, *rest)


class Mislabelled(HibariTTS):
    """Declares a wrong sample rate."""

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        if isinstance(frame, TTSAudioRawFrame):
            frame.sample_rate = 8_000
        await super().push_frame(frame, direction)


class Garbled(HibariTTS):
    """Plays its samples at double speed, under the declared rate."""

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        if isinstance(frame, TTSAudioRawFrame):
            frame.audio = b"".join(frame.audio[at : at + 2] for at in range(0, 2880, 4))
        await super().push_frame(frame, direction)


class Piecemeal(HibariTTS):
    """Speaks every sentence as an answer of its own."""

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        if isinstance(frame, SentenceFrame) and frame.text.startswith("Then"):
            await super().push_frame(TTSStoppedFrame(context_id=frame.context_id), direction)
            await super().push_frame(TTSStartedFrame(context_id=frame.context_id), direction)
        await super().push_frame(frame, direction)


class Late(HibariTTS):
    """Announces its sentences after their audio."""

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        if isinstance(frame, LLMFullResponseEndFrame):
            for sentence in self._late:
                await super().push_frame(sentence, direction)
        if isinstance(frame, SentenceFrame):
            self._late.append(frame)
        else:
            await super().push_frame(frame, direction)

    _late: list[Frame]


class Silent(HibariTTS):
    """Makes no sound."""

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        if not isinstance(frame, TTSAudioRawFrame):
            await super().push_frame(frame, direction)


class Mixed(HibariTTS):
    """Plays half of the audio to the other call."""

    calls: ClassVar[list["Mixed"]] = []
    pieces: ClassVar[Iterator[int]] = count()

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        Mixed.calls.append(self)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        call = self
        if isinstance(frame, TTSAudioRawFrame):
            frame.context_id = None
            call = Mixed.calls[next(Mixed.pieces) // 8 % 2 - 2]
        await super(Mixed, call).push_frame(frame, direction)


@pytest.mark.parametrize(
    ("kind", "name", "why"),
    [
        (Unstoppable, "flush", "frames of the old answer came after the interruption"),
        (Mislabelled, "sample rate", "at 8000 Hz, declared: 1 at 24000 Hz"),
        (Garbled, "sample rate", "s is plausible"),
        pytest.param(Garbled, "understood", "was understood as", marks=pytest.mark.thorough),
        (Piecemeal, "one voice", "2 TTSStartedFrame in one answer"),
        (Late, "one voice", "arrive as 'a"),
        (Silent, "first audio", "no sound within 1.5 s"),
        (Silent, "one voice", "the answer has no audio"),
        pytest.param(Mixed, "interleaving", "was understood as", marks=pytest.mark.thorough),
    ],
)
def test_a_voice_that_breaks_a_rule_is_caught(
    engines: Engines, kind: type[HibariTTS], name: str, why: str
) -> None:
    def build(engine: Any, _: Context) -> HibariTTS:
        voice = kind(engine=engine)
        if isinstance(voice, Late):
            voice._late = []
        return voice

    failed = suite(engines, "tts", build, name)
    assert why in failed[name]


# The suite ends whatever goes wrong


class Stuck(FrameProcessor):
    """Never starts."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame):
            await asyncio.sleep(3600)


class Faulty(FrameProcessor):
    """Reports an error and does nothing."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame):
            await self.push_frame(ErrorFrame("the quota is used up"), FrameDirection.UPSTREAM)
        await self.push_frame(frame, direction)


def test_a_vendor_that_hangs_fails_and_does_not_hang_the_suite(engines: Engines) -> None:
    failed = suite(engines, "tts", lambda *_: Stuck())
    (why,) = failed.values()
    assert "did not start" in why
    assert why.endswith("; nothing else of it was checked")


def test_what_a_vendor_reports_is_told(engines: Engines) -> None:
    failed = suite(engines, "tts", lambda *_: Faulty(), "first audio")
    assert failed["first audio"] == "no sound within 1.5 s (it reported: the quota is used up)"


def test_a_vendor_that_cannot_be_built_fails_in_words(engines: Engines) -> None:
    def build(*_: Any) -> Any:
        raise ValueError("voice_id is '': it must be letters")

    failed = suite(engines, "tts", build, "first audio")
    assert failed["first audio"] == "ValueError: voice_id is '': it must be letters"


# The command


def test_a_vendor_that_does_not_load_fails_alone(engines: Engines) -> None:
    def no_model(*_: Any) -> Any:
        raise RuntimeError("model.bin is damaged")

    def stub(vendor: Vendor) -> Vendor:
        loaded = engines.loaded[vendor.name]
        lent = type("Lent", (), {"__getattr__": lambda _, name: getattr(loaded, name)})
        lent.close = lambda _: None  # type: ignore[attr-defined]
        return dataclasses.replace(vendor, load=lambda *_: lent())

    brain = engines.choices["brain"]
    choices = {
        "brain": dataclasses.replace(
            brain,
            vendor=dataclasses.replace(brain.vendor, name="first", load=no_model),
            reserves=(stub(brain.vendor),),
        )
    }
    steps: list[str] = []
    results = conformance.run(
        check(
            engines.settings,
            engines.document,
            choices,  # type: ignore[arg-type]
            stages=["brain"],
            on_progress=steps.append,
        )
    )
    (why,) = failures(results).values()
    assert re.fullmatch(
        r"BRAIN=first cannot be loaded \(.*test_suite\.py, line \d+\): "
        r"RuntimeError: model\.bin is damaged",
        why,
    )
    assert next(result for result in results if result.vendor == "first").verdict == "blocks"
    reserves = [result.name for result in results if result.vendor == "extractive"]
    assert reserves == [check.name for check in CHECKS["brain"]]
    assert "brain extractive: abort" in steps
    assert not any("loading" in step and "Hibari" in step for step in steps), "nobody speaks to it"


def test_the_installation_is_checked_by_files_and_by_references(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = Result("model", "silero", "outputs on this processor", "passed", "as its reference")
    monkeypatch.setattr(conformance, "models", lambda: [model])  # tests.models has all of them
    steps: list[str] = []
    results = conformance.run(check_installation(on_progress=steps.append))
    checked = {result.name for result in results if result.stage == "weights"}
    assert checked == {file.path for file in catalogue.FILES}
    assert results[-1] == model
    assert steps == ["weights", "model outputs"]


def test_weights_that_are_not_those_that_were_measured_fail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    silero, *_ = catalogue.FILES
    absent = dataclasses.replace(catalogue.SILERO, path="pipecat/no-such-file.onnx")
    altered = [
        dataclasses.replace(silero, sha256="0" * 64),
        dataclasses.replace(silero, parts=(absent,)),
    ]
    monkeypatch.setattr(catalogue, "FILES", altered)
    other, missing = conformance.weights()
    assert (other.vendor, other.stage, other.verdict) == ("silero", "weights", "blocks")
    assert other.detail == "SHA-256 1a153a22f450…, not 000000000000… as was measured"
    assert "has no file pipecat/no-such-file.onnx" in missing.detail


# What a failure means


def result(verdict: Verdict, loses: str = "") -> Result:
    return Result("tts", "hibari", "first audio", verdict, "in words", loses)


PASSED, UNAPPLIED = result("passed"), result("not applicable")
DEGRADES, BLOCKS = result("degrades", "every answer is late"), result("blocks", "there is no voice")


@pytest.mark.parametrize(
    ("results", "status"),
    [
        ([PASSED, UNAPPLIED], 0),
        ([PASSED, DEGRADES, BLOCKS], 1),
        ([UNAPPLIED], 2),
        ([PASSED, DEGRADES], 3),
    ],
    ids=["all passed", "one blocks", "nothing to look at", "one degrades"],
)
def test_the_exit_status_says_what_came_of_it(results: list[Result], status: int) -> None:
    assert conformance.status(results) == status


def test_the_summary_says_what_is_lost() -> None:
    assert conformance.summary([PASSED, UNAPPLIED]) == "1 passed, 1 not applicable."
    assert conformance.summary([PASSED, DEGRADES]) == (
        "1 passed, 1 failed. Calls work, with something missing: every answer is late."
    )
    assert conformance.summary([BLOCKS, UNAPPLIED]) == (
        "0 passed, 1 not applicable, 1 failed. No call is possible: there is no voice."
    )


def test_what_a_failure_means_is_said_by_its_check(engines: Engines) -> None:
    def verdicts(kind: type[HibariTTS], name: str) -> Result:
        own = dataclasses.replace(
            engines.choices["tts"].vendor, build=lambda engine, _: kind(engine=engine)
        )
        (checked,) = virtual_time.run(check_vendor(own, engines, names=[name]))
        return checked

    late, silent = verdicts(Silent, "first audio"), verdicts(Silent, "sample rate")
    assert (late.verdict, late.loses) == ("degrades", "every answer is late")
    assert silent.verdict == "blocks"
    stuck = dataclasses.replace(engines.choices["tts"].vendor, build=lambda *_: Stuck())
    (never,) = virtual_time.run(check_vendor(stuck, engines, names=["first audio"]))
    assert (never.verdict, never.loses) == ("blocks", "it does not start")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--vendor", "nobody"], "nobody is none of Viva's vendors; `viva vendors` lists them."),
        (["--vendor", "opnai"], "is none of Viva's vendors; did you mean openai?"),
        (["--vendor", "examples.openai_speech:VENDOR"], "VENDOR: give --stage, too."),
        (["--stage", "stt", "--vendor", "depgram"], "did you mean deepgram? The vendors of stt"),
        (["--stage", "voice"], "allowed are vad, stt, turns, brain, tts, filter."),
        (["--stage", "tts", "--vendor", "whisper"], "the vendors of tts are elevenlabs"),
        (["--stage", "tts", "--vendor", "cartesia"], "not set: CARTESIA_API_KEY"),
        (["--stage", "tts", "--vendor", "examples.openai_speech:VENDOR"], "not set: SPEECH_URL"),
        (["--stage", "stt", "--vendor", "examples.openai_speech:VENDOR"], "it is no Vendor of"),
        (["--stage", "filter"], "--stage filter needs --vendor MODULE:NAME"),
        (["--stage", "filter", "--vendor", "AnswerLimit"], "give MODULE:NAME"),
        (["--stage", "turns", "--vendor", "examples.no:Such"], "No module named 'examples.no'"),
        (
            ["--stage", "turns", "--vendor", "examples.push_to_talk:PushToTalk"],
            "give examples.push_to_talk:CHECKED",
        ),
        (
            ["--stage", "turns", "--vendor", "examples.push_to_talk:TRANSCRIPT_SECS"],
            "it is 3.0; give a class or function that makes one, or a TurnTaker",
        ),
        (["--stage", "turns", "--vendor", "examples.push_to_talk:Such"], "no attribute 'Such'"),
    ],
)
def test_what_cannot_be_checked_is_said_in_words(
    options: list[str], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CARTESIA_API_KEY", raising=False)
    printed = CliRunner().invoke(cli.app, ["vendors", "check", *options])
    assert printed.exit_code == 2
    assert why in " ".join(printed.output.split())


def test_a_vendor_is_found_where_the_command_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_newcomers_voice.py").write_text("VENDOR = 'a voice'")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    options = ["--stage", "tts", "--vendor", "a_newcomers_voice:VENDOR"]
    printed = CliRunner().invoke(cli.app, ["vendors", "check", *options])
    assert "it is no Vendor of the stage tts" in " ".join(printed.output.split())


def test_an_embedded_vendor_is_not_late_for_what_it_does_not_compute() -> None:
    async def kept_from_the_processor() -> list[Result]:
        began = asyncio.get_running_loop().time()
        await asyncio.to_thread(time.sleep, 0.3)
        late = asyncio.get_running_loop().time() - began
        return [] if late < 0.2 else [Result("tts", "embedded", "late", "degrades", f"{late}")]

    assert conformance.run(kept_from_the_processor()) == []


@pytest.mark.parametrize(
    ("stage", "vendor", "address"),
    [
        ("stt", "deepgram", "DEEPGRAM_BASE_URL"),
        ("tts", "examples.openai_speech:VENDOR", "SPEECH_URL"),
    ],
)
def test_a_vendor_that_cannot_be_reached_is_told_and_not_checked_further(
    monkeypatch: pytest.MonkeyPatch, stage: str, vendor: str, address: str
) -> None:
    monkeypatch.setenv("DEEPGRAM_API_KEY", "any-key")
    monkeypatch.setenv(address, "http://127.0.0.1:9")
    command = ["vendors", "check", "--stage", stage, "--vendor", vendor, "--json"]
    printed = CliRunner().invoke(cli.app, command)
    assert printed.exit_code == 1
    (only,) = json.loads(printed.stdout)["checks"]
    assert (only["name"], only["verdict"]) == ("account", "blocks")
    assert only["detail"].startswith("nobody answers at http://127.0.0.1:9 (connection refused)")


def test_turn_taking_alone_is_checked_in_no_time() -> None:
    printed = CliRunner().invoke(cli.app, ["vendors", "check", "--stage", "turns"])
    assert printed.exit_code == 0
    assert printed.stdout.rstrip().endswith("\n14 passed.")


@pytest.mark.parametrize("verdict", ["passed", "degrades", "blocks"])
def test_the_command_prints_one_object_and_its_status_says_what_failed(
    verdict: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    loses = "" if verdict == "passed" else "questions are lost"
    results = [Result("stt", "whisper", "finals", verdict, "[word] error rate 0%", loses)]

    def checked(checks: Any) -> list[Result]:
        checks.close()
        return results

    monkeypatch.setattr(conformance, "run", checked)
    printed = CliRunner().invoke(cli.app, ["vendors", "check", "--json"])
    assert printed.exit_code == {"passed": 0, "degrades": 3, "blocks": 1}[verdict]
    printed_check = {"stage": "stt", "vendor": "whisper", "name": "finals", "verdict": verdict}
    printed_check |= {"detail": "[word] error rate 0%", "loses": loses}
    assert json.loads(printed.stdout) == {"checks": [printed_check]}
    table = CliRunner().invoke(cli.app, ["vendors", "check"])
    assert table.exit_code == printed.exit_code
    assert (verdict.upper() in table.stdout) is bool(loses)
    assert "[word] error rate 0%" in table.stdout
