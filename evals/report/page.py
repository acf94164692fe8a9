"""The report of one run: every figure and every call, linked to each other."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from markupsafe import Markup

from conversation.wording import NONE, counted, duration
from evals.report import figures as report_figures
from evals.report.call import CallAudio, FigureLink, TurnView, turn_clip, turn_view, turns_of
from evals.report.call_timeline_chart import ROW_SECS, rows
from evals.report.clips import Clip, ClipSelection, select
from evals.report.figures import Location
from evals.report.run import ScoredRun
from evals.report.template import render
from evals.report.truth_editor import (
    DECISION_LABELS,
    KIND_LABELS,
    CallEditor,
    as_json,
    truth_of,
)
from evals.report.waterfall import profile, scale_of, steps
from evals.report.words import clock, dollars, seconds, title
from evals.scoring.facts import Facts, facts_of
from recording.recording import RecordingError

MOST_CALLS = 150
"""Maximum number of calls shown in full; the others are only in the table."""

HEAD = (
    "e2e_latency_p50",
    "e2e_latency_p95",
    "word_error_rate",
    "answer_accuracy",
    "grounding_violations",
)
"""Figures at the top of the page, in addition to those with a target."""

Progress = Callable[[int, int], None]
"""Called with the number of calls done and the total."""


@dataclass(frozen=True, slots=True)
class CallView:
    """One call as the page shows it.

    Parameters:
        anchor: Its anchor in the page.
        title: Its title, or its file's name.
        file: Its file.
        tags: What it is an example of.
        secs: Its length, as text.
        summary: Its turns, as text.
        latency: The median time to the first audible sample.
        cost: The total cost.
        notes: Cautions: what was missing, what differs from the recording, what was left out.
        timeline: Its time line, row by row.
        turns: Its turns.
        behind: Times outside turns that contribute to a figure, with the figure.
        shown: Whether it is shown in full.
        editor: The editor of its truth, where one is wanted.
    """

    anchor: str
    title: str
    file: str
    tags: tuple[str, ...]
    secs: str
    summary: str
    latency: str
    cost: str
    notes: tuple[str, ...] = ()
    timeline: tuple[Markup, ...] = ()
    turns: tuple[TurnView, ...] = ()
    behind: tuple[tuple[str, FigureLink], ...] = ()
    shown: bool = False
    editor: CallEditor | None = None


@dataclass(slots=True)
class Index:
    """The figures that each turn, and each moment outside turns, contributes to.

    Parameters:
        turns: Figures by call file and turn number.
        moments: Times and figures outside turns, by call file.
        order: Call file and turn number of all evidence, most important first.
    """

    turns: dict[tuple[str, int], dict[str, FigureLink]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    moments: dict[str, list[tuple[float, FigureLink]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    order: list[tuple[str, int | None]] = field(default_factory=list)

    @classmethod
    def from_run(cls, run: ScoredRun) -> "Index":
        """Index the evidence of a run."""
        index = cls()
        for name, entry in report_figures.ranked_evidence(run):
            file, turn = str(entry["call"]), entry.get("turn")
            index.order.append((file, turn))
            # Every turn contributes to a median.
            if name.endswith("_p50"):
                continue
            metric = run.metrics[name]
            value = report_figures.formatted(entry.get("value"), str(metric.get("unit") or ""))
            against = report_figures.against(metric, entry.get("value"))
            behind = FigureLink(f"m-{name}", title(name), value, against)
            if turn:
                index.turns[file, int(turn)].setdefault(name, behind)
            else:
                index.moments[file].append((float(entry.get("at") or 0.0), behind))
        return index


class RunPage:
    """Makes the report of one run.

    Parameters:
        run: The run.
        audio_bytes: Maximum total size of audio clips.
        progress: Called with the progress.
        edit_truth: Whether the calls' truth can be corrected in it.
    """

    def __init__(
        self, run: ScoredRun, *, audio_bytes: float, progress: Progress, edit_truth: bool = False
    ) -> None:
        self._run = run
        self._edit_truth = edit_truth
        self._audio_bytes = audio_bytes
        self._progress = progress
        self._index = Index.from_run(run)
        self._facts: dict[str, Facts] = {}
        self._troubles = {
            str(unread.get("file")): str(unread.get("error"))
            for unread in run.scores.get("unreadable", ())
        }
        self._anchors = {call["file"]: f"c{at}" for at, call in enumerate(run.calls, 1)}
        self._turns = [turn for call in run.calls for turn in call.get("turns") or ()]
        self._scale = scale_of([steps(turn) for turn in self._turns])
        self._selection = ClipSelection({}, ())
        self._full = self._ranked()[:MOST_CALLS]
        self._done = 0

    def html(self) -> str:
        """Render the page."""
        run = self._run
        self._read()
        self._selection = select(self._clips(), self._audio_bytes)
        calls = [self._call(call) for call in run.calls]
        figures = report_figures.figures(run, self._linker(calls))
        targets = [figure for figure in figures if figure.wanted]
        answered = [turn for turn in self._turns if turn.get("e2e_latency") is not None]
        return render(
            "report.html.j2",
            scripts=("report.js", "truth-editor.js") if self._edit_truth else ("report.js",),
            truth=self._truth() if self._edit_truth else "",
            labels=json.dumps({"kind": KIND_LABELS, "decision": DECISION_LABELS}),
            run=run,
            lead=self._lead(),
            stages=stages(run),
            met=sum(figure.met is True for figure in figures),
            missed=sum(figure.met is False for figure in figures),
            targets=targets if any(figure.met is not None for figure in targets) else [],
            heads=[figure for name in HEAD for figure in figures if figure.name == name],
            families=report_figures.families(figures),
            delays=report_figures.delays([run]),
            profile=profile([steps(turn) for turn in answered], self._scale),
            profile_secs=self._scale,
            reliability=report_figures.calibration([run]),
            tables=report_figures.tables(run),
            calls=calls,
            left_out=tuple(self._left_out(calls)),
        )

    def _truth(self) -> str:
        return as_json([truth_of(call, self._facts.get(call["file"])) for call in self._run.calls])

    def _ranked(self) -> list[str]:
        """The calls' files, those with the most important evidence first."""
        ranked = (*(file for file, _ in self._index.order), *self._anchors)
        return [file for file in dict.fromkeys(ranked) if file in self._anchors]

    def _read(self) -> None:
        for file in self._anchors:
            self._count_step()
            try:
                self._facts[file] = facts_of(self._run.recording(file), name=file)
            except RecordingError as error:
                self._troubles[file] = str(error)
            except (KeyError, TypeError, ValueError) as error:
                self._troubles[file] = f"{file} does not follow docs/recording.md: {error!r}"

    def _count_step(self) -> None:
        self._progress(self._done, len(self._anchors) + len(self._full))
        self._done += 1

    def _clips(self) -> Iterator[Clip]:
        scored = {call["file"]: turns_of(call) for call in self._run.calls}
        for file, number in self._index.order:
            if number and file in self._facts and file in self._full:
                facts = self._facts[file]
                for turn in facts.turns:
                    if turn.number == number:
                        entry = scored[file].get(number, {})
                        yield turn_clip(facts, turn, entry, (0, file, number))

    def _call(self, call: Mapping[str, Any]) -> CallView:
        file = call["file"]
        turns: Sequence[Mapping[str, Any]] = call.get("turns") or ()
        waits = [turn["e2e_latency"] for turn in turns if turn.get("e2e_latency") is not None]
        facts = self._facts.get(file)
        view = CallView(
            anchor=self._anchors[file],
            title=str(call.get("title") or file.removesuffix(".mcap")),
            file=file,
            tags=tuple(call.get("tags") or ()),
            secs=NONE if facts is None else clock(facts.seconds),
            summary=summary(turns),
            latency=seconds(median(waits) if waits else None),
            cost=NONE if facts is None else dollars(facts.micros),
            notes=tuple(self._notes(file, facts)),
        )
        if facts is None or file not in self._full:
            return view
        self._count_step()
        return self._filled(view, call, facts)

    def _filled(self, view: CallView, call: Mapping[str, Any], facts: Facts) -> CallView:
        """Add a call's time line and turns to its view."""
        file = view.file
        sounds = CallAudio.from_recording(self._run.recording(file))
        timeline = sounds.timeline(facts, call, lambda number: f"#{view.anchor}-t{number}")
        scored = turns_of(call)
        left_out = {clip.place for clip in self._selection.left_out}
        turns: list[TurnView] = []
        for turn in facts.turns:
            shown = turn_view(
                turn,
                scored.get(turn.number, {}),
                anchor=f"{view.anchor}-t{turn.number}",
                scale_secs=self._scale,
                behind=list(self._index.turns.get((file, turn.number), {}).values()),
            )
            clip = self._selection.included.get((0, file, turn.number))
            turns.append(
                replace(shown, left_out=(0, file, turn.number) in left_out)
                if clip is None
                else replace(shown, clip=sounds.clip(clip), clip_start=clip.start)
            )
        editor = None
        if self._edit_truth:
            whole = Clip((0, file, 0), 0.0, facts.seconds)
            editor = CallEditor(file, sounds.clip(whole), drafted=not call.get("utterances"))
        silent = () if any(sounds.agent) else (WITHOUT_VOICE,)
        moments = sorted(self._index.moments.get(file, ()), key=lambda moment: moment[0])
        return replace(
            view,
            notes=(*view.notes, *silent),
            timeline=tuple(rows(timeline)),
            turns=tuple(turns),
            behind=tuple((clock(at) if at else "", behind) for at, behind in moments),
            shown=True,
            editor=editor,
        )

    def _notes(self, file: str, facts: Facts | None) -> Iterator[str]:
        if file in self._troubles:
            yield self._troubles[file]
        if facts is not None:
            yield from notes(self._run, file, facts)

    def _linker(self, calls: Sequence[CallView]) -> Callable[[Location], str]:
        shown = {view.file for view in calls if view.shown}
        numbers = {
            file: {turn.number for turn in call_facts.turns}
            for file, call_facts in self._facts.items()
        }

        def link(target: Location) -> str:
            file, turn, at = target
            if file not in self._anchors:
                return ""
            if file not in shown:
                return f"#{self._anchors[file]}"
            if turn in numbers[file]:
                return f"#{self._anchors[file]}-t{turn}"
            last = max(0.0, self._facts[file].seconds - 0.001)
            return f"#{self._anchors[file]}-s{int(min(max(0.0, at), last) // ROW_SECS)}"

        return link

    def _lead(self) -> str:
        secs = sum(facts.seconds for facts in self._facts.values())
        calls, turns = counted(len(self._run.calls), "call"), counted(len(self._turns), "turn")
        return f"{calls}, {turns}, {duration(secs)} of conversation."

    def _left_out(self, calls: Sequence[CallView]) -> Iterator[str]:
        clips = self._selection.left_out
        if clips:
            secs = sum(clip.secs for clip in clips)
            yield (
                f"The audio of {counted(len(clips), 'turn')} behind a figure ({duration(secs)}) "
                "was left out to keep this file small; a larger --audio-mb includes it."
            )
        unreadable = sorted(set(self._troubles) - set(self._anchors))
        yield from (f"{file}: {self._troubles[file]}" for file in unreadable)
        for refused in self._run.replay.get("refused") or ():
            name = Path(str(refused.get("source"))).name
            yield f"{name} was not replayed: {refused.get('error')}"
        hidden = sum(not view.shown and view.file in self._facts for view in calls)
        if hidden:
            yield (
                f"{counted(hidden, 'call')} of {len(calls)} are only in the table: at most "
                f"{MOST_CALLS} are shown in full, those behind the figures first."
            )


WITHOUT_VOICE = (
    "The agent's voice is not in this recording; its sentences are where they were played."
)


def stages(run: ScoredRun) -> list[tuple[str, str]]:
    """A replay's stages and settings, as ``(name, value)``; empty for plain recordings."""
    options: Mapping[str, Any] = run.replay.get("options") or {}
    listed = [(str(name), str(vendor)) for name, vendor in (options.get("stages") or {}).items()]
    listed += [(name, str(options[name])) for name in ("from", "timing") if options.get(name)]
    listed += [(str(name), str(value)) for name, value in (options.get("set") or {}).items()]
    if run.replay.get("viva"):
        listed.append(("Viva", str(run.replay["viva"])))
    if run.replay.get("speed_x_realtime"):
        listed.append(("speed", f"{run.replay['speed_x_realtime']:.0f} x real time per core"))
    return listed


def summary(turns: Sequence[Mapping[str, Any]]) -> str:
    """Summarize a call's turns, such as ``2 answered, 1 handed to a person``."""
    kept = [turn for turn in turns if not turn.get("withdrawn")]
    counts = (
        (sum(turn.get("decision") == "respond" for turn in kept), "answered"),
        (sum(turn.get("decision") == "escalate" for turn in kept), "handed to a person"),
        (sum(bool(turn.get("interrupted")) for turn in kept), "interrupted"),
        (len(turns) - len(kept), "withdrawn"),
    )
    return ", ".join(f"{number} {what}" for number, what in counts if number) or "no turns"


def notes(run: ScoredRun, file: str, facts: Facts) -> Iterator[str]:
    """Cautions about a call: what was missing, errors, differences from the recording."""
    for stage, what in facts.missing:
        yield f"Not in the recording: {stage}: {what}"
    for error in facts.errors:
        yield f"Error: {error}"
    for difference in run.replayed(file).get("differs") or ():
        yield (
            f"Differs from the recording: {difference.get('what')}: {difference.get('recorded')} "
            f"when recorded, {difference.get('replayed')} when replayed."
        )
