"""Checks of a voice: it speaks each answer as one, promptly, and stops when interrupted."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
from pipecat.frames.frames import (
    AggregatedTextFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)

from conversation.frames import SentenceFrame
from evals.conformance.check import (
    Check,
    VendorUnderTest,
    wait_for_refusal,
    word_error_rate,
    words_of,
)
from evals.conformance.harness import NonconformanceError, NotApplicableError, StageHarness

ANSWER = (
    "She studied mathematics and physics.",
    "After that she was a teacher for ten years.",
    "Then she went to work on the first computers.",
)
OTHER = (
    "The weather was cold in the winter of that year.",
    "Nobody could see the ships from the harbour.",
)
LONG = (*ANSWER, *OTHER, *ANSWER)

FIRST_AUDIO_SECS = 1.5
"""Maximum time from an answer's text to its first audible sample."""

ANSWER_SECS = 20.0
"""Maximum time from an answer's text to the end of its audio."""

SETTLE_SECS = 1.0
"""How long to watch for frames that must not come."""

WORD_SECS = (0.18, 1.0)
"""Plausible seconds per word, from very fast to very slow speech."""

MOST_WORD_ERRORS = 0.25
"""Maximum word error rate of the embedded recogniser on the voice's audio."""

MOST_MISHEARD = 0.5
"""The same where no other text is mixed in: a robotic voice was measured at 0.28."""

MIXED_WORDS = 2
"""Number of different words of the other text from which two texts count as mixed."""

_AUDIBLE = 300  # of 32,768


async def first_audio(subject: VendorUnderTest) -> str:
    """The voice sounds soon after it is given an answer."""
    async with StageHarness(subject.build()) as harness:
        began = asyncio.get_running_loop().time()
        await _give(harness, ANSWER)
        at = await harness.wait_for(lambda: _first_sound(harness), FIRST_AUDIO_SECS, "no sound")
    return f"{1000 * (at - began):.0f} ms after the answer"


async def sample_rate(subject: VendorUnderTest) -> str:
    """Its audio has the declared sample rate, and a length that fits its words."""
    voice = subject.build()
    async with StageHarness(voice) as harness:
        audio = await _answer(harness, ANSWER)
        declared = getattr(voice, "sample_rate", None)
        rates = {(frame.sample_rate, frame.num_channels) for _, frame in audio}
    if len(rates) != 1:
        raise NonconformanceError(f"it changes its sample rate or channels: {sorted(rates)}")
    ((rate, channels),) = rates
    if channels != 1 or (declared and rate != declared):
        raise NonconformanceError(f"{channels} channels at {rate} Hz, declared: 1 at {declared} Hz")
    if any(len(frame.audio) % 2 for _, frame in audio):
        raise NonconformanceError("a frame of audio ends in the middle of a sample")
    secs = sum(len(frame.audio) for _, frame in audio) / 2 / rate
    words = len(" ".join(ANSWER).split())
    low, high = (words * secs_per_word for secs_per_word in WORD_SECS)
    if not low <= secs <= high:
        raise NonconformanceError(
            f"{words} words took {secs:.1f} s at {rate} Hz; {low:.1f} to {high:.1f} s is plausible"
        )
    return f"{rate} Hz, {secs:.1f} s for {words} words"


async def one_voice(subject: VendorUnderTest) -> str:
    """An answer is one context, and each sentence is announced, in order, before its audio."""
    async with StageHarness(subject.build()) as harness:
        await _answer(harness, ANSWER)
        frames = [frame for _, frame in harness.frames]
    for kind in (TTSStartedFrame, TTSStoppedFrame):
        if (count := sum(isinstance(frame, kind) for frame in frames)) != 1:
            raise NonconformanceError(f"{count} {kind.__name__} in one answer")
    contexts = {frame.context_id for frame in frames if isinstance(frame, TTSAudioRawFrame)}
    if len(contexts) != 1:
        raise NonconformanceError(f"one answer is spoken in {len(contexts)} contexts")
    order = "".join(
        letter
        for frame in frames
        for kind, letter in ((SentenceFrame, "s"), (TTSAudioRawFrame, "a"), (TTSStoppedFrame, "e"))
        if isinstance(frame, kind)
    )
    while "aa" in order:
        order = order.replace("aa", "a")
    if order != "sa" * len(ANSWER) + "e":
        raise NonconformanceError(
            f"sentences (s), audio (a) and the end (e) arrive as {order!r} instead of "
            f"{'sa' * len(ANSWER) + 'e'!r}"
        )
    announced = tuple(frame.text for frame in frames if isinstance(frame, SentenceFrame))
    if announced != ANSWER:
        raise NonconformanceError(f"the sentences are announced as {announced}")
    return f"{len(ANSWER)} sentences in one context"


async def understood(subject: VendorUnderTest) -> str:
    """A recogniser understands its speech."""
    async with StageHarness(subject.build()) as harness:
        heard = await subject.transcribe(await _answer(harness, ANSWER))
    if heard is None:
        raise NotApplicableError("no embedded recogniser is installed to listen")
    return f"word error rate {_rate_of(heard, ANSWER):.0%}"


async def flush(subject: VendorUnderTest) -> str:
    """After an interruption nothing of the old answer comes, and the next answer does."""
    async with StageHarness(subject.build()) as harness:
        await _give(harness, LONG)
        await harness.wait_for(lambda: harness.received(TTSAudioRawFrame), ANSWER_SECS, "no audio")
        await harness.push(InterruptionFrame())
        await harness.wait_for(
            lambda: harness.received(InterruptionFrame),
            SETTLE_SECS,
            "the interruption was not passed on",
        )
        await asyncio.sleep(SETTLE_SECS)
        at = next(
            n
            for n, (_, passed) in enumerate(harness.frames)
            if isinstance(passed, InterruptionFrame)
        )
        if any(isinstance(frame, TTSStoppedFrame) for _, frame in harness.frames[:at]):
            raise NotApplicableError("the answer was complete before it could be interrupted")
        kinds = (TTSAudioRawFrame, AggregatedTextFrame, TTSTextFrame)
        late = [sent for _, sent in harness.frames[at:] if isinstance(sent, kinds)]
        if late:
            sounds = sum(isinstance(sent, TTSAudioRawFrame) for sent in late)
            raise NonconformanceError(
                f"{len(late)} frames of the old answer came after the interruption, "
                f"{sounds} of them audio"
            )
        old = {frame.context_id for _, frame in harness.received(TTSAudioRawFrame)}
        audio = await _answer(harness, OTHER, turn=2)
        if old & {frame.context_id for _, frame in audio}:
            raise NonconformanceError("the next answer is spoken in the context of the old one")
        heard = await subject.transcribe(audio)
    if heard is None:
        return "nothing after the interruption, then the next answer"
    rate = _rate_of(heard, OTHER, beside=LONG)
    return f"nothing after the interruption; next answer: word error rate {rate:.0%}"


async def interleaving(subject: VendorUnderTest) -> str:
    """Two calls that are spoken to at the same time do not mix."""
    async with StageHarness(subject.build()) as one, StageHarness(subject.build()) as other:
        audios = await asyncio.gather(_answer(one, ANSWER), _answer(other, OTHER))
        said = [
            tuple(frame.text for _, frame in harness.received(SentenceFrame))
            for harness in (one, other)
        ]
        heard = [await subject.transcribe(audio) for audio in audios]
    if said != [ANSWER, OTHER]:
        raise NonconformanceError(f"the calls' sentences are announced as {said}")
    contexts = [{frame.context_id for _, frame in audio} - {None} for audio in audios]
    if contexts[0] & contexts[1]:
        raise NonconformanceError("two calls are spoken in one context")
    rates = [
        _rate_of(text, sentences, beside=(*ANSWER, *OTHER))
        for text, sentences in zip(heard, (ANSWER, OTHER), strict=True)
        if text is not None
    ]
    return "two calls at once" + "".join(f", word error rate {rate:.0%}" for rate in rates)


async def bad_key(subject: VendorUnderTest) -> str:
    """A wrong key is promptly reported as a lasting error."""
    voice = await subject.with_wrong_key()
    async with StageHarness(voice) as harness:
        await _give(harness, ANSWER)
        return await wait_for_refusal(harness, voice)


TTS_CHECKS: tuple[Check[VendorUnderTest], ...] = (
    Check(
        "first audio",
        first_audio,
        timeout_secs=20.0,
        failure="degrades",
        loses="every answer is late",
    ),
    Check(
        "sample rate",
        sample_rate,
        timeout_secs=30.0,
        failure="blocks",
        loses="there is no voice, or it is too fast or too slow",
    ),
    Check(
        "one voice",
        one_voice,
        timeout_secs=30.0,
        failure="degrades",
        loses="captions, cited lines and heard text do not match the voice",
    ),
    Check(
        "understood",
        understood,
        timeout_secs=40.0,
        failure="blocks",
        loses="callers do not understand it",
    ),
    Check(
        "flush",
        flush,
        timeout_secs=60.0,
        failure="degrades",
        loses="callers keep hearing answers that they interrupted",
    ),
    Check(
        "interleaving",
        interleaving,
        timeout_secs=60.0,
        failure="blocks",
        loses="callers hear answers meant for others",
    ),
    Check(
        "bad key",
        bad_key,
        timeout_secs=30.0,
        failure="degrades",
        loses="after a refused key no reserve takes over",
    ),
)


async def _give(harness: StageHarness, sentences: Sequence[str], *, turn: int = 1) -> None:
    """Give a voice an answer to speak."""
    await harness.push(
        LLMFullResponseStartFrame(),
        *(SentenceFrame(text, turn=turn) for text in sentences),
        LLMFullResponseEndFrame(),
    )


_ENDS = (TTSStoppedFrame, LLMFullResponseEndFrame)
_STOPPED = "; pipecat's TTSService pushes it if it is made with push_stop_frames=True"


async def _answer(
    harness: StageHarness, sentences: Sequence[str], *, turn: int = 1
) -> list[tuple[float, Any]]:
    """Have an answer spoken to its end; return its audio frames with their times."""
    before = len(harness.frames)
    await _give(harness, sentences, turn=turn)

    def missing() -> list[str]:
        kinds = {type(frame) for _, frame in harness.frames[before:]}
        return [kind.__name__ for kind in _ENDS if kind not in kinds]

    try:
        await harness.wait_for(lambda: not missing(), ANSWER_SECS, "the answer did not end")
    except NonconformanceError as error:
        hint = "" if missing() != ["TTSStoppedFrame"] else _STOPPED
        raise NonconformanceError(f"{error}: no {' and no '.join(missing())} came{hint}") from None
    audio = [
        pushed for pushed in harness.frames[before:] if isinstance(pushed[1], TTSAudioRawFrame)
    ]
    if not audio:
        raise NonconformanceError(f"the answer has no audio{harness.reported}")
    return audio


def _first_sound(harness: StageHarness) -> float | None:
    for at, frame in harness.received(TTSAudioRawFrame):
        samples = np.frombuffer(frame.audio[: len(frame.audio) // 2 * 2], "<i2")
        if np.abs(samples.astype(np.int32)).max(initial=0) > _AUDIBLE:
            return at
    return None


def _rate_of(heard: str, sentences: Sequence[str], *, beside: Sequence[str] = ()) -> float:
    """Word error rate of what was heard.

    Args:
        heard: What was heard.
        sentences: What was to be said.
        beside: What must not be mixed with it. A voice that is only hard to understand has no words
            of these in what is heard, and may be misheard more often.
    """
    said = " ".join(sentences)
    rate = word_error_rate(said, heard)
    mixed = ({*words_of(" ".join(beside))} - {*words_of(said)}) & {*words_of(heard)}
    most = MOST_MISHEARD if beside and len(mixed) < MIXED_WORDS else MOST_WORD_ERRORS
    if rate > most:
        raise NonconformanceError(
            f"word error rate {rate:.0%}, over {most:.0%}: {said!r} was understood as {heard!r}"
        )
    return rate
