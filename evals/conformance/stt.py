"""Checks of voice activity and of speech to text."""

import asyncio
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from pipecat.frames.frames import (
    InterimTranscriptionFrame,
    ProposedUserStoppedSpeakingFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from conversation.frames import SpeechPauseFrame
from conversation.turns import INPUT_SAMPLE_RATE
from evals.conformance.check import Check, VendorUnderTest, wait_for_refusal, word_error_rate
from evals.conformance.harness import NonconformanceError, NotApplicableError, StageHarness
from evals.conformance.pauses import PAUSE_CHECKS

SHORT = "Where did she study mathematics and physics?"
OTHER = "Please tell me about the machines that she programmed."
LONG = "I would like to know what she worked on in the war, and what she did when it was over."

MOST_WORD_ERRORS = 0.25
"""Maximum word error rate of a plain sentence in a clear voice; people make about 0.05."""

FINAL_SECS = 5.0
"""Maximum time from the end of speech to its final transcript."""

END_SECS = 2.0
"""Maximum time from the end of speech until the turn can be answered."""

PAUSE_SECS = 1.2
"""The pause between two utterances."""

NOISE_SECS = 3.0
NOISE_LEVEL = 0.003
"""RMS of the line noise, of full scale: -50 dBFS, a quiet telephone line."""

SETTLE_SECS = 1.5
"""How long to watch for frames that must not come."""

ONSET_SECS = 0.5
"""Maximum time from the first sample of speech to ``VADUserStartedSpeakingFrame``."""

_WORDS = (TranscriptionFrame, InterimTranscriptionFrame)


async def finals(subject: VendorUnderTest) -> str:
    """What was said comes back as a final transcript."""
    speech = await subject.synthesise(SHORT)
    async with _behind_vad(subject) as harness:
        await harness.say(speech)
        rate = await _understood(harness, SHORT)
    return f"word error rate {rate:.0%}"


async def interims(subject: VendorUnderTest) -> str:
    """A long sentence has interim transcripts before its end."""
    speech = await subject.synthesise(LONG)
    async with _behind_vad(subject) as harness:
        began = asyncio.get_running_loop().time()
        ended = await harness.say(speech)
        guesses = [
            (at, interim.text)
            for at, interim in harness.received(InterimTranscriptionFrame)
            if at < ended and interim.text.strip()
        ]
        if not guesses:
            secs = ended - began
            raise NonconformanceError(f"no interim transcript in {secs:.1f} s of speech")
        await _understood(harness, LONG)
    said, guess = LONG.lower(), max((text for _, text in guesses), key=len).lower()
    known = [word for word in guess.split() if word.strip(",.?!") in said]
    if 2 * len(known) < len(guess.split()):
        raise NonconformanceError(f"the interim transcript {guess!r} does not match the speech")
    return f"{len(guesses)} before the end, the first after {guesses[0][0] - began:.1f} s"


async def endpointing(subject: VendorUnderTest) -> str:
    """The turn can be answered soon after the end of speech."""
    speech = await subject.synthesise(SHORT)
    async with _behind_vad(subject) as harness:
        ended = await harness.say(speech)
        await _understood(harness, SHORT)
        over = await harness.wait_for(
            lambda: _turn_over(subject, harness), FINAL_SECS, "no end of the turn was proposed"
        )
    late = max(0.0, over - ended)
    what = "proposal" if subject.vendor.ends_turns else "final transcript"
    if late > END_SECS:
        raise NonconformanceError(f"the {what} came {late:.2f} s after the speech: over {END_SECS}")
    return f"{what} {1000 * late:.0f} ms after the end of speech"


async def silence(subject: VendorUnderTest) -> str:
    """Line noise has no words, even if voice activity took it for speech."""
    async with StageHarness(subject.build()) as harness:
        harness.listen()
        await harness.push(VADUserStartedSpeakingFrame(start_secs=0.096))
        await harness.say(_line_noise())
        await harness.push(SpeechPauseFrame(pause_secs=0.096))
        await harness.push(VADUserStoppedSpeakingFrame(stop_secs=0.2))
        await asyncio.sleep(SETTLE_SECS)
        words = [frame.text for _, frame in harness.received(*_WORDS) if frame.text.strip()]
        if words:
            raise NonconformanceError(
                f"it transcribed {NOISE_SECS:g} s of line noise as {words[-1]!r}"
            )
        if harness.received(ProposedUserStoppedSpeakingFrame):
            raise NonconformanceError("it proposed the end of a turn without words")
    return f"no words in {NOISE_SECS:g} s of line noise"


async def two_utterances(subject: VendorUnderTest) -> str:
    """Two sentences with a pause between them have separate transcripts."""
    speech = [await subject.synthesise(sentence) for sentence in (SHORT, OTHER)]
    pause = bytes(2 * round(PAUSE_SECS * INPUT_SAMPLE_RATE))
    async with _behind_vad(subject) as harness:
        await harness.say(speech[0] + pause)
        await harness.say(speech[1])
        await _understood(harness, f"{SHORT} {OTHER}")
        finals = _finals(harness)
        for split in range(1, len(finals)):
            one, other = _joined(finals[:split]), _joined(finals[split:])
            errors = word_error_rate(SHORT, one), word_error_rate(OTHER, other)
            if max(errors) <= MOST_WORD_ERRORS:
                break
        else:
            texts = ", ".join(repr(text) for _, text in finals)
            raise NonconformanceError(f"the transcripts are not divided at the pause: {texts}")
        if subject.vendor.ends_turns:
            proposed = [at for at, _ in harness.received(ProposedUserStoppedSpeakingFrame)]
            if not any(finals[split - 1][0] <= at <= finals[split][0] for at in proposed):
                raise NonconformanceError("no end of turn was proposed between them")
    return f"{len(finals)} transcripts, divided at the pause"


async def reconnect(subject: VendorUnderTest) -> str:
    """After its connection breaks within a sentence, it transcribes the next one."""
    if subject.vendor.kind == "embedded":
        raise NotApplicableError("it runs in this process and has no connection")
    speech, other = await subject.synthesise(SHORT), await subject.synthesise(OTHER)
    before = _connections()
    async with _behind_vad(subject) as harness:
        await harness.say(other)
        await _understood(harness, OTHER)
        half = len(speech) // 4 * 2
        heard = len(_finals(harness))
        await harness.say(speech[:half])
        cut = _cut(_connections() - before)
        if not cut:
            raise NotApplicableError("its connection cannot be found")
        await harness.say(speech[half:])
        with suppress(NonconformanceError):
            await _understood(harness, SHORT, since=heard)
        kept = word_error_rate(SHORT, _joined(_finals(harness)[heard:])) <= MOST_WORD_ERRORS
        heard = len(_finals(harness))
        await harness.say(other)
        await _understood(harness, OTHER, since=heard)
    lost = "complete" if kept else "lost"
    return f"the sentence in which it broke is {lost}; the next is transcribed"


async def bad_key(subject: VendorUnderTest) -> str:
    """A wrong key is promptly reported as a lasting error."""
    recogniser = await subject.with_wrong_key()
    speech = await subject.synthesise(SHORT)
    vad = subject.build(subject.engines.choices["vad"].vendor)
    async with StageHarness(vad, recogniser) as harness:
        # A recogniser with a request per stretch of speech is refused only with the first.
        saying = asyncio.ensure_future(harness.say(speech))
        try:
            return await wait_for_refusal(harness, recogniser)
        finally:
            saying.cancel()


async def onset(subject: VendorUnderTest) -> str:
    """The start and the end of speech are reported."""
    speech = await subject.synthesise(SHORT)
    async with StageHarness(subject.build()) as harness:
        harness.listen()
        await asyncio.sleep(ONSET_SECS)
        began = asyncio.get_running_loop().time()
        ended = await harness.say(speech)
        started = harness.received(VADUserStartedSpeakingFrame)
        if not started or started[0][0] - began > ONSET_SECS:
            raise NonconformanceError(f"no start of speech within {ONSET_SECS:g} s of it")
        await harness.wait_for(
            lambda: [
                at for at, _ in harness.received(VADUserStoppedSpeakingFrame) if at > ended - 0.2
            ],
            END_SECS,
            "no end of speech",
        )
        stopped = harness.received(VADUserStoppedSpeakingFrame)[-1][0]
    onset_ms, stop_ms = 1000 * (started[0][0] - began), 1000 * (stopped - ended)
    return f"start after {onset_ms:.0f} ms, stop after {stop_ms:.0f} ms"


async def line_noise(subject: VendorUnderTest) -> str:
    """Line noise does not count as speech."""
    async with StageHarness(subject.build()) as harness:
        await harness.say(_line_noise())
        if harness.received(VADUserStartedSpeakingFrame):
            raise NonconformanceError(f"it took {NOISE_SECS:g} s of line noise for speech")
    return f"no speech in {NOISE_SECS:g} s of line noise"


VAD_CHECKS: tuple[Check[VendorUnderTest], ...] = (
    Check(
        "onset",
        onset,
        timeout_secs=20.0,
        failure="blocks",
        loses="callers are not heard",
    ),
    Check(
        "silence",
        line_noise,
        timeout_secs=15.0,
        failure="degrades",
        loses="noise interrupts the voice",
    ),
)

STT_CHECKS: tuple[Check[VendorUnderTest], ...] = (
    Check(
        "finals",
        finals,
        timeout_secs=30.0,
        failure="blocks",
        loses="questions are not understood",
    ),
    Check(
        "interims",
        interims,
        timeout_secs=40.0,
        failure="degrades",
        loses="callers have no live captions; answers and interruptions are late",
    ),
    Check(
        "endpointing",
        endpointing,
        timeout_secs=30.0,
        failure="degrades",
        loses="every answer is late",
    ),
    Check(
        "two utterances",
        two_utterances,
        timeout_secs=40.0,
        failure="degrades",
        loses="two questions are answered as one",
    ),
    Check(
        "silence",
        silence,
        timeout_secs=20.0,
        failure="degrades",
        loses="noise is answered",
    ),
    *PAUSE_CHECKS,
    Check(
        "reconnect",
        reconnect,
        timeout_secs=60.0,
        failure="degrades",
        loses="after a dropped connection the caller is not heard for the rest of the call",
    ),
    Check(
        "bad key",
        bad_key,
        timeout_secs=30.0,
        failure="degrades",
        loses="after a refused key no reserve takes over",
    ),
)


def _behind_vad(subject: VendorUnderTest) -> StageHarness:
    """The recogniser behind the voice activity that calls have."""
    return StageHarness(subject.build(subject.engines.choices["vad"].vendor), subject.build())


def _finals(harness: StageHarness) -> list[tuple[float, str]]:
    return [
        (at, transcript.text)
        for at, transcript in harness.received(TranscriptionFrame)
        if transcript.text.strip()
    ]


def _joined(finals: Sequence[tuple[float, str]]) -> str:
    return " ".join(text for _, text in finals)


async def _understood(harness: StageHarness, said: str, *, since: int = 0) -> float:
    """Wait for a final transcript that is right enough; return its word error rate.

    Args:
        harness: The recogniser's.
        said: What was said.
        since: The number of final transcripts before it.
    """

    def heard() -> str:
        return _joined(_finals(harness)[since:])

    def right() -> bool:
        return word_error_rate(said, heard()) <= MOST_WORD_ERRORS

    try:
        await harness.wait_for(right, FINAL_SECS, "")
    except NonconformanceError:
        if not heard():
            waited = f"no final transcript within {FINAL_SECS:g} s of the speech{harness.reported}"
            raise NonconformanceError(waited) from None
        rate = word_error_rate(said, heard())
        raise NonconformanceError(
            f"word error rate {rate:.0%}, over {MOST_WORD_ERRORS:.0%}: it transcribed "
            f"{said!r} as {heard()!r}{harness.reported}"
        ) from None
    return word_error_rate(said, heard())


def _turn_over(subject: VendorUnderTest, harness: StageHarness) -> float | None:
    """When the turn can be answered: after its last words, and its proposed end if there is one."""
    words = _finals(harness)[-1][0]
    if not subject.vendor.ends_turns:
        return words
    frames = [frame for _, frame in harness.frames]
    last = max(
        n for n, spoken in enumerate(frames) if isinstance(spoken, _WORDS) and spoken.text.strip()
    )
    for at, frame in harness.frames[last:]:
        if isinstance(frame, ProposedUserStoppedSpeakingFrame):
            return at
    return None


def _line_noise() -> bytes:
    rng = np.random.default_rng(0)
    samples = rng.normal(0.0, 32_768 * NOISE_LEVEL, round(NOISE_SECS * INPUT_SAMPLE_RATE))
    return bytes(samples.astype("<i2").tobytes())


def _connections() -> set[tuple[int, Any]]:
    """This process's open TCP connections, as ``(file descriptor, (local, peer))``."""
    found: set[tuple[int, Any]] = set()
    for folder in (Path("/proc/self/fd"), Path("/dev/fd")):
        if not folder.is_dir():
            continue
        for name in [entry.name for entry in folder.iterdir()]:
            with suppress(OSError, ValueError), socket.socket(fileno=os.dup(int(name))) as open_:
                if open_.family in (socket.AF_INET, socket.AF_INET6):
                    found.add((int(name), (open_.getsockname(), open_.getpeername())))
        break
    return found


def _cut(connections: set[tuple[int, Any]]) -> int:
    """Shut connections down without a close handshake; return how many."""
    cut = 0
    for number, _ in connections:
        with suppress(OSError), socket.socket(fileno=os.dup(number)) as connection:
            connection.shutdown(socket.SHUT_RDWR)
            cut += 1
    return cut
