"""What whoever listens must do: hear speech, write it down, and say when it is over."""

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
from evals.conformance.bench import Bench, Check, refused, word_error_rate
from evals.conformance.line import Line, NonconformanceError, NotApplicableError

SHORT = "Where did she study mathematics and physics?"
OTHER = "Please tell me about the machines that she programmed."
LONG = "I would like to know what she worked on in the war, and what she did when it was over."

MOST_WORD_ERRORS = 0.25
"""Of a plain sentence in a clear voice, a word: people make about 0.05."""

FINAL_SECS = 5.0
"""Longest wait for the words after the end of speech."""

END_SECS = 2.0
"""From the end of speech until the turn can be answered."""

PAUSE_SECS = 1.2
"""Between two utterances."""

NOISE_SECS = 3.0
NOISE_LEVEL = 0.003
"""Of full scale, root mean square: a quiet telephone line, -50 dBFS."""

SETTLE_SECS = 1.5
"""How long is waited for what must not come."""

ONSET_SECS = 0.5
"""From the first sample of speech until the caller counts as speaking."""

_WORDS = (TranscriptionFrame, InterimTranscriptionFrame)


async def finals(bench: Bench) -> str:
    """The words that were said come back as final ones."""
    speech = await bench.speech(SHORT)
    async with _line(bench) as line:
        await line.say(speech)
        rate = await _understood(line, SHORT)
    return f"word error rate {rate:.0%}"


async def interims(bench: Bench) -> str:
    """A long sentence is guessed at before it has ended."""
    speech = await bench.speech(LONG)
    async with _line(bench) as line:
        began = asyncio.get_running_loop().time()
        ended = await line.say(speech)
        guesses = [
            (at, interim.text)
            for at, interim in line.of(InterimTranscriptionFrame)
            if at < ended and interim.text.strip()
        ]
        if not guesses:
            secs = ended - began
            raise NonconformanceError(f"no interim transcript in {secs:.1f} s of speech")
        await _understood(line, LONG)
    said, guess = LONG.lower(), max((text for _, text in guesses), key=len).lower()
    known = [word for word in guess.split() if word.strip(",.?!") in said]
    if 2 * len(known) < len(guess.split()):
        raise NonconformanceError(f"the interim transcript {guess!r} is not what was being said")
    return f"{len(guesses)} before the end, the first after {guesses[0][0] - began:.1f} s"


async def endpointing(bench: Bench) -> str:
    """Soon after the end of speech its turn can be answered."""
    speech = await bench.speech(SHORT)
    async with _line(bench) as line:
        ended = await line.say(speech)
        await _understood(line, SHORT)
        over = await line.until(
            lambda: _turn_over(bench, line), FINAL_SECS, "no end of the turn was proposed"
        )
    late = max(0.0, over - ended)
    what = "proposal" if bench.vendor.ends_turns else "final transcript"
    if late > END_SECS:
        raise NonconformanceError(f"the {what} came {late:.2f} s after the speech: over {END_SECS}")
    return f"{what} {1000 * late:.0f} ms after the end of speech"


async def silence(bench: Bench) -> str:
    """A quiet line holds no words, even if voice activity took its noise for speech."""
    async with Line(bench.build()) as line:
        line.listen()
        await line.push(VADUserStartedSpeakingFrame(start_secs=0.096))
        await line.say(_line_noise())
        await line.push(SpeechPauseFrame(pause_secs=0.096))
        await line.push(VADUserStoppedSpeakingFrame(stop_secs=0.2))
        await asyncio.sleep(SETTLE_SECS)
        words = [frame.text for _, frame in line.of(*_WORDS) if frame.text.strip()]
        if words:
            raise NonconformanceError(f"it heard {words[-1]!r} in {NOISE_SECS:g} s of line noise")
        if line.of(ProposedUserStoppedSpeakingFrame):
            raise NonconformanceError("it proposed the end of a turn in which nothing was said")
    return f"no words in {NOISE_SECS:g} s of line noise"


async def two_utterances(bench: Bench) -> str:
    """Two sentences with a pause between them are two transcripts."""
    speech = [await bench.speech(sentence) for sentence in (SHORT, OTHER)]
    pause = bytes(2 * round(PAUSE_SECS * INPUT_SAMPLE_RATE))
    async with _line(bench) as line:
        await line.say(speech[0] + pause)
        await line.say(speech[1])
        await _understood(line, f"{SHORT} {OTHER}")
        finals = _finals(line)
        for split in range(1, len(finals)):
            one, other = _joined(finals[:split]), _joined(finals[split:])
            errors = word_error_rate(SHORT, one), word_error_rate(OTHER, other)
            if max(errors) <= MOST_WORD_ERRORS:
                break
        else:
            texts = ", ".join(repr(text) for _, text in finals)
            raise NonconformanceError(f"they ran together: {texts}")
        if bench.vendor.ends_turns:
            proposed = [at for at, _ in line.of(ProposedUserStoppedSpeakingFrame)]
            if not any(finals[split - 1][0] <= at <= finals[split][0] for at in proposed):
                raise NonconformanceError("no end of turn was proposed between them")
    return f"{len(finals)} transcripts, divided where the pause was"


async def reconnect(bench: Bench) -> str:
    """After its connection is cut in the middle of a sentence, it hears the next one."""
    if bench.vendor.kind == "embedded":
        raise NotApplicableError("it runs here and has no connection to cut")
    speech, other = await bench.speech(SHORT), await bench.speech(OTHER)
    before = _connections()
    async with _line(bench) as line:
        await line.say(other)
        await _understood(line, OTHER)
        half = len(speech) // 4 * 2
        heard = len(_finals(line))
        await line.say(speech[:half])
        cut = _cut(_connections() - before)
        if not cut:
            raise NotApplicableError("no connection of its own can be found")
        await line.say(speech[half:])
        with suppress(NonconformanceError):
            await _understood(line, SHORT, since=heard)
        kept = word_error_rate(SHORT, _joined(_finals(line)[heard:])) <= MOST_WORD_ERRORS
        heard = len(_finals(line))
        await line.say(other)
        await _understood(line, OTHER, since=heard)
    lost = "came whole" if kept else "was lost"
    return f"the sentence in which it was cut {lost}; the next was heard"


async def bad_key(bench: Bench) -> str:
    """A wrong key makes it unusable, in words and at once."""
    recogniser = await bench.with_wrong_key()
    speech = await bench.speech(SHORT)
    async with Line(bench.build(bench.engines.choices["vad"].vendor), recogniser) as line:
        # A recogniser that sends each stretch of speech by itself is refused only with the first.
        saying = asyncio.ensure_future(line.say(speech))
        try:
            return await refused(line, recogniser)
        finally:
            saying.cancel()


async def onset(bench: Bench) -> str:
    """Speech is noticed when it begins, and when it ends."""
    speech = await bench.speech(SHORT)
    async with Line(bench.build()) as line:
        line.listen()
        await asyncio.sleep(ONSET_SECS)
        began = asyncio.get_running_loop().time()
        ended = await line.say(speech)
        started = line.of(VADUserStartedSpeakingFrame)
        if not started or started[0][0] - began > ONSET_SECS:
            raise NonconformanceError(f"no start of speech within {ONSET_SECS:g} s of its onset")
        await line.until(
            lambda: [at for at, _ in line.of(VADUserStoppedSpeakingFrame) if at > ended - 0.2],
            END_SECS,
            "no stop of speech",
        )
        stopped = line.of(VADUserStoppedSpeakingFrame)[-1][0]
    onset_ms, stop_ms = 1000 * (started[0][0] - began), 1000 * (stopped - ended)
    return f"start after {onset_ms:.0f} ms, stop after {stop_ms:.0f} ms"


async def line_noise(bench: Bench) -> str:
    """A quiet line is not speech."""
    async with Line(bench.build()) as line:
        await line.say(_line_noise())
        if line.of(VADUserStartedSpeakingFrame):
            raise NonconformanceError(f"it took {NOISE_SECS:g} s of line noise for speech")
    return f"no speech in {NOISE_SECS:g} s of line noise"


VAD_CHECKS: tuple[Check[Bench], ...] = (
    Check(
        "onset",
        onset,
        timeout_secs=20.0,
        failure="blocks",
        loses="nobody is listened to",
    ),
    Check(
        "silence",
        line_noise,
        timeout_secs=15.0,
        failure="degrades",
        loses="noise stops the voice",
    ),
)

STT_CHECKS: tuple[Check[Bench], ...] = (
    Check(
        "finals",
        finals,
        timeout_secs=30.0,
        failure="blocks",
        loses="no question is understood",
    ),
    Check(
        "interims",
        interims,
        timeout_secs=40.0,
        failure="degrades",
        loses="no caption while a caller speaks; answers and interruptions are late",
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
        loses="two questions are taken for one",
    ),
    Check(
        "silence",
        silence,
        timeout_secs=20.0,
        failure="degrades",
        loses="noise is answered",
    ),
    Check(
        "reconnect",
        reconnect,
        timeout_secs=60.0,
        failure="degrades",
        loses="a dropped connection makes it deaf for the rest of the call",
    ),
    Check(
        "bad key",
        bad_key,
        timeout_secs=30.0,
        failure="degrades",
        loses="a refused key is silence: no reserve takes over",
    ),
)


def _line(bench: Bench) -> Line:
    """The recogniser behind the voice activity that it will have in a call."""
    return Line(bench.build(bench.engines.choices["vad"].vendor), bench.build())


def _finals(line: Line) -> list[tuple[float, str]]:
    return [
        (at, transcript.text)
        for at, transcript in line.of(TranscriptionFrame)
        if transcript.text.strip()
    ]


def _joined(finals: Sequence[tuple[float, str]]) -> str:
    return " ".join(text for _, text in finals)


async def _understood(line: Line, said: str, *, since: int = 0) -> float:
    """Wait for the final words of what has been said; their word error rate."""

    def heard() -> str:
        return _joined(_finals(line)[since:])

    def right() -> bool:
        return word_error_rate(said, heard()) <= MOST_WORD_ERRORS

    try:
        await line.until(right, FINAL_SECS, "")
    except NonconformanceError:
        if not heard():
            waited = f"no final transcript within {FINAL_SECS:g} s of the speech{line.troubles}"
            raise NonconformanceError(waited) from None
        rate = word_error_rate(said, heard())
        raise NonconformanceError(
            f"word error rate {rate:.0%}, over {MOST_WORD_ERRORS:.0%}: it heard {heard()!r} "
            f"where {said!r} was said{line.troubles}"
        ) from None
    return word_error_rate(said, heard())


def _turn_over(bench: Bench, line: Line) -> float | None:
    """When the turn could be answered: its last words have come, and the proposal if one does."""
    words = _finals(line)[-1][0]
    if not bench.vendor.ends_turns:
        return words
    frames = [frame for _, frame in line.frames]
    last = max(
        n for n, spoken in enumerate(frames) if isinstance(spoken, _WORDS) and spoken.text.strip()
    )
    for at, frame in line.frames[last:]:
        if isinstance(frame, ProposedUserStoppedSpeakingFrame):
            return at
    return None


def _line_noise() -> bytes:
    chance = np.random.default_rng(0)
    samples = chance.normal(0.0, 32_768 * NOISE_LEVEL, round(NOISE_SECS * INPUT_SAMPLE_RATE))
    return bytes(samples.astype("<i2").tobytes())


def _connections() -> set[tuple[int, Any]]:
    """This process' open TCP connections, by file descriptor and both addresses."""
    found: set[tuple[int, Any]] = set()
    for folder in (Path("/proc/self/fd"), Path("/dev/fd")):
        if not folder.is_dir():
            continue
        for name in [entry.name for entry in folder.iterdir()]:
            with suppress(OSError, ValueError), socket.socket(fileno=os.dup(int(name))) as one:
                if one.family in (socket.AF_INET, socket.AF_INET6):
                    found.add((int(name), (one.getsockname(), one.getpeername())))
        break
    return found


def _cut(connections: set[tuple[int, Any]]) -> int:
    """Break connections off without a word; how many."""
    cut = 0
    for number, _ in connections:
        with suppress(OSError), socket.socket(fileno=os.dup(number)) as one:
            one.shutdown(socket.SHUT_RDWR)
            cut += 1
    return cut
