"""Reads from a recording how its page played and reported the voice."""

from bisect import bisect_right
from itertools import pairwise
from math import gcd, inf
from statistics import median
from typing import NamedTuple

from recording.message import Message, samples_of
from recording.recording import AGENT_RATE, Recording
from transports.browser.page import Page
from transports.replay import ClientPlaybackProfile
from transports.rtvi.page import RtviPage

IRREGULAR_SECS = 0.15
"""Deviation from steady playback between two reports that makes a page irregular."""

IRREGULAR_FINAL_SECS = 0.06
"""The same for the final report of an epoch."""

IRREGULAR_PERIOD_SECS = 0.5
"""A longer time between two reports of one stretch of voice makes it irregular, too."""


class _Report(NamedTuple):
    at: float
    epoch: int
    samples: int


class _Audible(NamedTuple):
    report: float
    at: float
    epoch: int
    sample: int


class _Sentence(NamedTuple):
    epoch: int
    start: int
    turn: int
    text: str


class _Burst(NamedTuple):
    """Audio that arrived when nothing was left to play."""

    at: float
    epoch: int
    sample: int
    text: str


def playback_profile_of(recording: Recording) -> ClientPlaybackProfile:
    """The playback profile of a recording; values that it does not show are defaults."""
    seen = _Seen()
    for message in recording.topic("/caller/page", "/agent/page", "/agent/audio"):
        seen.read_message(message)
    return seen.profile()


class _Seen:
    def __init__(self) -> None:
        self._reports: list[_Report] = []
        self._finals: list[_Report] = []
        self._heard: list[_Audible] = []
        self._interrupted: list[float] = []
        self._sentences: list[_Sentence] = []
        self._bursts: list[_Burst] = []
        self._began: list[float] = []
        self._away: list[tuple[float, float, float]] = []
        self._leads: list[tuple[float, float]] = []
        self._lates: list[tuple[float, float]] = []
        self._epoch = 0
        self._sent = 0

    def read_message(self, message: Message) -> None:
        data = message.data
        if message.topic == "/agent/audio":
            if self._played_out(message.at):
                text = self._sentences[-1].text if self._sentences else ""
                self._bursts.append(_Burst(message.at, self._epoch, self._sent, text))
            self._sent += samples_of(data)
            return
        match data["type"]:
            case "playback":
                report = _Report(message.at, data["epoch"], data["samples"])
                (self._finals if data["final"] else self._reports).append(report)
            case "audible":
                heard = _Audible(message.at, data["at"], data["epoch"], data["sample"])
                self._heard.append(heard)
            case "lead":
                self._leads.append((message.at, data["secs"]))
            case "late":
                self._lates.append((message.at, data["secs"]))
            case "away":
                self._away.append((message.at - data["quiet_secs"], message.at, inf))
            case "back" if self._away:
                self._away[-1] = (*self._away[-1][:2], message.at)
            case "bot-started-speaking":
                self._began.append(message.at)
            case "bot-interrupted":
                self._interrupted.append(message.at)
                self._epoch, self._sent = self._epoch + 1, 0
            case "sentence":
                sentence = _Sentence(self._epoch, data["start"], data["turn"], data["text"])
                self._sentences.append(sentence)
            case _:
                pass

    def profile(self) -> ClientPlaybackProfile:
        usual = ClientPlaybackProfile()
        if not self._reports:
            return ClientPlaybackProfile(
                reports=False, lead_secs=RtviPage.lead_secs, absences=tuple(self._away)
            )
        starts: dict[str, list[float]] = {}
        firsts: list[float] = []
        for burst in self._bursts:
            report = self._report_past(burst.epoch, burst.sample, burst.at)
            if report is not None:
                began = report.at - (report.samples - burst.sample) / AGENT_RATE
                starts.setdefault(burst.text, []).append(max(0.0, began - burst.at))
                firsts.append(report.at - began)
        waits = [wait for after in starts.values() for wait in after]
        periods = [
            late.at - early.at
            for early, late in pairwise(self._reports)
            if early.epoch == late.epoch and late.at - early.at < 0.5
        ]
        lags = [
            final.at - self._interrupted[index]
            for final in self._finals
            if (index := bisect_right(self._interrupted, final.at) - 1) >= 0
        ]
        return ClientPlaybackProfile(
            lead_secs=Page.lead_secs,
            start_secs=median(waits or [usual.start_secs]),
            starts=starts,
            step=max(1, gcd(*(report.samples for report in (*self._reports, *self._finals)))),
            first_report_secs=max(0.001, median(firsts or [usual.first_report_secs])),
            report_secs=max(0.02, median(periods or [usual.report_secs])),
            final_secs=median(lags or [usual.final_secs]),
            audible_secs=median(heard.report - heard.at for heard in self._heard)
            if self._heard
            else None,
            heard_secs=median(self._heard_late() or [0.0]),
            audible=self._audible(),
            repeated=self._repeated() if self._is_irregular() else (),
            finals={final.epoch: final.samples for final in self._finals},
            absences=tuple(self._away),
            leads=tuple(self._leads),
            lates=tuple(self._lates),
        )

    def _repeated(self) -> tuple[tuple[tuple[float, int, int], ...], ...]:
        """For each start of the voice, the reports until the next one."""
        found: list[list[tuple[float, int, int]]] = [[] for _ in self._began]
        for report in self._reports:
            index = bisect_right(self._began, report.at) - 1
            if index >= 0:
                found[index].append((report.at - self._began[index], report.epoch, report.samples))
        return tuple(map(tuple, found))

    def _is_irregular(self) -> bool:
        for early, late in pairwise(self._reports):
            passed = late.at - early.at
            played = (late.samples - early.samples) / AGENT_RATE
            if early.epoch != late.epoch or bisect_right(self._began, early.at) != bisect_right(
                self._began, late.at
            ):
                continue
            if abs(passed - played) > IRREGULAR_SECS or passed > IRREGULAR_PERIOD_SECS:
                return True
        return any(self._is_unexpected(final) for final in self._finals)

    def _is_unexpected(self, final: _Report) -> bool:
        """Whether a final report deviates from what the one before it predicts."""
        index = bisect_right(self._interrupted, final.at) - 1
        before = [report for report in self._reports if report.epoch == final.epoch]
        if index < 0 or not before:
            return False
        last = before[-1]
        expected = last.samples + (self._interrupted[index] - last.at) * AGENT_RATE
        return abs(final.samples - expected) > IRREGULAR_FINAL_SECS * AGENT_RATE

    def _played_out(self, at: float) -> bool:
        """Whether everything sent had been played when more audio came."""
        if not self._bursts or self._bursts[-1].epoch != self._epoch:
            return True
        burst = self._bursts[-1]
        return at > burst.at + (self._sent - burst.sample) / AGENT_RATE

    def _report_past(self, epoch: int, sample: int, since: float = 0.0) -> _Report | None:
        """The first report that covers a sample."""
        return next(
            (
                report
                for report in self._reports
                if report.epoch == epoch and report.samples > sample and report.at >= since
            ),
            None,
        )

    def _heard_late(self) -> list[float]:
        """For each answer, the time from its first sound being played to its report as heard."""
        found = []
        for heard in self._heard:
            report = self._report_past(heard.epoch, heard.sample)
            if report is not None:
                played_at = report.at + (heard.sample - report.samples) / AGENT_RATE
                found.append(heard.at - played_at)
        return found

    def _audible(self) -> dict[str, list[int]]:
        """For each answer, by its first sentence, the sample of its first sound."""
        found: dict[str, list[int]] = {}
        for heard in self._heard:
            answers = [
                sentence
                for sentence in self._sentences
                if sentence.turn and sentence.epoch == heard.epoch
            ]
            begun = [answer for answer in answers if answer.start <= heard.sample]
            if begun:
                first = next(answer for answer in answers if answer.turn == begun[-1].turn)
                found.setdefault(first.text, []).append(heard.sample - first.start)
        return found
