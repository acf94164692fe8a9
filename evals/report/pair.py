"""The comparison of two runs of the same calls: what changed, side by side, with audio."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from conversation.wording import counted
from evals.report import figures
from evals.report.call import CallAudio, TurnView, turn_clip, turn_view, turns_of
from evals.report.call_timeline_chart import rows
from evals.report.changes import (
    SEEN_BELOW,
    Difference,
    difference,
    field_changes,
    latency_change,
    one_line,
)
from evals.report.clips import Clip, ClipSelection, select
from evals.report.page import HEAD, Progress, stages
from evals.report.run import ScoredRun
from evals.report.template import render
from evals.report.waterfall import scale_of, steps
from evals.scoring.compare import Changed, Comparison
from evals.scoring.facts import Facts, TurnFacts
from recording.recording import RecordingError

MOST_CHANGED = 120
"""Maximum number of changed turns shown side by side; the others are listed."""

SIDE_SECS, LEAST_SIDE_SECS, SIDE_WIDTH = 10.0, 6.0, 540
"""Seconds per row, minimum seconds, and width in pixels of a time line on half the page."""

ONLY = ("only", "Turns of only one run", ())
"""The group of turns that the other run does not have."""

GROUPS = (
    ("decided", "Different decision", ("decision", "reason", "sections", "confidence")),
    ONLY,
    ("understood", "Different transcript", ("question",)),
    ("said", "Different answer", ("answer", "heard_text", "interrupted")),
)
"""Groups of changed turns, most important first: anchor, title, and the fields that changed."""


@dataclass(frozen=True, slots=True)
class Side:
    """A changed turn in one of the runs.

    Parameters:
        run: The run's name.
        turn: The turn; ``None`` if this run has no such turn.
        timeline: The turn's part of the time line, or the same part of a run without the turn.
        clip: The ``data:`` URI of that part's audio, in a run without the turn; otherwise empty.
        clip_start: Where that clip starts, in seconds of the call.
        left_out: Whether that clip was left out for want of space.
    """

    run: str
    turn: TurnView | None
    timeline: tuple[Markup, ...] = ()
    clip: str = ""
    clip_start: float = 0.0
    left_out: bool = False

    @property
    def name(self) -> str:
        """The clip's label."""
        return "the same moment in this run"


@dataclass(frozen=True, slots=True)
class ChangedTurn:
    """A changed turn in both runs.

    Parameters:
        anchor: Its anchor in the page.
        title: The call and the turn's number.
        changes: Its changed fields: title, and value in both runs.
        sides: The turn in each run.
    """

    anchor: str
    title: str
    changes: tuple[tuple[str, str, str], ...]
    sides: tuple[Side, Side]


@dataclass(frozen=True, slots=True)
class Group:
    """Turns that changed in the same way.

    Parameters:
        anchor: The group's anchor in the page.
        title: Its title.
        turns: The turns shown side by side.
        unshown: The others, a line each.
    """

    anchor: str
    title: str
    turns: tuple[ChangedTurn, ...]
    unshown: tuple[str, ...]


class PairPage:
    """Makes the comparison of two runs.

    Parameters:
        runs: The baseline, and the run that is compared with it.
        facts: The facts of both runs' calls, by source recording.
        compared: The comparison.
        audio_bytes: Maximum total size of audio clips.
        progress: Called with the progress.
    """

    def __init__(
        self,
        runs: tuple[ScoredRun, ScoredRun],
        facts: tuple[Mapping[str, Facts], Mapping[str, Facts]],
        compared: Comparison,
        *,
        audio_bytes: float,
        progress: Progress,
    ) -> None:
        self._runs = runs
        self._facts = facts
        self._compared = compared
        self._audio_bytes = audio_bytes
        self._progress = progress
        self._selection = ClipSelection({}, ())
        self._sounds: dict[tuple[int, str], CallAudio | None] = {}
        turns = [turn for run in runs for call in run.calls for turn in call.get("turns") or ()]
        self._scale = scale_of([steps(turn) for turn in turns])

    def html(self) -> str:
        """Render the page."""
        ordered = sorted(self._compared.changed, key=_weight)
        shown = [change for change in ordered if _weight(change) < len(GROUPS)][:MOST_CHANGED]
        self._selection = select(
            (clip for change in shown for clip in self._clips(change)), self._audio_bytes
        )
        turns: dict[int, ChangedTurn] = {}
        # Ordered by call, so that each call's audio is read once.
        for done, change in enumerate(sorted(shown, key=lambda change: change.source)):
            self._progress(done, len(shown))
            turns[id(change)] = self._changed_turn(change)
        self._progress(len(shown), len(shown))
        differences = self._differences()
        runs = list(self._runs)
        return render(
            "pair.html.j2",
            before=runs[0],
            now=runs[1],
            lead=self._lead(),
            stages=_stages(runs),
            heads=[difference for name, difference in differences.items() if self._is_head(name)],
            differences=list(differences.values()),
            delays=figures.delays(runs),
            reliability=figures.calibration(runs),
            bins=[
                (run.name, table)
                for run in runs
                for table in figures.tables(run)
                if table.title == "Reliability"
            ],
            groups=tuple(self._groups(ordered, turns)),
            faster=[latency_change(change) for change in ordered if _weight(change) == len(GROUPS)],
            only=[
                (run.name, sources)
                for run, sources in zip(
                    runs, (self._compared.only_a, self._compared.only_b), strict=True
                )
                if sources
            ],
            left_out=self._left_out(),
        )

    def _lead(self) -> str:
        compared = self._compared
        changed = len(compared.changed)
        same = counted(compared.turns, "turn")
        both = f"{same} of {counted(compared.calls, 'call')} are in both"
        return (
            f"{both}; {counted(changed, 'turn')} changed." if changed else f"{both}; none changed."
        )

    def _is_head(self, name: str) -> bool:
        return name in HEAD or any(
            run.metrics.get(name, {}).get("target") is not None for run in self._runs
        )

    def _differences(self) -> dict[str, Difference]:
        before, now = self._runs
        return {
            name: difference(name, before.metrics[name], now.metrics[name], found)
            for name, found in self._compared.metrics.items()
            if name in before.metrics and name in now.metrics
        }

    def _turn(self, change: Changed, side: int) -> TurnFacts | None:
        number = change.b if side else change.a
        facts = self._facts[side].get(change.source)
        if number is None or facts is None:
            return None
        return next((turn for turn in facts.turns if turn.number == number), None)

    def _clips(self, change: Changed) -> Iterator[Clip]:
        return (clip for side in (0, 1) if (clip := self._clip(change, side)) is not None)

    def _clip(self, change: Changed, side: int) -> Clip | None:
        """A turn's clip, or the same part of a run that has no such turn."""
        facts = self._facts[side].get(change.source)
        if facts is None:
            return None
        turn = self._turn(change, side)
        if turn is not None:
            scored = turns_of(self._call(side, facts)).get(turn.number, {})
            return turn_clip(facts, turn, scored, (side, facts.name, turn.number))
        there = self._clip(change, 1 - side) if self._turn(change, 1 - side) is not None else None
        if there is None:
            return None
        start = facts.replayed(self._facts[1 - side][change.source].recorded(there.start))
        end = min(start + there.secs, facts.seconds)
        return Clip((side, facts.name, -there.place[2]), start, max(start, end))

    def _call(self, side: int, facts: Facts) -> Mapping[str, Any]:
        calls = self._runs[side].calls
        return next((call for call in calls if call["file"] == facts.name), {})

    def _changed_turn(self, change: Changed) -> ChangedTurn:
        number = change.a if change.a is not None else change.b
        call = change.source.removesuffix(".mcap")
        longest = max((clip.secs for clip in self._clips(change)), default=SIDE_SECS)
        return ChangedTurn(
            anchor=f"d-{call}-{'a' if change.a is not None else 'b'}{number}",
            title=f"{call}, turn {number}",
            changes=tuple(field_changes(change, without=SEEN_BELOW)),
            sides=(self._side(change, 0, longest), self._side(change, 1, longest)),
        )

    def _side(self, change: Changed, side: int, secs: float) -> Side:
        """One side of a changed turn; both sides show the same number of seconds."""
        run, turn, wanted = self._runs[side], self._turn(change, side), self._clip(change, side)
        facts = self._facts[side].get(change.source)
        if facts is None or wanted is None:
            return Side(run.name, None)
        call = self._call(side, facts)
        sounds = self._voices(side, facts.name)
        timeline: tuple[Markup, ...] = ()
        clip, address = self._selection.included.get(wanted.place), ""
        if sounds is not None:
            secs = max(secs, LEAST_SIDE_SECS)
            row, end = secs / max(1, round(secs / SIDE_SECS)), wanted.start + secs
            whole = sounds.timeline(facts, call, lambda _number: "")
            timeline = tuple(rows(whole, wanted.start, end, row_secs=row, width=SIDE_WIDTH))
            address = sounds.clip(clip) if clip is not None else ""
        if turn is None:
            return Side(run.name, None, timeline, address, wanted.start, clip is None)
        scored = turns_of(call).get(turn.number, {})
        view = turn_view(turn, scored, anchor="", scale_secs=self._scale)
        heard = replace(view, clip=address, clip_start=wanted.start, left_out=clip is None)
        return Side(run.name, heard, timeline)

    def _voices(self, side: int, file: str) -> CallAudio | None:
        """Both voices of a call; the last two calls are cached."""
        if (side, file) not in self._sounds:
            if len(self._sounds) > 1:
                self._sounds.pop(next(iter(self._sounds)))
            try:
                self._sounds[side, file] = CallAudio.from_recording(
                    self._runs[side].recording(file)
                )
            except RecordingError:
                self._sounds[side, file] = None
        return self._sounds[side, file]

    def _groups(
        self, ordered: Sequence[Changed], turns: Mapping[int, ChangedTurn]
    ) -> Iterator[Group]:
        for weight, (anchor, title, _) in enumerate(GROUPS):
            members = [change for change in ordered if _weight(change) == weight]
            if members:
                yield Group(
                    anchor,
                    title,
                    tuple(turns[id(change)] for change in members if id(change) in turns),
                    tuple(one_line(change) for change in members if id(change) not in turns),
                )

    def _left_out(self) -> str:
        clips = self._selection.left_out
        if not clips:
            return ""
        return (
            f"{counted(len(clips), 'clip')} of changed turns left out to keep this file small; a "
            "larger --audio-mb includes them."
        )


def _weight(change: Changed) -> int:
    """The index of a changed turn's group; beyond the last one if only its latency changed."""
    if change.a is None or change.b is None:
        return GROUPS.index(ONLY)
    for weight, (_, _, fields) in enumerate(GROUPS):
        if any(field in change.changes for field in fields):
            return weight
    return len(GROUPS)


def _stages(runs: Sequence[ScoredRun]) -> list[tuple[str, str, str, bool]]:
    """Stages and settings of both runs: name, both values, and whether they differ."""
    both = [dict(stages(run)) for run in runs]
    names = dict.fromkeys(name for run_stages in both for name in run_stages if name != "speed")
    return [
        (
            name,
            *(run_stages.get(name, "as recorded") for run_stages in both),
            both[0].get(name) != both[1].get(name),
        )  # type: ignore[misc]
        for name in names
    ]
