"""Reconstructs when each sample of the agent's voice was played to the caller."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from conversation.turns import OUTPUT_SAMPLE_RATE
from evals.scoring.intervals import Interval, merged
from recording.message import Message

SILENCE = 104
"""A sample below -50 dBFS counts as silence, as on the page (web/call/audible.js)."""

WINDOW = OUTPUT_SAMPLE_RATE // 100
"""Samples per window of loudness: 10 ms."""

Samples = npt.NDArray[np.int16]
Loudness = npt.NDArray[np.bool_]

BREATH_SECS = 0.3
"""A shorter silence does not divide a voice."""


@dataclass
class Epoch:
    """The voice between two interruptions, as sent and as played; times in seconds of the call.

    Parameters:
        number: The number of interruptions before it.
        sent: For each chunk, when it was sent, and the index of its first sample.
        samples: The number of samples sent.
        reports: The page's reports: time, and samples played until then.
        final: The samples played in total, as reported after the rest was dropped.
        cut_at: When it was interrupted; ``None`` if it was not.
        loud: For each window, whether it is audible.
    """

    number: int
    sent: list[tuple[float, int]] = field(default_factory=list)
    samples: int = 0
    reports: list[tuple[float, int]] = field(default_factory=list)
    final: int | None = None
    cut_at: float | None = None
    loud: list[Loudness] = field(default_factory=list)

    def when(self, sample: int) -> float:
        """When a sample was played."""
        chunk = max(0, bisect_right([first for _, first in self._starts], sample) - 1)
        told = bisect_right([samples for _, samples in self.reports], sample)
        if told < len(self.reports):
            at, samples = self.reports[told]
            return max(self.sent[chunk][0], at - (samples - sample) / OUTPUT_SAMPLE_RATE)
        start, first = self._starts[chunk]
        return start + (sample - first) / OUTPUT_SAMPLE_RATE

    @cached_property
    def _starts(self) -> Sequence[tuple[float, int]]:
        """For each chunk, when its first sample was played, and that sample's index.

        The page's reports count, but audio is never played before it was sent. Without reports,
        chunks count as played at once, one after the other.
        """
        starts: list[tuple[float, int]] = []
        reports = iter(self.reports)
        report = next(reports, None)
        free = 0.0
        for index, (sent_at, first) in enumerate(self.sent):
            while report is not None and report[1] <= first:
                report = next(reports, None)
            if report is None:
                start = max(sent_at, free)
            else:
                start = max(sent_at, report[0] - (report[1] - first) / OUTPUT_SAMPLE_RATE)
            starts.append((start, first))
            after = self.sent[index + 1][1] if index + 1 < len(self.sent) else self.samples
            free = start + (after - first) / OUTPUT_SAMPLE_RATE
        return starts

    def played(self, end: float) -> int:
        """The number of samples played before a time, and before the interruption."""
        if self.final is not None:
            return min(self.final, self.samples)
        until = end if self.cut_at is None else min(end, self.cut_at)
        reached = 0
        starts = self._starts
        for index, (start, first) in enumerate(starts):
            after = starts[index + 1][1] if index + 1 < len(starts) else self.samples
            if start < until:
                reached = min(after, first + int((until - start) * OUTPUT_SAMPLE_RATE))
        return reached

    @cached_property
    def _loud(self) -> Loudness:
        return np.concatenate(self.loud) if self.loud else np.zeros(0, dtype=bool)

    def audible(self, first: int, last: int, after: int) -> tuple[Interval, ...]:
        """When a sentence was audible.

        A sentence without a loud sample had its voice removed from the recording; all of it counts
        as audible.

        Args:
            first: The sentence's first sample.
            last: Its first sample that was not played.
            after: The first sample after the sentence.
        """
        if last <= first:
            return ()
        loud = self._loud[first // WINDOW : -(-after // WINDOW)]
        if not loud.any():
            return (Interval(self.when(first), self.when(last - 1) + 1 / OUTPUT_SAMPLE_RATE),)
        windows = np.flatnonzero(loud[: -(-last // WINDOW) - first // WINDOW]) + first // WINDOW
        if not windows.size:
            return ()
        breaks = np.flatnonzero(np.diff(windows) * WINDOW > BREATH_SECS * OUTPUT_SAMPLE_RATE)
        begins = windows[np.concatenate(([0], breaks + 1))]
        ends = windows[np.concatenate((breaks, [windows.size - 1]))] + 1
        found = []
        for begin, end in zip(begins, ends, strict=True):
            start = self.when(max(first, int(begin) * WINDOW))
            stop = self.when(min(last, int(end) * WINDOW) - 1) + 1 / OUTPUT_SAMPLE_RATE
            found.append(Interval(start, max(start, stop)))
        return merged(found)


def epochs_of(messages: Iterable[Message]) -> tuple[Epoch, ...]:
    """The epochs of a recorded call, in order."""
    epochs = [Epoch(0)]
    left: dict[int, Samples] = {}
    for message in messages:
        match message.topic:
            case "/agent/audio":
                _send(epochs[-1], message, left)
            case "/agent/page" if message.data.get("type") == "bot-interrupted":
                epochs[-1].cut_at = message.at
                epochs.append(Epoch(len(epochs)))
            case "/caller/page" if message.data.get("type") == "playback":
                _report(epochs, message.at, message.data)
    for number, rest in left.items():
        epochs[number].loud.append(_loud(rest))
    return tuple(epochs)


def _send(epoch: Epoch, message: Message, left: dict[int, Samples]) -> None:
    pcm = np.frombuffer(message.pcm(), dtype="<i2")
    epoch.sent.append((message.at, epoch.samples))
    epoch.samples += pcm.size
    pending = np.concatenate((left.pop(epoch.number), pcm)) if epoch.number in left else pcm
    whole = pending.size // WINDOW * WINDOW
    epoch.loud.append(_loud(pending[:whole]))
    if whole < pending.size:
        left[epoch.number] = pending[whole:]


def _loud(pcm: Samples) -> Loudness:
    padded = np.zeros(-(-pcm.size // WINDOW) * WINDOW, dtype=np.int32)
    padded[: pcm.size] = np.abs(pcm.astype(np.int32))
    return np.asarray(padded.reshape(-1, WINDOW).max(axis=1, initial=0) >= SILENCE)


def _report(epochs: Sequence[Epoch], at: float, report: Mapping[str, Any]) -> None:
    number = int(report["epoch"])
    if number >= len(epochs):
        return
    epoch, samples = epochs[number], int(report["samples"])
    if samples > (epoch.reports[-1][1] if epoch.reports else 0):
        epoch.reports.append((at, samples))
    if report.get("final"):
        epoch.final = samples
