"""The commands ``viva score``, ``viva compare`` and ``viva gate``."""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from evals.commands.report import Html, check_installed, written
from terminal import errors, fail, output, print_error

if TYPE_CHECKING:
    from evals.scoring.metrics.metric import Metric
    from evals.scoring.score import Scores
    from knowledge.loading.document import Document

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_TESTS: Mapping[str, str] = {"McNemar, exact": "M", "paired permutation": "P"}
"""Short names of tests in a table."""

VERDICTS_FILE = "verdicts.csv"
"""The judge's verdicts, and people's, in a run's folder."""

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="A run of viva replay, or a folder of recordings.")
]
OfTruth = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The ground truth; by default DIR/truth.toml, or that of the corpus that ships for "
        "the calls it names.",
    ),
]
OfDocument = Annotated[
    Path | None,
    typer.Option(help="The calls' document, to check answers against again [KNOWLEDGE]."),
]

Rules = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Rules of viva gate: their bounds are the targets; by default DIR/gates.toml, or "
        "those of the corpus that ships.",
    ),
]


@app.command(
    epilog="""\b
Examples:
  viva score out
  viva score out --truth truth.toml --json | jq '.metrics.stop_time'
  BRAIN_BASE_URL=http://127.0.0.1:11434/v1 BRAIN_MODEL=qwen3 viva score out --judge openai"""
)
def score(
    folder: Folder,
    *,
    truth: OfTruth = None,
    knowledge: OfDocument = None,
    judge: Annotated[
        str,
        typer.Option(
            metavar="VENDOR",
            help="Also have a language model judge the answers: openai, for any OpenAI-compatible "
            "endpoint [BRAIN_BASE_URL, BRAIN_MODEL, BRAIN_API_KEY], or claude [ANTHROPIC_API_KEY].",
        ),
    ] = "",
    judge_model: Annotated[
        str, typer.Option(metavar="MODEL", help="Its model [BRAIN_MODEL, CLAUDE_MODEL].")
    ] = "",
    criteria: Annotated[
        str, typer.Option(metavar="NAMES", help="What it judges, with --judge.")
    ] = "faithful,answers,concise,tone",
    rules: Rules = None,
    html: Html = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what scores.json holds.")] = False,
) -> None:
    """Score replayed or recorded calls, and write DIR/scores.json.

    docs/metrics/ defines every metric; those that need ground truth have no value without it.
    """
    check_installed()
    from evals.scoring.score import SCORES_FILE, write_scores

    scores = _scored(folder, truth, knowledge)
    notes: list[str] = []
    if judge:
        scores, notes = _judged(
            scores, folder, knowledge, vendor=judge, model=judge_model, criteria=criteria
        )
    path = folder / SCORES_FILE
    plain = _with_targets(scores.as_dict(), rules or _beside(folder))
    try:
        write_scores(plain, path)
    except OSError as error:
        raise fail(f"{path} cannot be written: {error.strerror or error}.") from None
    if html is not None:
        written([folder], html)
    for call in scores.run.unreadable:
        print_error(f"{call.file}: {call.error}")
    if as_json:
        typer.echo(json.dumps(plain, indent=1, ensure_ascii=False))
        return
    _print_scores(plain)
    for note in notes:
        typer.echo(note)
    typer.echo(f"Written to {path}.")


@app.command(
    epilog="""\b
Example:
  viva compare before after --json | jq '.changed'"""
)
def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="A run.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another run of the same calls.")],
    *,
    truth: OfTruth = None,
    knowledge: OfDocument = None,
    html: Html = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Compare two runs of the same calls, turn by turn and metric by metric.

    Calls and turns of only one run are listed, and left out of the metrics.
    """
    check_installed()
    from evals.scoring.compare import compare_runs, describe

    scores = _scored(a, truth, knowledge), _scored(b, truth, knowledge)
    compared = compare_runs(*scores)
    if html is not None:
        written([a, b], html, scores=scores)
    if as_json:
        typer.echo(json.dumps(compared.as_dict(), indent=1, ensure_ascii=False))
        return
    for name, only in ((compared.a, compared.only_a), (compared.b, compared.only_b)):
        if only:
            print_error(f"only in {name}: {', '.join(only)}")
    for line in describe(compared.changed):
        typer.echo(line)
    typer.echo(
        f"{len(compared.changed)} turns differ; {compared.turns} turns of {compared.calls} calls "
        "are in both."
    )
    _print_comparison(compared.as_dict(), scores[0].metrics)


@app.command(
    epilog="""\b
Example:
  viva score out && viva gate out --rules evals/corpus/gates.toml"""
)
def gate(
    folder: Folder,
    *,
    rules: Annotated[Path, typer.Option(metavar="FILE", help="The rules, in TOML.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print every finding as JSON.")] = False,
) -> None:
    """Check a scored run against rules.

    The exit status is 1 if a rule is broken, 2 if the rules or the scores cannot be used.
    """
    from dataclasses import asdict

    check_installed()
    from evals.scoring.gate import GateError, check, load_rules, load_scores
    from evals.scoring.score import SCORES_FILE

    try:
        findings = check(load_scores(folder / SCORES_FILE), load_rules(rules))
    except GateError as error:
        raise fail(str(error)) from None
    broken = [finding for finding in findings if not finding.kept]
    if as_json:
        typer.echo(
            json.dumps([asdict(finding) for finding in findings], indent=1, ensure_ascii=False)
        )
    else:
        if broken:
            _print_table(
                ("metric", "must be", "is"),
                ((finding.metric, finding.wanted, finding.found) for finding in broken),
            )
        kept = len(findings) - len(broken)
        typer.echo(f"{kept} of {len(findings)} rules are kept.")
    if broken:
        raise typer.Exit(1)


def _beside(folder: Path) -> Path | None:
    """The rules that lie in a run's folder."""
    rules = folder / "gates.toml"
    return rules if rules.is_file() else None


def _with_targets(scores: dict[str, Any], rules: Path | None) -> dict[str, Any]:
    from evals.scoring.gate import GateError, load_rules, with_targets

    if rules is None:
        return scores
    try:
        return with_targets(scores, load_rules(rules))
    except GateError as error:
        raise fail(str(error)) from None


def _scored(folder: Path, truth: Path | None, knowledge: Path | None) -> "Scores":
    from evals.scoring.calls import Run, RunError
    from evals.scoring.score import score as score_run
    from evals.scoring.truth import Truth, TruthError

    documents = _documents(knowledge)
    try:
        known = Truth.for_folder(folder, truth)
        with Progress(console=errors(), transient=True) as bar:
            reading = bar.add_task(f"reading {folder}", total=None)

            def progress(done: int, of: int) -> None:
                bar.update(reading, completed=done, total=of)

            run = Run.read(folder, progress=progress)
            bar.update(reading, description=f"scoring {folder}", total=None)
            scores = score_run(run, known, documents)
    except (RunError, TruthError) as error:
        raise fail(str(error)) from None
    return scores


def _judged(
    scores: "Scores",
    folder: Path,
    knowledge: Path | None,
    *,
    vendor: str,
    model: str,
    criteria: str,
) -> "tuple[Scores, list[str]]":
    """Have a judge rule on a run; returns the scores, and what it cost and how far it agrees."""
    from evals.judge.agreement import describe_agreement
    from evals.judge.judge import CRITERIA, JudgeError, ModelJudge
    from evals.judge.vendors import describe_cost, judge_of
    from evals.judge.verdicts import agreements, write
    from evals.scoring.metrics.judge import Judgement, measure
    from ledger.money.prices import PriceError
    from settings import Settings, SettingsError

    names = tuple(filter(None, (name.strip() for name in criteria.split(","))))
    if unknown := sorted(set(names) - set(CRITERIA)):
        raise fail(f"--criteria has {unknown[0]!r}; allowed: {', '.join(CRITERIA)}.")

    async def ask(judge: ModelJudge) -> Judgement:
        with Progress(console=errors(), transient=True) as bar:
            task = bar.add_task(f"asking {judge.name}", total=None)

            def progress(done: int, of: int) -> None:
                bar.update(task, completed=done, total=of)

            try:
                return await measure(scores.calls, _documents(knowledge), judge, names, progress)
            finally:
                await judge.close()

    verdicts = folder / VERDICTS_FILE
    try:
        settings = Settings.load()
        judge = judge_of(vendor, settings, model=model)
        judgement = asyncio.run(ask(judge))
        known = write(judgement.rulings, verdicts, {})
        notes = [describe_cost(judge, settings), f"The verdicts are in {verdicts}."]
    except OSError as error:
        raise fail(f"{verdicts} cannot be written: {error.strerror or error}.") from None
    except (JudgeError, SettingsError, PriceError) as error:
        raise fail(str(error)) from None
    if known:
        notes += map(describe_agreement, agreements(judgement.rulings, known))
    for metric in judgement.metrics:
        scores = scores.beside(metric)
    return scores.ruled(judgement.ruled), notes


def _documents(knowledge: Path | None) -> "list[Document]":
    """The named document, or that of the settings, and the bundled one."""
    from knowledge.loading.document import DocumentError, load
    from settings import Settings, SettingsError

    try:
        named = knowledge or Settings.load().knowledge
        return [load(None)] if named is None else [load(named), load(None)]
    except (DocumentError, SettingsError) as error:
        raise fail(str(error)) from None


def _print_scores(scores: Mapping[str, Any]) -> None:
    rows: list[tuple[str, ...]] = []
    notes: list[str] = []
    without: dict[str, list[str]] = {}
    for name, metric in scores["metrics"].items():
        if metric["value"] is None:
            without.setdefault(metric["note"], []).append(name)
            continue
        interval = _interval(metric["ci95"], "{:.3g}" if metric["unit"] == "usd" else "{:.3f}")
        value = _figure(metric["value"], metric["unit"])
        rows.append((name, value, interval, str(metric["n"]), _target(metric)))
        if metric["note"]:
            notes.append(f"{name}: {metric['note']}.")
    _print_table(("metric", "value", "95 % interval", "n", "target"), rows)
    for note in notes:
        typer.echo(note)
    for note, names in without.items():
        typer.echo(f"No value, {note}: {', '.join(names)}.")
    typer.echo(f"{scores['n_calls']} calls, {scores['n_turns']} turns.")


def _print_comparison(compared: Mapping[str, Any], metrics: "Mapping[str, Metric]") -> None:
    rows = []
    tests: dict[str, str] = {}
    for name, difference in compared["metrics"].items():
        if not difference["n"]:
            continue
        plain = ".2g" if metrics[name].unit == "usd" else ".3f"
        interval = _interval(difference["ci95"], f"{{:+{plain}}}")
        p = "" if difference["p"] is None else f"{difference['p']:.2g}"
        test = difference["test"]
        tests.setdefault(_TESTS.get(test, test), test)
        figures = (
            f"{difference['a']:{plain}}",
            f"{difference['b']:{plain}}",
            f"{difference['difference']:+{plain}}",
        )
        p = f"{p} {_TESTS.get(test, test)}".strip()
        rows.append((name, *figures, interval, p, str(difference["n"])))
    _print_table(("metric", "A", "B", "B - A", "95 % interval", "p", "n"), rows)
    typer.echo(f"A is {compared['a']}, B is {compared['b']}.")
    if told := "; ".join(f"{short}: {test}" for short, test in tests.items() if short != test):
        typer.echo(f"p by {told}.")


def _target(metric: Mapping[str, Any]) -> str:
    value, target = metric["value"], metric["target"]
    if target is None:
        return ""
    above = metric["better"] == "higher"
    met = value >= target if above else value <= target
    return f"{'≥' if above else '≤'} {target:g}{'' if met else ' missed'}"


def _interval(ends: Sequence[float] | None, form: str) -> str:
    return " to ".join(form.format(end) for end in ends or ())


def _figure(value: float, unit: str) -> str:
    match unit:
        case "s":
            return f"{value:.3f} s"
        case "usd":
            return f"${value:.6f}"
        case _:
            return f"{value:.3f}"


def _print_table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    table = Table(box=None, pad_edge=False)
    for at, heading in enumerate(headings):
        # A name is copied into rules and commands: it stays whole.
        table.add_column(heading, overflow="fold", no_wrap=at == 0)
    for row in rows:
        # Callers' words must not act as markup or terminal control sequences.
        table.add_row(*(Text("".join(c if c.isprintable() else " " for c in cell)) for cell in row))
    output(highlight=True).print(table)
