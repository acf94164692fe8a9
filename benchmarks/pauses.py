"""Measures whether a caller who pauses is heard to the end, for each recogniser, and the latency.

    python -m benchmarks.pauses [--recognisers LIST] [--voices DIR] [--half NAME] [--json]
                                [--before FILE] [--first-token SECS]

The project's recordings with a pause or a hesitation are asked as one question each, three a call,
over real sockets and the vendors' SDKs in virtual time. With ``--voices``, sentences of other
people from its ``index.tsv`` are asked as well, with a pause of 0.4 to 1.2 s (seeded) inserted
where the sentence is quietest near its middle, and filled with the recording's own noise. The
simulators use the vendors' published medians; Nova's interim results arrive once a second. Then the
recordings of interruptions and backchannels are spoken over an answer.

``embedded`` measures the embedded chain instead: no vendors, models that take their real processor
time, and recordings that are really heard.

A question is *split* if its last turn lacks what an earlier one of it had, or if the caller heard
more than two words of an answer to only a part of it; an answer that stopped within two words, to
be given to the whole question, is *cut short*. It is *asked twice* if the brain was asked too early
but nothing of that was heard; and it is *misheard* if it was asked as one but a fifth or more of
its words are not those that were said. After the name of a split question stands its longest
silence: the one inserted, or its speaker's own. Five of the project's recordings (:data:`_PIECES`)
were spoken piece by piece, and each piece sounds like the end.

Deepgram's simulator knows by script what is said and when: its words are right, and its Flux knows
whether a sentence is complete, so Flux's share is that of a perfect judge.

``--half`` takes the questions of half of the speakers, so that rules can be tuned on one half
(``tune``) and measured on the other (``hold``).

*Where the time goes* lists the medians of the parts of a turn, from the caller's last word to the
first sample they hear. Early answers are limited as in a process that has answered a hundred turns.
``--before`` prints an earlier run, saved from ``--json``, next to this one.
"""

import argparse
import csv
import json
import os
import random
import re
import statistics
import sys
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

os.environ.setdefault("LOGURU_AUTOINIT", "False")

import asyncio

import numpy as np
from aiohttp.test_utils import TestServer

from benchmarks.recordings import load
from client.caller import Caller, HeardCall
from client.wav import read_wav, speech_end_secs, write_wav
from evals.replay import virtual_time
from evals.scoring.statistics import quantile
from knowledge.loading.document import load as load_document
from pipeline.choice import Choice, choose
from pipeline.engines import Engines
from pipeline.vendor import STAGES, Context, Stage
from processors.brain.speculation import Speculation
from server import Server
from settings import Settings
from simulators.deepgram_recogniser import Utterance, speech_secs
from simulators.elevenlabs import tone
from simulators.model import Latency
from simulators.simulate import FIRST_TOKEN_SECS, Simulators

RATE = 16_000
EMBEDDED = "embedded"
_EMBEDDED: dict[str, Any] = {"stt": "whisper", "brain": "extractive", "tts": "hibari"}
RECOGNISERS = ("deepgram", "deepgram-flux", EMBEDDED)
QUESTIONS_A_CALL = 3
BARGE_IN_SECS = 1.5
LONG_ANSWER = "summary.wav"
GAP_SECS = 0.3
_PIECES = (
    "pause-studied.wav",
    "pause-compiler.wav",
    "pause-navy.wav",
    "hesitation-cobol.wav",
    "hesitation-yale.wav",
)
_TURNS_BEFORE = 100
_TOKENS_A_TURN = 6_000  # about the use of a turn with the bundled document
_FRAME = RATE // 100
_LEAST_RMS = 300.0  # the same as in the simulator
_OVER_NOISE = 1.5  # relative to the loudest frame of the noise
_QUIET = 0.02  # relative to the loudest sample
_NOISE_SECS = 0.05
SHORT_WORDS = 2  # of an answer, one of them perhaps half heard
_RUN_FRAMES = 3  # frames in a row that are speech, not a click
_BUDGET = (
    "words and verdict",
    "first token",
    "first checked sentence",
    "voice",
    "played",
)
_SAME = 0.8  # share of the words that a real recogniser must get


@dataclass(frozen=True, slots=True)
class Asked:
    """One question.

    Parameters:
        name: The recording's name.
        text: What is said.
        pcm: The audio, 16 kHz mono 16-bit.
    """

    name: str
    text: str
    pcm: bytes


@dataclass
class Found:
    """The results of one recogniser."""

    split: list[str] = field(default_factory=list)
    cut_short: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    misheard: list[str] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    by_decision: dict[str, list[float]] = field(default_factory=dict)
    stages_ms: list[dict[str, float]] = field(default_factory=list)
    stops_ms: list[float] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    stopped_for_nothing: list[str] = field(default_factory=list)


def recorded() -> list[Asked]:
    """The project's recordings that contain a pause or a hesitation."""
    return [
        Asked(recorded.file, recorded.text, recorded.pcm)
        for recorded in load(kinds=("question",))
        if recorded.file.startswith(("pause-", "hesitation-"))
    ]


def spliced(folder: Path) -> list[Asked]:
    """Sentences of other people, with a pause inserted where each is quietest near its middle."""
    with (folder / "index.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    asked = []
    for row in rows:
        text = row["transcript"]
        path = folder / row["file"]
        if ":" in text or len(text.split()) < 4 or not path.is_file():
            continue  # no transcript, or too short for a pause
        chance = random.Random(zlib.crc32(row["file"].encode()))
        asked.append(Asked(row["file"], text, _with_pause(read_wav(path), chance)))
    return asked


def _with_pause(pcm: bytes, chance: random.Random) -> bytes:
    samples = np.frombuffer(pcm, "<i2").astype(np.float32)
    samples *= 12_000 / max(1.0, float(np.abs(samples).max()))
    begin, end = _speech(samples)
    quietest, samples = _quietest(samples), samples[begin:end]
    noise = np.concatenate([quietest, quietest[::-1]])  # without a click where it is repeated
    size = RATE // 20
    low, high = len(samples) * 35 // 100, len(samples) * 65 // 100
    places = range(low, high - size, size // 5)
    cut = min(places, key=lambda at: float((samples[at : at + size] ** 2).mean())) + size // 2
    pause = np.resize(noise, round(chance.uniform(0.4, 1.2) * RATE))
    ends = np.resize(noise, RATE // 4)
    whole = np.concatenate([ends, samples[:cut], pause, samples[cut:], ends])
    return bytes(whole.astype("<i2").tobytes())


def _speech(samples: np.ndarray) -> tuple[int, int]:
    """Where speech begins and ends: from the first stretch over the noise to the last."""
    loud = _loud(samples).astype(int)
    runs = np.flatnonzero(np.convolve(loud, np.ones(_RUN_FRAMES, int), "valid") == _RUN_FRAMES)
    return int(runs[0]) * _FRAME, (int(runs[-1]) + _RUN_FRAMES) * _FRAME


def _quietest(samples: np.ndarray) -> np.ndarray:
    """The quietest stretch of a recording: its noise."""
    size = round(_NOISE_SECS * RATE)
    starts = range(0, len(samples) - size, size // 4)
    at = min(starts, key=lambda start: float((samples[start : start + size] ** 2).mean()))
    return samples[at : at + size]


def _loud(samples: np.ndarray) -> np.ndarray:
    """Which frames of 10 ms are louder than a recording's own noise."""
    return _loudness(samples) > _over_noise(samples)


def _over_noise(samples: np.ndarray) -> float:
    return max(_LEAST_RMS, _OVER_NOISE * float(_loudness(_quietest(samples)).max()))


def _loudness(samples: np.ndarray) -> np.ndarray:
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    loudness: np.ndarray = np.sqrt((frames * frames).mean(axis=1))
    return loudness


def _longest_silence_secs(pcm: bytes) -> float:
    """The longest silence between two words."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float32)
    begin, end = _speech(samples)
    gaps = np.diff(np.flatnonzero(_loud(samples)[begin // _FRAME : end // _FRAME]))
    return float(gaps.max(initial=1) - 1) * _FRAME / RATE


class _Tones:
    """A voice without cost: only the time of its audio matters."""

    synthesise_whole = staticmethod(tone)


def _silent(_label: str, _share: float) -> None:
    """Ignore the progress of loading."""


class _Earned(Speculation):
    """The waste allowed in a process that has answered a hundred turns."""

    def __init__(self, *, max_wasted_share: float) -> None:
        super().__init__(max_wasted_share=max_wasted_share)
        for _ in range(_TURNS_BEFORE):
            self.record_used(_TOKENS_A_TURN)

    @property
    def wasted_share(self) -> float:
        """The share of the tokens since then."""
        return self.wasted_tokens / max(1, self.used_tokens - _TURNS_BEFORE * _TOKENS_A_TURN)


@dataclass(frozen=True, slots=True)
class _Called:
    """A call, and what the vendors were asked in it.

    Parameters:
        heard: What the caller heard.
        begun: When each question began, from the start of the call.
        started: That start, on the event loop's clock.
        simulators: The vendors, with their logs.
    """

    heard: HeardCall
    begun: list[float]
    started: float
    simulators: Simulators

    def budget(self, begun: float, words_end: float, latency_ms: float) -> dict[str, float] | None:
        """The parts of a turn in ms, in order, from its last word to its first sound.

        ``None`` if no model was asked: the question was refused before.

        Args:
            begun: When the question began, from the start of the call.
            words_end: The end of its last word.
            latency_ms: From there to the first sound.
        """
        begin = self.started + words_end
        heard = begin + latency_ms / 1000
        requests = [
            request
            for request in self.simulators.anthropic.requests
            if self.started + begun < request.at < heard and request.ended == "finished"
        ]
        if not requests:
            return None
        asked = requests[-1]
        token = asked.when("content_block_start")
        voices = self.simulators.elevenlabs.requests
        said = min(
            at
            for voice in voices
            for at, message in voice.messages
            if at >= token and message.get("text", "").strip()
        )
        sound = min(
            at for voice in voices for at, reply in voice.replies if at >= said and "audio" in reply
        )
        at = dict(zip(_BUDGET, (asked.at, token, said, sound, heard), strict=True))
        ends = [begin, *at.values()]
        return {
            part: 1000 * (end - start) for part, start, end in zip(at, ends, ends[1:], strict=False)
        }


class Bench:
    """One recogniser, its calls and its findings.

    Parameters:
        recogniser: Its name in the settings, or :data:`EMBEDDED` for the embedded chain.
        embedded: The engines that the simulators use.
        settings: Settings in addition to those of the simulators.
        first_token_secs: Time from a request to the simulated model's first token.
    """

    def __init__(
        self,
        recogniser: str,
        embedded: Engines,
        settings: dict[str, Any],
        first_token_secs: float = FIRST_TOKEN_SECS,
    ) -> None:
        self.found = Found()
        self.embedded = recogniser == EMBEDDED
        self._vendors: dict[str, Any] = _EMBEDDED if self.embedded else {"stt": recogniser}
        self._embedded = embedded
        self._settings = settings
        self._first_token_secs = first_token_secs
        self.speculation = _Earned(max_wasted_share=embedded.settings.preemptive_waste)

    async def call(self, asked: Sequence[Asked], **caller: Any) -> _Called:
        """Ask questions in one call."""
        rms = max(_speech_rms(question.pcm) for question in asked)
        said = [
            Utterance(question.text, speech_secs=speech_secs(question.pcm, rms=rms), pauses=True)
            for question in asked
        ]
        loaded = self._embedded.loaded
        simulators = Simulators(
            self._embedded.document,
            whisper=loaded.get("whisper"),  # type: ignore[arg-type]  # what is heard is scripted
            hibari=_Tones(),  # type: ignore[arg-type]
            brain=loaded["extractive"],
            heard=said,
        )
        simulators.deepgram.speech_rms = rms
        simulators.anthropic.model.first_token = Latency(self._first_token_secs)
        begun: list[float] = []
        clock = asyncio.get_running_loop().time
        async with simulators, AsyncExitStack() as held:
            folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
            files = []
            for number, question in enumerate(asked):
                files.append(folder / f"{number}.wav")
                write_wav(files[-1], question.pcm + bytes(RATE // 4 * 2), RATE)
            os.environ |= simulators.environment
            settings = Settings(  # type: ignore[call-arg]
                _env_file=None,
                call_secs=900,
                silence_prompt_secs=60,
                auth="off",
                data_dir=folder,
                **{**self._vendors, **self._settings},
            )
            choices = choose(settings)
            cloud = await self._engines(settings, choices)
            server = Server(settings, cloud.document, choices, engines=cloud)
            async with TestServer(server.app()) as listening:
                url = str(listening.make_url("/call")).replace("http", "ws", 1)
                started = clock()
                heard = await Caller(
                    url,
                    files,
                    gap_secs=GAP_SECS,
                    progress=lambda text: (
                        begun.append(clock() - started) if text.startswith("turn ") else None
                    ),
                    **caller,
                ).call()
        return _Called(heard, [at + GAP_SECS for at in begun], started, simulators)

    async def _engines(self, settings: Settings, choices: Mapping[Stage, Choice]) -> Engines:
        """The vendors' clients for these simulators, with the models already loaded."""
        loaded = dict(self._embedded.loaded)
        context = Context(settings, self._embedded.document)
        for choice in choices.values():
            vendor = choice.vendor
            if vendor.kind == "cloud":
                loaded[vendor.name] = await asyncio.to_thread(vendor.load, context, _silent)
        return replace(
            self._embedded,
            settings=settings,
            choices=choices,
            loaded=loaded,
            speculation=self.speculation,
        )

    async def ask(self, asked: Sequence[Asked]) -> None:
        """Ask questions in one call and note how each was heard."""
        called = await self.call(asked)
        heard, begun = called.heard, called.begun
        for number, question in enumerate(asked):
            until = begun[number + 1] if number + 1 < len(begun) else float("inf")
            asked_for = [
                data["question"]
                for at, data in _told(heard, "decision")
                if begun[number] <= at < until
            ]
            answered = [
                (data["question"], data["heard_text"])
                for at, data in _told(heard, "turn")
                if begun[number] <= at < until and data["heard_text"]
            ]
            outcome = outcome_of(question.text, asked_for, answered)
            if outcome == "split":
                secs = _longest_silence_secs(question.pcm)
                self.found.split.append(f"{question.name} ({secs:.1f} s)")
            elif outcome == "misheard":
                self.found.misheard.append(question.name)
            elif outcome == "cut short":
                self.found.cut_short.append(question.name)
            elif len(asked_for) > 1:
                self.found.twice.append(question.name)
            latency = heard.turns[number].e2e_latency_ms
            if latency is not None and outcome == "whole":
                self.found.latencies_ms.append(latency)
                decision = heard.turns[number].decision or "none"
                self.found.by_decision.setdefault(decision, []).append(latency)
                if self.embedded:
                    self.found.stages_ms.append(_stages(latency, heard.turns[number].stages_ms))
                else:
                    spoken = begun[number] + speech_end_secs(question.pcm)
                    if budget := called.budget(begun[number], spoken, latency):
                        self.found.stages_ms.append(budget)

    async def speak_over(self, question: Asked, over: Asked, *, stops: bool) -> None:
        """Speak over the answer to a question."""
        called = await self.call([question, over], barge_in_secs=BARGE_IN_SECS)
        heard, begun = called.heard, called.begun
        if len(begun) < 2:
            self.found.missed.append(over.name)
            return
        onset = begun[1] + _onset_secs(over.pcm)
        ended = begun[1] + speech_end_secs(over.pcm) + 1.0
        stopped = [at for at, _ in _told(heard, "bot-interrupted", own=False)]
        after = [at for at in stopped if onset <= at <= ended]
        if stops and after:
            self.found.stops_ms.append(1000 * (after[0] - onset))
        elif stops:
            self.found.missed.append(over.name)
        elif after:
            self.found.stopped_for_nothing.append(over.name)


def _stages(latency: float, told: Mapping[str, float | None]) -> dict[str, float]:
    """The parts of a turn in ms, in order; a guess costs no time before the turn is over."""
    known = {name: value or 0.0 for name, value in told.items()}
    noticed = latency - known["e2e_latency"]
    sentence = max(0.0, known["llm_ttfs"] - known["llm_ttft"])
    gone = known["end_of_turn_delay"] + known["llm_ttfs"] + known["tts_ttfb"]
    return {
        "end of speech noticed": noticed,
        "words and verdict": known["end_of_turn_delay"],
        "first token, after that": known["llm_ttft"],
        "first checked sentence": sentence,
        "voice": known["tts_ttfb"],
        "played": known["e2e_latency"] - gone,
    }


def _told(heard: HeardCall, kind: str, *, own: bool = True) -> list[tuple[float, dict[str, Any]]]:
    """Messages of a kind; Viva's own are wrapped in RTVI messages."""
    if not own:
        return [(at, message) for at, message in heard.messages if message["type"] == kind]
    inside = [
        (at, message["data"])
        for at, message in heard.messages
        if message["type"] == "server-message"
    ]
    return [(at, data) for at, data in inside if data.get("type") == kind]


def outcome_of(
    said: str, asked: Sequence[str], answered: Sequence[tuple[str, str]]
) -> Literal["whole", "split", "cut short", "misheard"]:
    """How a question was heard.

    Args:
        said: Its words.
        asked: The questions that the brain decided meanwhile, in order.
        answered: Those of them of whose answer the caller heard something, and what.
    """
    if not asked:
        return "misheard"
    last = asked[-1]
    early = [
        len(heard.split())
        for question, heard in answered
        if len(_words(question)) < len(_words(last))
    ]
    if any(not _holds(last, question) for question in asked) or max(early, default=0) > SHORT_WORDS:
        return "split"
    if early:
        return "cut short"
    whole = _holds(last, said) and {*_words(said)[-1:]} <= {*_words(last)}
    return "whole" if whole else "misheard"


def _holds(question: str, part: str) -> bool:
    """Whether a question has the words of a part; a recogniser may hear some differently again."""
    words = {*_words(part)}
    return len(words & {*_words(question)}) >= _SAME * len(words)


def _words(text: str) -> list[str]:
    return ["".join(filter(str.isalnum, word)) for word in text.lower().split()]


def _speech_rms(pcm: bytes) -> float:
    """The level above a recording's own noise, of 32768, at which the simulator detects speech.

    If it took noise for speech, scripted words would arrive in pauses and after the end.
    """
    return _over_noise(np.frombuffer(pcm, "<i2").astype(np.float32))


def _onset_secs(pcm: bytes) -> float:
    samples = np.abs(np.frombuffer(pcm, "<i2").astype(np.int32))
    return float(np.flatnonzero(samples > _QUIET * samples.max())[0]) / RATE


async def measure(
    recognisers: Sequence[str],
    asked: Sequence[Asked],
    *,
    barge_ins: int,
    settings: dict[str, Any] | None = None,
    first_token_secs: float = FIRST_TOKEN_SECS,
) -> dict[str, Any]:
    """Measure the recognisers; returns one row for each.

    Args:
        recognisers: Their names in the settings.
        asked: The questions.
        barge_ins: Number of recordings of each kind to speak over answers.
        settings: Settings in addition to those of the simulators.
        first_token_secs: Time from a request to the simulated model's first token.
    """
    document = load_document()
    # By name, since an earlier run has left the simulators' keys in the environment.
    plain = Settings(_env_file=None, **_EMBEDDED)  # type: ignore[call-arg]
    stages: tuple[Stage, ...] = STAGES if EMBEDDED in recognisers else ("vad", "brain")
    embedded = await Engines.load(plain, document, choose(plain), _silent, stages=stages)
    everything = {recorded.file: recorded for recorded in load()}
    long = everything[LONG_ANSWER]
    long_question = Asked(long.file, long.text, long.pcm)
    over = {
        kind: [
            Asked(recorded.file, recorded.text, recorded.pcm) for recorded in load(kinds=(kind,))
        ][:barge_ins]
        for kind in ("barge-in", "backchannel")
    }
    rows: dict[str, Any] = {}
    for name in recognisers:
        bench = Bench(name, embedded, settings or {}, first_token_secs)
        for begin in range(0, len(asked), QUESTIONS_A_CALL):
            await bench.ask(asked[begin : begin + QUESTIONS_A_CALL])
            print(f"\r{name}: {begin} of {len(asked)} ", end="", file=sys.stderr, flush=True)
        for speech in over["barge-in"]:
            await bench.speak_over(long_question, speech, stops=True)
        for speech in over["backchannel"]:
            await bench.speak_over(long_question, speech, stops=False)
        rows[name] = _row(bench, len(asked), len(over["backchannel"]))
    print(file=sys.stderr)
    return rows


def _row(bench: Bench, questions: int, backchannels: int) -> dict[str, Any]:
    found, speculation = bench.found, bench.speculation
    return {
        "questions": questions,
        "split": len(found.split),
        "split_which": found.split,
        "split_of_one_breath": sum(not name.startswith(_PIECES) for name in found.split),
        "cut_short": len(found.cut_short),
        "cut_short_which": found.cut_short,
        "misheard": len(found.misheard),
        "misheard_which": found.misheard,
        "asked_twice": len(found.twice),
        "asked_twice_which": found.twice,
        "last_word_to_audio_ms_p50": _p50(found.latencies_ms),
        "last_word_to_audio_ms_p95": round(quantile(found.latencies_ms, 0.95), 1)
        if found.latencies_ms
        else None,
        "last_word_to_audio_ms_p50_by_decision": {
            decision: _p50(latencies) for decision, latencies in sorted(found.by_decision.items())
        },
        "barge_ins": len(found.stops_ms),
        "barge_in_to_stop_ms_p50": _p50(found.stops_ms),
        "barge_ins_missed": found.missed,
        "backchannels": backchannels,
        "stopped_for_nothing": found.stopped_for_nothing,
        "wasted_share_of_tokens": round(speculation.wasted_share, 3),
        "where_the_time_goes_ms_p50": {
            stage: _p50([spent[stage] for spent in found.stages_ms])
            for stage in next(iter(found.stages_ms), {})
        },
    }


def _p50(values: Sequence[float]) -> float | None:
    return round(statistics.median(values), 1) if values else None


def half_of(asked: Sequence[Asked], half: str) -> list[Asked]:
    """Select the questions of half of the speakers: ``tune``, ``hold``, or ``all`` for both."""
    if half == "all":
        return list(asked)
    return [
        question
        for question in asked
        if (zlib.crc32(_speaker(question.name).encode()) % 2 == 0) == (half == "tune")
    ]


def _speaker(name: str) -> str:
    """Who speaks, as far as a name tells; each of the project's recordings stands for itself."""
    speaker = re.search(r"p\d{3}|spk\d|^[a-z]+_dialogue|^asterisk|^rhasspy", name)
    return speaker.group() if speaker else name


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--recognisers", default=",".join(RECOGNISERS), help="separated by commas")
    parser.add_argument("--voices", type=Path, help="folder with index.tsv and its recordings")
    parser.add_argument("--half", choices=("all", "tune", "hold"), default="all")
    parser.add_argument("--limit", type=int, help="number of questions of each kind")
    parser.add_argument(
        "--barge-ins", type=int, default=8, help="number of recordings of each kind"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--before", type=Path, help="output of an earlier run with --json")
    parser.add_argument(
        "--first-token",
        type=float,
        default=FIRST_TOKEN_SECS,
        help="seconds from a request to the simulated model's first token",
    )
    options = parser.parse_args()
    asked = half_of(recorded(), options.half)[: options.limit]
    if options.voices:
        asked += half_of(spliced(options.voices), options.half)[: options.limit]
    before = json.loads(options.before.read_text()) if options.before else {}
    rows: dict[str, Any] = {}
    for name in options.recognisers.split(","):
        row = measure(
            [name], asked, barge_ins=options.barge_ins, first_token_secs=options.first_token
        )
        # Time spent on behalf of the simulators does not count.
        counted = name == EMBEDDED
        rows |= virtual_time.run(row, counted=counted, counted_by=virtual_time.cpu_clock)
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    for name, row in rows.items():
        _print(name, row, before.get(name))


def _print(name: str, row: Mapping[str, Any], before: Mapping[str, Any] | None) -> None:
    print(f"\n{name:<30}{'before':>24}{'after':>24}" if before else f"\n{name}")
    flat, then = ({**result, **_inner(result)} for result in (row, before or {}))
    for what, value in flat.items():
        if isinstance(value, dict):
            print(f"  {what}")
            continue
        figures = [then.get(what, ""), value] if before else [value]
        print(f"  {what:<28}" + "".join(f"{_figure(figure):>24}" for figure in figures))


def _inner(result: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for inner in result.values()
        if isinstance(inner, dict)
        for name, value in inner.items()
    }


def _figure(value: Any) -> str:
    return (" ".join(value) or "none") if isinstance(value, list) else str(value)


if __name__ == "__main__":
    main()
