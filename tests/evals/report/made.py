"""Runs made by hand: calls with real voices, and what a replay would leave of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from client.wav import read_wav
from conversation.records import StageCost, TurnRecord
from evals.scoring.calls import Run
from evals.scoring.score import SCORES_FILE, score
from evals.scoring.truth import Truth
from recording.frames import raw_audio
from recording.writer import InlineWriter
from tests.conftest import AUDIO
from tests.recording.call import START_NS, about

CHUNK = 0.1


@dataclass(frozen=True)
class Said:
    """Something the caller's side does.

    Parameters:
        wav: The recording of it.
        start: When, in seconds of the call.
        kind: As in the truth.
        text: What is said.
        answer: The agent's sentences; empty where it says nothing.
        record: Fields of the turn's record.
        truth: Fields of the utterance's truth.
        cut: When the agent is interrupted in this answer, if it is.
        duck: While the agent is lowered by it.
    """

    wav: str
    start: float
    kind: str = "question"
    text: str = ""
    answer: tuple[str, ...] = ()
    record: dict[str, Any] = field(default_factory=dict)
    truth: dict[str, Any] = field(default_factory=dict)
    cut: float | None = None
    duck: tuple[float, float] | None = None

    @property
    def pcm(self) -> bytes:
        return read_wav(AUDIO / self.wav)

    @property
    def spoken(self) -> tuple[float, float]:
        """When its first word begins and its last ends: the files have 0.25 s and 0.4 s around."""
        return self.start + 0.25, self.start + len(self.pcm) / 32_000 - 0.4


STUDIED = Said(
    "where-studied.wav",
    1.0,
    text="Where did she study mathematics?",
    answer=("She studied at Vassar College.", "She earned her PhD at Yale in 1934."),
    record={"decision": "respond", "confidence": "high", "sections": ("education",)},
    truth={"decision": "respond", "sections": ["education"]},
)
COMPILER = Said(
    "first-compiler.wav",
    9.0,
    text="What was the first compiler?",
    answer=("It was called A-0.", "She finished it in 1952, and nobody believed that it worked."),
    record={"decision": "respond", "confidence": "medium", "sections": ("work",)},
    truth={"decision": "respond", "sections": ["work"]},
)
PAY = Said(
    "age.wav",
    17.0,
    text="How old is <she>?",
    answer=("That is not something I talk about.",),
    record={"decision": "escalate", "reason": "sensitive"},
    truth={"decision": "escalate", "sensitive": True},
)


def record(path: Path, course: Sequence[Said], *, wait: float = 0.5, voice: bool = True) -> None:
    """Write a call down.

    Args:
        path: The recording.
        course: What the caller's side does, in order.
        wait: From the caller's last word to the agent's first.
        voice: Whether the agent's voice is in it.
    """
    told = sorted(_messages(course, wait, voice), key=lambda message: message[0])
    file = InlineWriter().open(path, about(path.stem))
    for at, topic, data in told:
        file.write(START_NS + round(at * 1e9), topic, data)
    file.close()


Told = tuple[float, str, dict[str, Any]]


def _messages(course: Sequence[Said], wait: float, voice: bool) -> Iterator[Told]:
    end = max(said.spoken[1] + 9 for said in course)
    yield from _heard(course, end)
    epoch, number, first, free = 0, 0, 0, 0.0
    for said in course:
        spoke, fell_silent = said.spoken
        yield spoke, "/vad/VADUserStartedSpeakingFrame", {"start_secs": 0.0}
        yield fell_silent + 0.2, "/vad/VADUserStoppedSpeakingFrame", {"stop_secs": 0.2}
        if said.duck:
            yield said.duck[0], "/agent/page", {"type": "duck", "on": True}
            yield said.duck[1], "/agent/page", {"type": "duck", "on": False}
        if not said.answer:
            continue
        number += 1
        at = max(free, fell_silent + wait)
        heard: list[str] = []
        begins = at
        for text in said.answer:
            secs = 0.07 * len(text)
            yield (
                at - 0.01,
                "/agent/page",
                {
                    "type": "sentence",
                    "turn": number,
                    "epoch": epoch,
                    "start": first,
                    "text": text,
                    "sections": list(said.record.get("sections", ())),
                    "lines": [],
                },
            )
            pcm = _voice(secs) if voice else np.zeros(round(secs * 24_000), np.int16)
            for chunk in range(0, len(pcm), 2400):
                when = at + chunk / 24_000
                if said.cut is not None and when >= said.cut:
                    break
                piece = raw_audio(pcm[chunk : chunk + 2400].tobytes(), 24_000)
                if not voice:
                    piece = {**piece, "data": "", "samples": len(pcm[chunk : chunk + 2400])}
                yield when, "/agent/audio", piece
            first += len(pcm)
            whole = said.cut is None or at + secs <= said.cut
            words = text.split()
            share = 1.0 if whole else max(0.0, (said.cut or 0) - at) / secs
            heard += words[: round(share * len(words))]
            at += secs
        if said.cut is not None:
            yield said.cut, "/agent/page", {"type": "bot-interrupted"}
            epoch, first, at = epoch + 1, 0, said.cut
        free = at
        turn = TurnRecord(
            call="",
            number=number,
            at=fell_silent,
            question=said.text,
            answer=" ".join(said.answer),
            heard_text=" ".join(heard),
            interrupted=said.cut is not None,
            transcription_delay=round(0.3 * wait, 3),
            end_of_turn_delay=round(0.4 * wait, 3),
            llm_ttft=round(0.2 * wait, 3),
            llm_ttfs=round(0.25 * wait, 3),
            tts_ttfb=round(0.2 * wait, 3),
            e2e_latency=round(begins - fell_silent, 3),
            cost=StageCost(100, 250 * number, 300),
            vendors={"stt": "whisper", "brain": "extractive", "tts": "hibari"},
        )
        plain = replace(turn, **said.record).as_dict()
        del plain["call"]
        yield free + 0.05, "/call/Turn", plain
    cost = {"stt": 100 * number, "brain": 250, "tts": 300 * number}
    told = {"reason": "hangup", "turns": number, "duration_secs": end, "cost": cost}
    yield end, "/call/End", told


def _heard(course: Sequence[Said], end: float) -> Iterator[Told]:
    line = np.zeros(round(end * 16_000), np.int16)
    for said in course:
        at = round(said.start * 16_000)
        pcm = np.frombuffer(said.pcm, np.int16)
        line[at : at + len(pcm)] += pcm[: len(line) - at]
    for start in range(0, len(line), 1600):
        piece = line[start : start + 1600].tobytes()
        yield (start + 1600) / 16_000, "/caller/audio", raw_audio(piece, 16_000)


def _voice(secs: float) -> np.ndarray[Any, np.dtype[np.int16]]:
    spoken = np.frombuffer(read_wav(AUDIO / "first-compiler-joe.wav"), np.int16)[4800:-7200]
    voice = np.asarray(soxr.resample(spoken, 16_000, 24_000), np.int16)
    return np.resize(voice, round(secs * 24_000))


def truth(calls: dict[str, Sequence[Said]]) -> str:
    """The truth of some calls, as a truth file has it."""
    lines: list[str] = []
    for name, course in calls.items():
        lines += ["[[call]]", f'file = "{name}.mcap"', f'title = "{name.title()}"']
        lines += ['tags = ["clean"]', 'voice = "heart"']
        for said in course:
            start, end = said.spoken
            lines += ["  [[call.utterance]]", f'  kind = "{said.kind}"', f'  text = "{said.text}"']
            lines += [f"  start = {start}", f"  end = {end}"]
            takes = said.kind in ("question", "bargein")
            lines += [f"  takes_turn = {str(takes).lower()}"]
            for name_, value in said.truth.items():
                shown = str(value).lower() if isinstance(value, bool) else repr(value)
                lines.append(f"  {name_} = {shown}")
    return "\n".join(lines) + "\n"


CALLS: dict[str, Sequence[Said]] = {
    "three-questions": (STUDIED, COMPILER, PAY),
    "barge-in": (
        replace(STUDIED, cut=5.9),
        Said("okay.wav", 3.6, kind="backchannel", text="Okay.", duck=(3.9, 4.4)),
        replace(COMPILER, start=5.1, kind="bargein", truth={**COMPILER.truth, "over_agent": True}),
    ),
    "cough": (STUDIED, Said("cough.wav", 4.0, kind="noise", duck=(4.3, 4.8))),
}


def run(folder: Path, calls: dict[str, Sequence[Said]] = CALLS, **settings: Any) -> Path:
    """A run that was scored.

    Args:
        folder: Where it is put.
        calls: Its calls by their names.
        settings: As :func:`record` has them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, course in calls.items():
        record(folder / f"{name}.mcap", sorted(course, key=lambda said: said.start), **settings)
    (folder / "truth.toml").write_text(truth(calls), "utf-8")
    scored = score(Run.read(folder), Truth.load(folder / "truth.toml"))
    scored.write(folder / SCORES_FILE)
    return folder
