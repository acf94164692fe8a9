"""The report of two runs of the same calls: what changed, with both to see and to hear."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from accounts.report_words import clean, counted
from evals import report_figures
from evals import report_words as words
from evals.clips import Clip, Selection, select
from evals.compare import Changed, Comparison
from evals.facts import Facts, Turn
from evals.plots import difference_strip
from evals.report_call import Sounds, TurnView, turn_clip, turn_view, turns_of
from evals.report_page import HEAD, Progress, stages
from evals.report_run import Scored
from evals.report_template import render
from evals.stave import rows
from evals.waterfall import scale_of, steps
from recording.recording import RecordingError

MOST_CHANGED = 120
"""Most changed turns that are shown side by side; the others are listed."""

SIDE_SECS, LEAST_SIDE_SECS, SIDE_WIDTH = 10.0, 6.0, 540
"""A row of a time line that has half the page."""

LIKELY_P = 0.05
"""A difference that is less likely by chance is called one."""

SEEN_BELOW = ("answer", "heard_text")
"""Fields that are to be seen side by side anyway."""

GROUPS = (
    ("decided", "Decided otherwise", ("decision", "reason", "sections", "confidence")),
    ("understood", "Understood otherwise", ("question",)),
    ("said", "Said, or heard, otherwise", ("answer", "heard_text", "interrupted")),
)
"""What changed turns are grouped by, the weightiest first: an anchor, a title, and the fields."""

NAMES = {
    "question": "understood",
    "heard_text": "heard",
    "e2e_latency": "to the first sound",
}
"""How fields of a turn's record are called, where not by their own names."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric of both runs.

    Parameters:
        anchor: Where it is in the page.
        title: Its name in words.
        before: In the first run.
        now: In the second.
        difference: Of the cases that both have.
        interval: Its 95 % interval; empty without one.
        p: The test's, in words; empty without one.
        test: Which test.
        n: Pairs.
        strip: The difference as a picture.
        verdict: ``better``, ``worse``, or empty where chance may explain it.
    """

    anchor: str
    title: str
    before: str
    now: str
    difference: str
    interval: str
    p: str
    test: str
    n: int
    strip: Markup
    verdict: str


@dataclass(frozen=True, slots=True)
class Side:
    """A changed turn in one of the runs.

    Parameters:
        run: Its name.
        turn: The turn; ``None`` if this run has no such turn.
        staves: Its stretch of the call.
    """

    run: str
    turn: TurnView | None
    staves: tuple[Markup, ...] = ()


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
        shown = [one for one in ordered if _weight(one) < len(GROUPS)][:MOST_CHANGED]
        self._selection = select(
            (clip for one in shown for clip in self._clips(one)), self._audio_bytes
        )
        duels: dict[int, Duel] = {}
        # A call is read once for all of its turns.
        for done, one in enumerate(sorted(shown, key=lambda one: one.source)):
            self._progress(done, len(shown))
            duels[id(one)] = self._duel(one)
        self._progress(len(shown), len(shown))
        differences = self._differences()
        runs = list(self._runs)
        return render(
            "pair.html.j2",
            before=runs[0],
            now=runs[1],
            lead=self._lead(),
            stages=_stages(runs),
            heads=[one for name, one in differences.items() if self._is_head(name)],
            differences=list(differences.values()),
            delays=report_figures.delays(runs),
            reliability=report_figures.calibration(runs),
            bins=[
                (run.name, table)
                for run in runs
                for table in report_figures.tables(run)
                if table.title == "Reliability"
            ],
            groups=tuple(self._groups(ordered, duels)),
            faster=[_faster(one) for one in ordered if _weight(one) == len(GROUPS)],
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
            name: _difference(name, before.metrics[name], now.metrics[name], found)
            for name, found in self._compared.metrics.items()
            if name in before.metrics and name in now.metrics
        }

    def _turn(self, one: Changed, side: int) -> Turn | None:
        number = one.b if side else one.a
        facts = self._facts[side].get(one.source)
        if number is None or facts is None:
            return None
        return next((turn for turn in facts.turns if turn.number == number), None)

    def _clips(self, one: Changed) -> Iterator[Clip]:
        for side in (0, 1):
            turn = self._turn(one, side)
            if turn is not None:
                yield self._clip(one, side, turn)

    def _clip(self, one: Changed, side: int, turn: Turn) -> Clip:
        facts = self._facts[side][one.source]
        scored = turns_of(self._call(side, facts)).get(turn.number, {})
        return turn_clip(facts, turn, scored, (side, facts.name, turn.number))

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
            changes=tuple(_told(one, without=SEEN_BELOW)),
            sides=(self._side(one, 0, longest), self._side(one, 1, longest)),
        )

    def _side(self, one: Changed, side: int, secs: float) -> Side:
        """One side; both show as many seconds, in rows of the same length."""
        run = self._runs[side]
        turn = self._turn(one, side)
        if turn is None:
            return Side(run.name, None)
        facts = self._facts[side][one.source]
        call = self._call(side, facts)
        scored = turns_of(call).get(turn.number, {})
        view = turn_view(turn, scored, anchor="", scale_secs=self._scale)
        wanted = self._clip(one, side, turn)
        sounds = self._voices(side, facts.name)
        if sounds is None:
            return Side(run.name, view)
        course = sounds.course(facts, call, lambda _number: "")
        secs = max(secs, LEAST_SIDE_SECS)
        row = secs / max(1, round(secs / SIDE_SECS))
        staves = rows(course, wanted.start, wanted.start + secs, row_secs=row, width=SIDE_WIDTH)
        clip = self._selection.taken.get(wanted.place)
        view = (
            replace(view, left_out=True)
            if clip is None
            else replace(view, clip=sounds.clip(clip), clip_start=clip.start)
        )
        return Side(run.name, view, tuple(staves))

    def _voices(self, side: int, file: str) -> Sounds | None:
        """Both voices of a call, of which the last two are kept."""
        if (side, file) not in self._sounds:
            if len(self._sounds) > 1:
                self._sounds.pop(next(iter(self._sounds)))
            try:
                self._sounds[side, file] = Sounds.of(self._runs[side].recording(file))
            except RecordingError:
                self._sounds[side, file] = None
        return self._sounds[side, file]

    def _groups(self, ordered: Sequence[Changed], duels: Mapping[int, Duel]) -> Iterator[Group]:
        for weight, (anchor, title, _) in enumerate(GROUPS):
            members = [one for one in ordered if _weight(one) == weight]
            if members:
                yield Group(
                    anchor,
                    title,
                    tuple(duels[id(one)] for one in members if id(one) in duels),
                    tuple(_line(one) for one in members if id(one) not in duels),
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
        return 0
    for weight, (_, _, fields) in enumerate(GROUPS):
        if any(field in one.changes for field in fields):
            return weight
    return len(GROUPS)


def _told(one: Changed, without: Sequence[str] = ()) -> Iterator[tuple[str, str, str]]:
    for name, (before, after) in one.changes.items():
        if name in without:
            continue
        yield NAMES.get(name, name.replace("_", " ")), _shown(before), _shown(after)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return words.seconds(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return "none" if value in (None, "") else clean(str(value))


def _line(one: Changed) -> str:
    changes = "; ".join(f"{name}: {before} → {after}" for name, before, after in _told(one))
    return f"{one.source.removesuffix('.mcap')}, turn {one.a or one.b}: {changes or 'only in one'}"


def _faster(one: Changed) -> tuple[str, str, str, str, str]:
    before, after = one.changes["e2e_latency"]
    moved = None if before is None or after is None else after - before
    call = one.source.removesuffix(".mcap")
    return (
        f"{call}, turn {one.a}",
        clean(one.question),
        words.seconds(before),
        words.seconds(after),
        words.signed(moved, "s"),
    )


def _difference(
    name: str, before: Mapping[str, Any], now: Mapping[str, Any], found: Any
) -> Difference:
    unit = str(now.get("unit") or "")
    n = int(found.n)
    moved = found.difference if n else None
    bounds = found.ci95
    reach = max((abs(each) for each in (moved or 0.0, *(bounds or ()))), default=0.0) * 1.1
    beyond = bounds is not None and (bounds[0] > 0 or bounds[1] < 0)
    certain = beyond and found.p is not None and found.p < LIKELY_P
    gained = {"higher": 1, "lower": -1}.get(str(now.get("better")), 0) * (moved or 0.0)
    return Difference(
        anchor=f"m-{name}",
        title=words.title(name),
        before=words.figure(before.get("value"), unit),
        now=words.figure(now.get("value"), unit),
        difference=words.signed(moved, unit),
        interval=words.interval(bounds, unit, sign=True),
        p=words.probability(found.p),
        test=found.test,
        n=n,
        strip=difference_strip(moved, bounds, reach),
        verdict="" if not certain or not gained else "better" if gained > 0 else "worse",
    )


def _stages(runs: Sequence[Scored]) -> list[tuple[str, str, str, bool]]:
    """What each run was run with: a name, both values, and whether they differ."""
    told = [dict(stages(run)) for run in runs]
    names = dict.fromkeys(name for each in told for name in each if name != "speed")
    return [
        (
            name,
            *(each.get(name, "as recorded") for each in told),
            told[0].get(name) != told[1].get(name),
        )  # type: ignore[misc]
        for name in names
    ]
