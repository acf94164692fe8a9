"""The report of two runs of the same calls: what changed, with both to see and to hear."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from conversation.wording import counted
from evals.report import figures
from evals.report.call import Sounds, TurnView, turn_clip, turn_view, turns_of
from evals.report.call_timeline_chart import rows
from evals.report.changes import SEEN_BELOW, Difference, difference, faster, line, told
from evals.report.clips import Clip, Selection, select
from evals.report.page import HEAD, Progress, stages
from evals.report.run import Scored
from evals.report.template import render
from evals.report.waterfall import scale_of, steps
from evals.scoring.compare import Changed, Comparison
from evals.scoring.facts import Facts, TurnFacts
from recording.recording import RecordingError

MOST_CHANGED = 120
"""Most changed turns that are shown side by side; the others are listed."""

SIDE_SECS, LEAST_SIDE_SECS, SIDE_WIDTH = 10.0, 6.0, 540
"""A row of a time line that has half the page."""

ONLY = ("only", "Turns of only one run", ())

GROUPS = (
    ("decided", "Decided otherwise", ("decision", "reason", "sections", "confidence")),
    ONLY,
    ("understood", "Understood otherwise", ("question",)),
    ("said", "Said, or heard, otherwise", ("answer", "heard_text", "interrupted")),
)
"""What changed turns are grouped by, the weightiest first: an anchor, a title, and the fields."""


@dataclass(frozen=True, slots=True)
class Side:
    """A changed turn in one of the runs.

    Parameters:
        run: Its name.
        turn: The turn; ``None`` if this run has no such turn.
        staves: Its stretch of the call, or what happened then instead.
        clip: Address of the sound of that; empty where the turn has its own, or there was no room.
        clip_start: Where that begins, in seconds of the call.
        left_out: There was no room for it.
    """

    run: str
    turn: TurnView | None
    staves: tuple[Markup, ...] = ()
    clip: str = ""
    clip_start: float = 0.0
    left_out: bool = False

    @property
    def name(self) -> str:
        """What the sound is of."""
        return "what happened then instead"


@dataclass(frozen=True, slots=True)
class Duel:
    """A changed turn in both.

    Parameters:
        anchor: Where it is in the page.
        title: Which turn of which call.
        changes: What changed, in words.
        sides: The turn in each run.
    """

    anchor: str
    title: str
    changes: tuple[tuple[str, str, str], ...]
    sides: tuple[Side, Side]


@dataclass(frozen=True, slots=True)
class Group:
    """Turns that changed in the same respect.

    Parameters:
        anchor: Where they are in the page.
        title: In which.
        duels: The turns.
        unshown: Those for which there was no room, a line each.
    """

    anchor: str
    title: str
    duels: tuple[Duel, ...]
    unshown: tuple[str, ...]


class PairPage:
    """Makes the page of two runs.

    Parameters:
        runs: The run against which, and the run which is held.
        facts: Of both runs' calls, by the recordings they were replayed from.
        compared: Their comparison.
        audio_bytes: How much its sounds may weigh.
        progress: Told how far it is.
    """

    def __init__(
        self,
        runs: tuple[Scored, Scored],
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
        self._selection = Selection({}, ())
        self._sounds: dict[tuple[int, str], Sounds | None] = {}
        turns = [turn for run in runs for call in run.calls for turn in call.get("turns") or ()]
        self._scale = scale_of([steps(turn) for turn in turns])

    def html(self) -> str:
        """The page."""
        ordered = sorted(self._compared.changed, key=_weight)
        shown = [change for change in ordered if _weight(change) < len(GROUPS)][:MOST_CHANGED]
        self._selection = select(
            (clip for change in shown for clip in self._clips(change)), self._audio_bytes
        )
        duels: dict[int, Duel] = {}
        # A call is read once for all of its turns.
        for done, change in enumerate(sorted(shown, key=lambda change: change.source)):
            self._progress(done, len(shown))
            duels[id(change)] = self._duel(change)
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
            groups=tuple(self._groups(ordered, duels)),
            faster=[faster(change) for change in ordered if _weight(change) == len(GROUPS)],
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

    def _turn(self, one: Changed, side: int) -> TurnFacts | None:
        number = one.b if side else one.a
        facts = self._facts[side].get(one.source)
        if number is None or facts is None:
            return None
        return next((turn for turn in facts.turns if turn.number == number), None)

    def _clips(self, one: Changed) -> Iterator[Clip]:
        return (clip for side in (0, 1) if (clip := self._clip(one, side)) is not None)

    def _clip(self, one: Changed, side: int) -> Clip | None:
        """The stretch of a turn, or the same stretch of a run that has no such turn."""
        facts = self._facts[side].get(one.source)
        if facts is None:
            return None
        turn = self._turn(one, side)
        if turn is not None:
            scored = turns_of(self._call(side, facts)).get(turn.number, {})
            return turn_clip(facts, turn, scored, (side, facts.name, turn.number))
        there = self._clip(one, 1 - side) if self._turn(one, 1 - side) is not None else None
        if there is None:
            return None
        start = facts.replayed(self._facts[1 - side][one.source].recorded(there.start))
        end = min(start + there.secs, facts.seconds)
        return Clip((side, facts.name, -there.place[2]), start, max(start, end))

    def _call(self, side: int, facts: Facts) -> Mapping[str, Any]:
        calls = self._runs[side].calls
        return next((call for call in calls if call["file"] == facts.name), {})

    def _duel(self, one: Changed) -> Duel:
        number = one.a if one.a is not None else one.b
        call = one.source.removesuffix(".mcap")
        longest = max((clip.secs for clip in self._clips(one)), default=SIDE_SECS)
        return Duel(
            anchor=f"d-{call}-{'a' if one.a is not None else 'b'}{number}",
            title=f"{call}, turn {number}",
            changes=tuple(told(one, without=SEEN_BELOW)),
            sides=(self._side(one, 0, longest), self._side(one, 1, longest)),
        )

    def _side(self, one: Changed, side: int, secs: float) -> Side:
        """One side; both show as many seconds, in rows of the same length."""
        run, turn, wanted = self._runs[side], self._turn(one, side), self._clip(one, side)
        facts = self._facts[side].get(one.source)
        if facts is None or wanted is None:
            return Side(run.name, None)
        call = self._call(side, facts)
        sounds = self._voices(side, facts.name)
        staves: tuple[Markup, ...] = ()
        clip, address = self._selection.taken.get(wanted.place), ""
        if sounds is not None:
            secs = max(secs, LEAST_SIDE_SECS)
            row, end = secs / max(1, round(secs / SIDE_SECS)), wanted.start + secs
            course = sounds.course(facts, call, lambda _number: "")
            staves = tuple(rows(course, wanted.start, end, row_secs=row, width=SIDE_WIDTH))
            address = sounds.clip(clip) if clip is not None else ""
        if turn is None:
            return Side(run.name, None, staves, address, wanted.start, clip is None)
        scored = turns_of(call).get(turn.number, {})
        view = turn_view(turn, scored, anchor="", scale_secs=self._scale)
        heard = replace(view, clip=address, clip_start=wanted.start, left_out=clip is None)
        return Side(run.name, heard, staves)

    def _voices(self, side: int, file: str) -> Sounds | None:
        """Both voices of a call, of which the last two are kept."""
        if (side, file) not in self._sounds:
            if len(self._sounds) > 1:
                self._sounds.pop(next(iter(self._sounds)))
            try:
                self._sounds[side, file] = Sounds.from_recording(self._runs[side].recording(file))
            except RecordingError:
                self._sounds[side, file] = None
        return self._sounds[side, file]

    def _groups(self, ordered: Sequence[Changed], duels: Mapping[int, Duel]) -> Iterator[Group]:
        for weight, (anchor, title, _) in enumerate(GROUPS):
            members = [change for change in ordered if _weight(change) == weight]
            if members:
                yield Group(
                    anchor,
                    title,
                    tuple(duels[id(change)] for change in members if id(change) in duels),
                    tuple(line(change) for change in members if id(change) not in duels),
                )

    def _left_out(self) -> str:
        clips = self._selection.left_out
        if not clips:
            return ""
        return (
            f"{counted(len(clips), 'sound')} of changed turns left out to keep this file small; a "
            "larger --audio-mb lets them in."
        )


def _weight(one: Changed) -> int:
    """Which group a changed turn is of; the last is of those that are only faster or slower."""
    if one.a is None or one.b is None:
        return GROUPS.index(ONLY)
    for weight, (_, _, fields) in enumerate(GROUPS):
        if any(field in one.changes for field in fields):
            return weight
    return len(GROUPS)


def _stages(runs: Sequence[Scored]) -> list[tuple[str, str, str, bool]]:
    """What each run was run with: a name, both values, and whether they differ."""
    told = [dict(stages(run)) for run in runs]
    names = dict.fromkeys(name for run_stages in told for name in run_stages if name != "speed")
    return [
        (
            name,
            *(run_stages.get(name, "as recorded") for run_stages in told),
            told[0].get(name) != told[1].get(name),
        )  # type: ignore[misc]
        for name in names
    ]
