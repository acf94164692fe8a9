"""The commands ``viva ask`` and ``viva eval``: a document is asked in writing."""

import asyncio
import json
import signal
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from terminal import errors, fail, output, print_error

if TYPE_CHECKING:
    from evals.judge.judge import ModelJudge
    from evals.text.questions import Scenario
    from evals.text.run import Outcome
    from knowledge.loading.document import Document
    from settings import Settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_console = output()
_terminal = errors()

OfDocument = Annotated[
    Path | None,
    typer.Option(
        "--document",
        metavar="FILE",
        help="The document, Markdown or JSON Resume; by default that of the settings [KNOWLEDGE], "
        "or the bundled CV.",
    ),
]
OfBrain = Annotated[
    str, typer.Option("--brain", metavar="VENDOR", help="Who answers; see `viva vendors` [BRAIN].")
]


@app.command(
    epilog="""\b
Examples:
  viva ask "Which languages did she design?"
  viva ask "When do you open on Saturday?" --document menu.md
  viva ask "Where did she study?" "And when was that?" --brain claude"""
)
def ask(
    questions: Annotated[
        list[str], typer.Argument(metavar="QUESTION…", help="What a caller would say, in turn.")
    ],
    *,
    document: OfDocument = None,
    brain: OfBrain = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the replies as JSON.")] = False,
) -> None:
    """Ask a document in writing: everything of a call but its sound.

    The exit status is 0 if the brain replied, 1 if it failed, 2 if it could not be asked.
    """
    from evals.text.session import viva_session

    settings = _settings(brain)
    read = _load(document or settings.knowledge)

    async def ask_all() -> list[Any]:
        async with viva_session(read, settings=settings) as session:
            return [await session.ask(question) for question in questions]

    replies = _run(ask_all())
    if as_json:
        plain = [reply.as_dict() for reply in replies]
        typer.echo(json.dumps(plain, indent=1, ensure_ascii=False))
    else:
        for reply in replies:
            _print(reply.text)
            _print(reply.grounds + (f" {reply.fault}" if reply.fault else ""), style="dim")
    raise typer.Exit(1 if any(reply.fault for reply in replies) else 0)


@app.command(
    "eval",
    epilog="""\b
Example of a file:
  document = "ada.md"
  [[questions]]
  ask = "Where did she study?"
  says = ["Porto"]
  sections = ["education"]
  [[questions]]
  ask = "What does she earn?"
  decision = "escalate"
  [[questions]]
  ask = "What is she like to work with?"
  expect = "names what colleagues said, and does not flatter"
Examples:
  viva eval questions.toml --document cv.md
  viva eval ada.toml bob.toml eve.toml --junit report.xml --html report.html
  viva eval scenarios.yaml --brain claude --judge claude --criteria faithful,concise
docs/evaluating.md describes the files.""",
)
def evaluate(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE…", help="Questions and what is expected: TOML, or YAML as pipecat eval's."
        ),
    ],
    *,
    document: OfDocument = None,
    brain: OfBrain = "",
    judge: Annotated[
        str,
        typer.Option(metavar="VENDOR", help="Who rules on criteria in words: openai or claude."),
    ] = "",
    judge_model: Annotated[
        str, typer.Option(metavar="MODEL", help="Its model [BRAIN_MODEL, CLAUDE_MODEL].")
    ] = "",
    criteria: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Criteria that every answer must meet, too: faithful, answers, concise, tone.",
        ),
    ] = "",
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Your own verdicts, a CSV that --verdicts wrote with its last column filled in: "
            "the judge's agreement with them is printed.",
        ),
    ] = None,
    verdicts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the judge's verdicts as CSV.")
    ] = None,
    skip_criteria: Annotated[
        bool, typer.Option("--skip-criteria", help="Leave out what needs a judge.")
    ] = False,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write JUnit XML, for CI.")
    ] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all outcomes as JSON.")] = False,
) -> None:
    """Ask files of questions in writing, and hold the replies against what is expected.

    The exit status is 0 if all is as expected, 1 if not, 2 if nothing could be asked.
    """
    from evals.judge.judge import CRITERIA, JudgeError
    from evals.judge.vendors import judge_of
    from evals.judge.verdicts import labels as read_labels
    from evals.text.questions import QuestionsError, load

    names = tuple(filter(None, (name.strip() for name in criteria.split(","))))
    if unknown := sorted(set(names) - set(CRITERIA)):
        raise fail(f"--criteria has {unknown[0]!r}; allowed: {', '.join(CRITERIA)}.")
    if (names or labels or verdicts or judge_model) and not judge:
        raise fail("--criteria, --labels, --verdicts and --judge-model go with --judge.")
    settings = _settings(brain)
    try:
        scenarios = [scenario for file in files for scenario in load(file)]
        asked = [scenario for scenario in scenarios if scenario.needs_judge]
        if asked and not judge and not skip_criteria:
            have = "1 question has" if len(asked) == 1 else f"{len(asked)} questions have"
            raise fail(
                f"{have} a criterion in words, such as {asked[0].name!r}: "
                "--judge openai or --judge claude rules on it, --skip-criteria leaves it out."
            )
        known = read_labels(labels) if labels else {}
        ruling = judge_of(judge, settings, model=judge_model) if judge else None
    except (QuestionsError, JudgeError) as error:
        raise fail(str(error)) from None
    documents = _documents(scenarios, document or settings.knowledge)
    _check_sections(scenarios, documents)
    outcomes = _run(_hold(scenarios, documents, settings, ruling, names))
    notes = _notes(outcomes, settings, ruling, known, verdicts)
    if as_json:
        plain = {"outcomes": [outcome.as_dict() for outcome in outcomes], "notes": notes}
        typer.echo(json.dumps(plain, indent=1, ensure_ascii=False))
    else:
        _print_outcomes(outcomes, notes)
    _write_reports(outcomes, notes, junit=junit, html=html)
    raise typer.Exit(0 if all(outcome.passed for outcome in outcomes) else 1)


async def _hold(
    scenarios: "Sequence[Scenario]",
    documents: "Sequence[Document]",
    settings: "Settings",
    judge: "ModelJudge | None",
    criteria: Sequence[str],
) -> "list[Outcome]":
    """Hold every scenario about its document; the outcomes are in the order of the scenarios."""
    from evals.text.run import TextRun
    from evals.text.session import load_engines
    from ledger.money.prices import PriceError, Prices

    try:
        prices = Prices.for_settings(settings)
    except PriceError as error:
        raise fail(str(error)) from None
    found: dict[int, Outcome] = {}
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        console=_terminal, transient=True,
    )  # fmt: skip
    with bar:
        task = bar.add_task("asking", total=len(scenarios))
        for document in {read.sha256: read for read in documents}.values():
            mine = [at for at, read in enumerate(documents) if read.sha256 == document.sha256]
            bar.update(task, description=f"loading {document.title}")
            engines = await load_engines(document, settings)
            bar.update(task, description=f"asking about {document.title}")
            run = TextRun(engines, prices, judge, criteria)
            try:
                held = await run.hold([scenarios[at] for at in mine], lambda _: bar.advance(task))
            finally:
                await engines.close()
            found |= dict(zip(mine, held, strict=True))
    if judge is not None:
        await judge.close()
    return [found[at] for at in range(len(scenarios))]


def _notes(
    outcomes: "Sequence[Outcome]",
    settings: "Settings",
    judge: "ModelJudge | None",
    labels: "dict[tuple[str, str], bool]",
    verdicts: Path | None,
) -> list[str]:
    """What the brain and the judge cost, and how far the judge agrees with people."""
    from evals.judge.agreement import describe_agreement
    from evals.judge.judge import JudgeError
    from evals.judge.vendors import describe_cost
    from evals.judge.verdicts import Labels, agreements, write

    dollars = sum(outcome.cost_micros for outcome in outcomes) / 1_000_000
    notes = [f"The brain cost ${dollars:.4f}."] if dollars else []
    if judge is None:
        return notes
    rulings = [ruling for outcome in outcomes for ruling in outcome.rulings]
    notes.append(describe_cost(judge, settings))
    known: Labels = labels
    if verdicts is not None:
        try:
            known = write(rulings, verdicts, labels)
        except OSError as error:
            raise fail(f"{verdicts} cannot be written: {error.strerror or error}.") from None
        except JudgeError as error:
            raise fail(str(error)) from None
        notes.append(f"The verdicts are in {verdicts}.")
    if known:
        notes += map(describe_agreement, agreements(rulings, known))
    return notes


def _write_reports(
    outcomes: "Sequence[Outcome]", notes: Sequence[str], *, junit: Path | None, html: Path | None
) -> None:
    from evals.text import junit as junit_file
    from evals.text import page

    try:
        if junit is not None:
            junit_file.write(outcomes, junit)
        if html is not None:
            page.write(outcomes, html, notes)
    except OSError as error:
        where = error.filename or junit or html
        raise fail(f"{where} cannot be written: {error.strerror or error}.") from None


def _print_outcomes(outcomes: "Sequence[Outcome]", notes: Sequence[str]) -> None:
    from evals.text.junit import describe_turn
    from evals.text.page import summary

    marks = {"passed": "ok", "failed": "FAILED", "error": "ERROR"}
    for outcome in outcomes:
        colour = {"passed": "green", "failed": "red", "error": "red"}[outcome.status]
        _print(f"{marks[outcome.status]:6}  {outcome.document}: {outcome.scenario.name}", colour)
        if outcome.fault:
            _print(f"        {outcome.fault}")
        elif not outcome.passed:
            for turn in outcome.turns:
                if not turn.passed:
                    for line in describe_turn(turn).splitlines():
                        _print(f"        {line}")
    for note in notes:
        _print(note)
    _print(summary(outcomes))


def _documents(scenarios: "Sequence[Scenario]", fallback: Path | None) -> "list[Document]":
    """The document of each scenario, each file read once."""
    paths = [scenario.document or fallback for scenario in scenarios]
    read = {path: _load(path) for path in dict.fromkeys(paths)}
    return [read[path] for path in paths]


def _check_sections(scenarios: "Sequence[Scenario]", documents: "Sequence[Document]") -> None:
    """Fail if a section is expected that its document does not have."""
    for scenario, document in zip(scenarios, documents, strict=True):
        known = [section.id for section in document.sections]
        wanted = (
            name
            for turn in scenario.turns
            for expectation in turn.expectations
            for name in expectation.sections
        )
        for name in wanted:
            if any(id == name or id.startswith(f"{name}/") for id in known):
                continue
            meant = get_close_matches(name, known, 1)
            guess = f"did you mean {meant[0]}?" if meant else f"it has {', '.join(known[:12])}."
            raise fail(f"{scenario.name}: {document.title} has no section {name!r}; {guess}")


def _settings(brain: str) -> "Settings":
    from pipeline.choice import choose_for
    from settings import Settings, SettingsError

    try:
        settings = Settings.load(brain=brain or None)
        choose_for("brain", settings)
    except SettingsError as error:
        raise fail(str(error)) from None
    return settings


def _load(path: Path | None) -> "Document":
    from knowledge.loading.document import DocumentError, load

    try:
        return load(path)
    except DocumentError as error:
        raise fail(str(error)) from None


def _run(work: Any) -> Any:
    """Run a coroutine to its end; Ctrl-C cancels it and ends the command with status 130."""
    from evals.conformance.harness import NonconformanceError
    from pipeline.loading import LoadingError
    from processors.daemon import exit_if_running
    from settings import SettingsError

    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        print_error("interrupted")
        exit_if_running(130)
        raise typer.Exit(130) from None
    except (SettingsError, LoadingError, ValueError, NonconformanceError) as error:
        raise fail(str(error)) from None


def _print(text: str, style: str = "") -> None:
    """Print a line; what it holds is text, not markup or control sequences."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    _console.print(shown, style=style or None, markup=False, soft_wrap=True)
