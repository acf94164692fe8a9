"""The command ``viva doctor``."""

import asyncio
import json
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from operating.doctor import configuration, machine, models
from operating.doctor.finding import Finding, State
from operating.doctor.measuring import Tell
from settings import Settings
from terminal import errors, output

MOST_WIDTH = 120
"""Maximum width of the table, in columns."""

LEAST_WIDTH = 64
"""Below this width findings are printed one below the other instead of as a table."""

_STYLES: dict[State, str] = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def mount(
    app: typer.Typer,
    *,
    checks: Sequence[Callable[[Settings], object]],
    mail: Callable[[Settings], configuration.Mail],
) -> None:
    """Add the command.

    Args:
        app: The application.
        checks: Each raises ``SettingsError`` if settings do not go together.
        mail: Creates the mailer.
    """

    @app.command(
        epilog="""\b
Examples:
  viva doctor
  viva doctor --quick --json | jq '.findings[] | select(.state != "ok")'"""
    )
    def doctor(
        quick: Annotated[
            bool, typer.Option("--quick", help="Skip the models, which take seconds.")
        ] = False,
        as_json: Annotated[
            bool, typer.Option("--json", help="Print one JSON object instead of a table.")
        ] = False,
    ) -> None:
        """Check this machine and its settings, and say what to change.

        The exit status is 0 if nothing has to change, 1 if something has to, 2 if the settings
        cannot be read.
        """
        terminal = errors()
        status = terminal.status("looking")

        def interrupted(*_: object) -> None:
            status.stop()
            terminal.print("viva: interrupted", style="red")
            # Do not wait for a model that is still loading, nor tear it down meanwhile:
            # asyncio would join its thread.
            os._exit(130)

        signal.signal(signal.SIGINT, interrupted)

        def tell(text: str) -> None:
            if terminal.is_terminal:
                status.update(escape(text))
                status.start()

        findings = asyncio.run(run_checks(checks=checks, mail=mail, quick=quick, tell=tell))
        status.stop()
        code = exit_status(findings)
        if as_json:
            said = {"status": code, "findings": [asdict(finding) for finding in findings]}
            # File names need not be UTF-8; escaped, they can always be written.
            typer.echo(json.dumps(said, indent=2))
        else:
            console = output(folded=True)
            console.width = min(console.width, MOST_WIDTH)
            print_findings(findings, console)
        raise typer.Exit(code)


async def run_checks(
    *,
    checks: Sequence[Callable[[Settings], object]],
    mail: Callable[[Settings], configuration.Mail],
    quick: bool = False,
    tell: Tell = lambda _: None,
) -> list[Finding]:
    """Run all checks. Changes nothing, and connects only to what the settings name.

    Args:
        checks: Each raises ``SettingsError`` if settings do not go together.
        mail: Creates the mailer.
        quick: Skip the models.
        tell: Called with progress messages.
    """
    settings, findings = configuration.read_settings()
    tell("checking the machine")
    choices, vendors = configuration.vendors(settings)
    document, knowledge = configuration.document(settings)
    prices, priced = configuration.prices(settings, choices)
    findings += [*configuration.check_combination(settings, checks), *knowledge, *priced, *vendors]
    findings += machine.processor()
    findings += [*machine.cores(settings), *machine.load()]
    runs_here = any(vendor.stage != "vad" for vendor in models.embedded(choices))
    findings += machine.memory(settings, embedded=runs_here)
    findings += [*machine.clock(prices), *machine.disk(settings)]
    tell("checking the network")
    findings += await asyncio.to_thread(machine.port, settings)
    findings += await asyncio.to_thread(configuration.database, settings)
    findings += await configuration.mail(settings, mail)
    if quick:
        return findings
    if document is None:
        document = configuration.bundled()
    cores = machine.usable_cores()
    return findings + await models.check_and_measure(
        settings, document, choices, cores=cores, tell=tell
    )


def exit_status(findings: Sequence[Finding]) -> int:
    """0 if nothing has to change, 1 if something has to, 2 if the settings cannot be read."""
    problems = [finding for finding in findings if finding.state == "problem"]
    if any(problem.area == configuration.UNREADABLE for problem in problems):
        return 2
    return 1 if problems else 0


def print_findings(findings: Sequence[Finding], console: Console) -> None:
    """Print findings, as a table if the console is wide enough, and a count of what is not ok."""
    if console.width < LEAST_WIDTH:
        for finding in findings:
            state = f"[{_STYLES[finding.state]}]{finding.state}[/{_STYLES[finding.state]}]"
            console.print(f"{escape(finding.area)}, {escape(finding.name)}: {state}")
            console.print(Padding(_text(finding), (0, 0, 0, 2)))
    else:
        console.print(_table(findings, console.width))
    counts = {state: sum(finding.state == state for finding in findings) for state in _STYLES}
    off = [
        f"{count} {state}{'' if count == 1 else 's'}"
        for state, count in counts.items()
        if count and state != "ok"
    ]
    console.print(f"\n{' and '.join(reversed(off))}." if off else "\nNo problems found.")


def _text(finding: Finding) -> str:
    text = escape(finding.detail)
    return f"{text}\n[bold]→ {escape(finding.remedy)}[/bold]" if finding.remedy else text


def _table(findings: Sequence[Finding], width: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), width=width)
    table.add_column("", no_wrap=True)
    table.add_column("what", max_width=16, overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("detail, and what to change", ratio=1, overflow="fold")
    area = ""
    for finding in findings:
        shown = "" if finding.area == area else finding.area
        area = finding.area
        style = _STYLES[finding.state]
        table.add_row(
            shown, escape(finding.name), f"[{style}]{finding.state}[/{style}]", _text(finding)
        )
    return table
