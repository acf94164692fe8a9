"""The command ``viva``."""

import telemetry  # noqa: F401 - before any library with telemetry  # isort: skip

import sys
from pathlib import Path

# Tests and benchmarks are in the checkout only, and so is a module that is newer than the
# installation.
sys.path.append(str(Path(__file__).parent))  # isort: split

import asyncio
import dataclasses
import io
import json
import os
import signal
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

# Ctrl-C during the seconds of imports below ends the process without a traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)

# A terminal that lacks a sign, such as an arrow in ISO-8859-1, gets "?" instead of a traceback.
for _stream in (sys.stdout, sys.stderr):
    if isinstance(_stream, io.TextIOWrapper):
        _stream.reconfigure(errors="replace")

# Pipecat prints a greeting on import and logs to the terminal, which belongs to the command.
os.environ.setdefault("LOGURU_AUTOINIT", "False")

from processors.declarations import DeclarationError

try:
    # First of what reads the vendors' files.
    from settings import Settings, SettingsError, current, example, without_effect
except DeclarationError as error:
    sys.stderr.write(f"viva: {error}\n")
    sys.exit(2)
except KeyboardInterrupt:  # an SDK of a vendor may have restored Python's own handler
    sys.stderr.write("viva: interrupted\n")
    sys.exit(130)

from accounts import accounts, operator_key
from accounts import commands as accounts_commands
from accounts.mail import mailer
from accounts.network import is_loopback_host
from evals.commands import callers as callers_commands
from evals.commands import document as document_commands
from evals.commands import foreign as foreign_commands
from evals.commands import replay as replay_commands
from evals.commands import report as report_commands
from evals.commands import score as score_commands
from evals.commands import text as text_commands
from evals.commands import truth as truth_commands
from evals.commands import voices as voices_commands
from knowledge.loading.document import DocumentError, load
from ledger import commands as ledger_commands
from operating.doctor import commands as doctor_commands
from pipeline.choice import Choice, choose, choose_for, settle
from pipeline.loading import FAILED, LoadingError
from pipeline.vendors import STAGES, Stage, of_stage
from processors.daemon import exit_if_running
from recording import commands as recording_commands
from terminal import confirm, errors, fail, output, print_error, print_warning
from version import viva_version

if TYPE_CHECKING:
    from evals.conformance.suite import Result
    from server import Server

app = typer.Typer(
    help="Call a document: a grounded voice agent that anyone can host.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    rich_markup_mode=None,
)
app.add_typer(ledger_commands.app, name="ledger")
app.add_typer(accounts_commands.app, name="accounts")
foreign_commands.mount(recording_commands.app)
app.add_typer(recording_commands.app, name="recording")
for _commands in (
    replay_commands,
    score_commands,
    report_commands,
    document_commands,
    text_commands,
    truth_commands,
    voices_commands,
    callers_commands,
):
    app.add_typer(_commands.app)
doctor_commands.mount(app, checks=accounts.CHECKS, mail=mailer.Mailer.from_settings)
if (Path(__file__).parent / "benchmarks").is_dir():
    from benchmarks import commands as benchmarks_commands

    app.add_typer(benchmarks_commands.app, name="bench")
_terminal = errors()


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"Viva {viva_version()}")
        raise typer.Exit


@app.callback()
def _viva(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


def _settings(**overrides: Any) -> Settings:
    try:
        return Settings.load(**overrides)
    except SettingsError as error:
        raise fail(str(error)) from None


def _greet(address: str, title: str, link: str) -> None:
    typer.echo(f"Viva answers questions about {title}. Open {address} and press call.")
    if link:
        typer.echo(f"Sign in on this machine with this link (once, within 15 minutes):\n  {link}")
    typer.echo("Press Ctrl-C to stop.")


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [HOST].")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on [PORT].")] = None,
    knowledge: Annotated[
        Path | None, typer.Option(help="Document to answer from [KNOWLEDGE].")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes, sharing the one port [WORKERS].")
    ] = None,
) -> None:
    """Serve calls until Ctrl-C. Every setting is an environment variable: see .env.example."""
    from operating.supervisor.supervisor_client import SupervisorClient, WorkerContext

    settings = _settings(host=host, port=port, knowledge=knowledge, workers=workers)
    context = WorkerContext.of_this_process()
    if context is None:
        for sentence in without_effect():
            print_warning(sentence)
    if settings.workers > 1 and context is None:
        _supervise(settings)
        return
    try:
        choices = settle(choose(settings), settings)
        document = load(settings.knowledge)
    except (SettingsError, DocumentError) as error:
        raise fail(str(error)) from None

    from ledger.money.prices import PriceError
    from ledger.store.database import DatabaseError
    from operating import logs
    from server import Server

    logs.setup(settings)
    bar = Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), console=_terminal
    )
    loading = bar.add_task("loading models", total=1.0)

    supervisor = SupervisorClient(context) if context else None

    def progress(label: str, share: float) -> None:
        if supervisor is not None:
            supervisor.send_status(loading=(label, share))
            return
        bar.update(loading, description=f"loading {label}", completed=share)
        if label == "ready":
            bar.stop()
            _terminal.print("Models are loaded; calls are answered at once.")
        elif label == FAILED:
            bar.stop()

    def listening(address: str, link: str) -> None:
        if supervisor is not None:
            supervisor.send_status(up=True, title=document.title, link=link)
            return
        _greet(address, document.title, link)
        bar.start()

    def tell(text: str) -> None:
        bar.console.print(text, markup=False, soft_wrap=True)

    for choice in choices.values():
        for refusal in choice.refused:
            tell(f"{refusal} {choice.vendor.label} is used instead.")
        for sentence in choice.unreached:
            tell(f"{sentence} Calls that need it fail until it answers.")
    try:
        server = Server(
            settings, document, choices, progress=progress, tell=tell, supervisor=supervisor
        )
    except (SettingsError, DatabaseError, PriceError, DeclarationError) as error:
        raise fail(str(error)) from None
    try:
        status = _serve_calls(server, listening)
    finally:
        bar.stop()
    exit_if_running(status)
    raise typer.Exit(status)


def _serve_calls(server: "Server", listening: Callable[[str, str], None]) -> int:
    """Serve calls in this process until it receives a signal to stop.

    Returns:
        The exit status: 0, or another if it cannot listen or load its engines, which it has said.
    """
    from server import serve as serve_until_stopped

    settings = server.settings
    try:
        _run(serve_until_stopped(server, listening=listening))
    except typer.Exit as interrupted:
        return interrupted.exit_code
    except LoadingError as error:
        status = fail(str(error)).exit_code
        if server.supervisor is not None:  # last, for it may end this process at once
            server.supervisor.send_status(failed=True)
        return status
    except OSError as error:
        message = f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}"
        return fail(f"{message}. Set PORT or HOST to another.").exit_code
    return 0


def _supervise(settings: Settings) -> None:
    """Serve calls in several processes."""
    from operating import logs
    from operating.supervisor.workers import WorkerError, Workers, listen, supported

    if not supported():
        raise fail(
            f"WORKERS={settings.workers}: this system cannot pass connections to another "
            "process. Set WORKERS=1."
        )
    logs.setup(settings)
    bar = Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), console=_terminal
    )
    loading = bar.add_task("loading models", total=1.0)

    def progress(label: str, share: float) -> None:
        bar.update(loading, description=f"loading {label}", completed=share)
        if label == "ready":
            bar.stop()
            _terminal.print(f"Models are loaded in all {settings.workers} workers.")
        elif label == FAILED:  # The worker says why; a bar after that would hide it.
            bar.stop()

    def listening(address: str, title: str, link: str) -> None:
        _greet(address, title, link)
        bar.start()

    try:
        listeners, address = listen(settings.host, settings.port)
    except OSError as error:
        message = f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}"
        raise fail(f"{message}. Set PORT or HOST to another.") from None

    async def supervise() -> None:
        await Workers(
            [sys.executable, *sys.argv],
            settings.workers,
            listeners,
            address=address,
            stop_secs=settings.drain_secs + settings.shutdown_secs,
            listening=listening,
            progress=progress,
        ).run()

    try:
        asyncio.run(supervise())
    except WorkerError as error:
        raise typer.Exit(error.status if error.status > 0 else 1) from None
    finally:
        bar.stop()


@app.command()
def call(
    wav: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="What to say: a 16-bit WAV file per turn; may be repeated."
        ),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(
            metavar="QUESTION",
            help="What to type, after what is said: a turn each; may be repeated.",
        ),
    ] = None,
    url: Annotated[
        str,
        typer.Option(metavar="URL", help="The server's WebSocket address, ws://HOST:PORT/call."),
    ] = "",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what was heard to this WAV file.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
    barge_in: Annotated[
        float | None,
        typer.Option(
            metavar="SECS",
            help="Ask each further question this many seconds into the answer before.",
        ),
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Consent to recording, where RECORD=calls asks.")
    ] = False,
    truth: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the truth of the recorded call: what was said and when. Words are those of "
            "a text file beside each WAV file, such as where.txt, or what was understood.",
        ),
    ] = None,
    key: Annotated[
        str,
        typer.Option(
            envvar="VIVA_OPERATOR_KEY",
            help="The server's operator key; read from DATA_DIR for a server on this machine.",
        ),
    ] = "",
) -> None:
    """Call a running server with WAV files or typed questions, in real time.

    The exit status is 0 if every turn was answered (or handed to a person), 1 if not, or if the
    call was broken off, 2 if it could not be made.
    """
    from client.caller import Caller, CallerError
    from client.wav import WavError, write_wav
    from transports.browser.messages import MAX_TYPED_CHARACTERS

    if not (wav or text):
        raise fail("Nothing to ask: give --wav FILE or --text QUESTION.")
    if truth is not None and truth.exists():
        raise fail(f"{truth} is there already; --truth FILE writes another.")
    for question in text or ():
        if not question.strip() or len(question) > MAX_TYPED_CHARACTERS:
            raise fail(
                f"--text is {question[:60]!r}, of {len(question)} characters; allowed: "
                f"1 to {MAX_TYPED_CHARACTERS}."
            )
    settings = _settings()
    if not url:
        url = f"ws://{settings.host}:{settings.port}/call"
    if not key and is_loopback_host(urlsplit(url).netloc):
        try:
            key = operator_key.read(settings.data_dir) or ""
        except SettingsError as error:
            raise fail(str(error)) from None

    def progress(text: str) -> None:
        if _terminal.is_terminal:
            _terminal.print(text, style="dim", markup=False)

    async def make_call() -> Any:
        calling = Caller(
            url,
            wav or (),
            texts=text or (),
            barge_in_secs=barge_in,
            key=key,
            progress=progress,
            record=record,
        )
        return await calling.call()

    try:
        heard = _run(make_call())
    except (CallerError, WavError) as error:
        raise fail(str(error)) from None
    if out is not None:
        write_wav(out, heard.audio)
    if as_json:
        typer.echo(json.dumps(heard.as_dict(), indent=2, ensure_ascii=False))
    else:
        _print_call(heard)
    if truth is not None and not heard.recorded:
        told = "the server records calls with RECORD=all, or RECORD=calls and --record"
        print_error(f"{truth} is not written, for the call is not recorded: {told}.")
        raise typer.Exit(1)
    if truth is not None:
        _write_truth(truth, heard, wav or [])
    raise typer.Exit(0 if heard.succeeded else 1)


def _write_truth(path: Path, heard: Any, wavs: list[Path]) -> None:
    """Write the truth of a call by what was played to it."""
    from evals.scoring.draft import Played, played

    said = []
    for turn, wav in zip(heard.turns, wavs, strict=False):  # what is typed has no sound
        if turn.spoken is None:
            continue
        beside = wav.with_suffix(".txt")
        try:
            words = beside.read_text("utf-8") if beside.exists() else turn.transcript
        except (OSError, UnicodeDecodeError) as error:
            raise fail(f"{beside} cannot be read: {error}.") from None
        said.append(
            Played(
                text=" ".join(words.split()),
                span=turn.spoken,
                over=turn.over_agent,
                source=wav.name,
                understood=not beside.exists(),
            )
        )
    try:
        path.write_text(played(heard.call, said), "utf-8")
    except OSError as error:
        raise fail(f"{path} cannot be written: {error.strerror or error}.") from None
    typer.echo(f"The truth of {len(said)} utterances is in {path}.", err=True)


def _print_call(heard: Any) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("said", "understood", "decision", "sections", "heard", "latency"):
        table.add_column(column)
    for turn in heard.turns:
        latency = "" if turn.e2e_latency_ms is None else f"{turn.e2e_latency_ms:.0f} ms"
        table.add_row(
            turn.said,
            turn.transcript,
            turn.decision or "none",
            " ".join(turn.sections),
            turn.heard_text + (" …" if turn.interrupted else ""),
            latency,
        )
    output(highlight=True).print(table)
    typer.echo(f"ended: {heard.ended}")


vendors_app = typer.Typer(rich_markup_mode=None)
app.add_typer(vendors_app, name="vendors")


@vendors_app.callback(invoke_without_command=True)
def vendors(context: typer.Context) -> None:
    """Show the vendors of each stage, which is chosen and why, and what others need."""
    if context.invoked_subcommand is not None:
        return
    settings = _settings()
    try:
        choices, trouble = choose(settings), ""
    except SettingsError as error:
        choices, trouble = {}, str(error)
    table = Table("stage", "vendor", "kind", "what it is", "status", box=None, pad_edge=False)
    for stage in STAGES:
        for vendor in of_stage(stage):
            choice = choices.get(stage)
            status = vendor.missing(settings) or "available"
            if choice is not None and choice.vendor is vendor:
                status = f"chosen ({choice.why})"
            table.add_row(stage, vendor.name, vendor.kind, vendor.detail, status)
    output(highlight=True).print(table)
    if trouble:
        raise fail(trouble)
    typer.echo(_prices_told(settings, choices))


def _prices_told(settings: Settings, choices: Mapping[Stage, Choice]) -> str:
    """Of when the prices are that the chosen vendors are reckoned with, in a few lines."""
    from ledger.money.prices import FILE, PriceError, Prices

    try:
        prices = Prices.for_settings(settings)
    except PriceError as error:
        return str(error)
    own = settings.data_dir / FILE
    yours = f"yours are in {own}" if own.exists() else f"yours would be in {own}"
    lines = [f"Prices: the newest published one here is of {prices.newest}; {yours}."]
    for stage, choice in choices.items():
        for vendor in choice.vendors:
            if vendor.kind == "embedded":
                continue
            model = vendor.model_of(settings)
            price = prices.price(vendor.name, model)
            since = f"since {price.since}, {price.source}" if price else "none"
            lines.append(f"  {stage} {' '.join(filter(None, [vendor.name, model]))}: {since}")
    return "\n".join(lines)


@app.command()
def simulate(
    port: Annotated[int, typer.Option(help="First of four ports; 0 takes free ones.")] = 7870,
    brain: Annotated[
        str, typer.Option(help="What the language models tell: honest, or lying.")
    ] = "honest",
) -> None:
    """Start simulators of the cloud vendors, and print the settings that use them.

    They speak the vendors' protocols on loopback, with the embedded engines behind them: a way to
    try the cloud vendors without keys.
    """
    from simulators.simulate import run

    if brain not in ("honest", "lying"):
        raise fail(f"--brain {brain}: it is honest or lying")
    settings = _settings()
    try:
        document = load(settings.knowledge)
    except DocumentError as error:
        raise fail(str(error)) from None

    def listening(environment: dict[str, str]) -> None:
        for name, value in environment.items():
            typer.echo(f"export {name}={value}")
        _terminal.print("In another terminal, set these and run `make run`. Press Ctrl-C to stop.")

    _run(run(document, port=port, lying=brain == "lying", listening=listening))


@vendors_app.command(
    "check",
    epilog="""\b
Examples:
  viva vendors check --stage tts --vendor cartesia
  viva vendors check --vendor openai
  viva vendors check --stage tts --vendor examples.openai_speech:VENDOR
  viva vendors check --stage turns
  viva vendors check --stage turns --vendor examples.push_to_talk:CHECKED
  viva vendors check --stage filter --vendor examples.answer_limit:three_sentences
  viva vendors check --live""",
)
def check_vendors(
    stage: Annotated[
        str,
        typer.Option(help="Only this stage: vad, stt, turns, brain, tts, or filter."),
    ] = "",
    vendor: Annotated[
        str,
        typer.Option(
            help="Only this vendor of the stage, chosen or not, or a Vendor as MODULE:NAME. For "
            "turns and filter: what makes one, as MODULE:NAME."
        ),
    ] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
    live: Annotated[
        bool,
        typer.Option(
            "--live",
            help="Instead: one small call to each chosen vendor in a cloud, which costs money, and "
            "what it sends held against what its documents say.",
        ),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="With --live: do not ask before it costs.")
    ] = False,
) -> None:
    """Check that stages do what their contracts say.

    Without options: the embedded models, turn taking, and every vendor that is chosen, in a minute
    or two. With --stage, or --stage and --vendor, only those, in seconds; a vendor in a cloud takes
    as long as what is said to it.

    Each line has a verdict. "passed" comes with what was measured; a failure "blocks", no call can
    be held, or "degrades", calls can be held and lack what the line says; "not applicable" has
    nothing to look at, and counts as neither.

    Exit status: 0 nothing failed, 1 a failure blocks, 3 failures only degrade, 2 nothing could be
    checked.
    """
    from evals.conformance import suite
    from evals.conformance.subjects import SubjectError, chosen

    settings = _settings()
    if live:
        raise typer.Exit(_check_live(settings, stage, vendor, yes=yes))

    def show(text: str) -> None:
        _terminal.print(text, style="dim", markup=False)

    try:
        document = load(settings.knowledge)
        checks = chosen(settings, document, stage=stage, vendor=vendor, on_progress=show)
        results = suite.run(checks)
    except (SettingsError, DocumentError, SubjectError) as error:
        raise fail(str(error)) from None
    except KeyboardInterrupt:
        _terminal.print("viva: interrupted", style="red")
        # Do not wait for a model that is still loading, nor tear it down meanwhile.
        os._exit(130)
    if as_json:
        listed = [dataclasses.asdict(result) for result in results]
        typer.echo(json.dumps({"checks": listed}, indent=2, ensure_ascii=False))
    else:
        _print_checks(results)
        typer.echo(suite.summary(results))
        for line in suite.to_paste(results):
            typer.echo(line)
    raise typer.Exit(suite.status(results))


def _check_live(settings: Settings, stage: str, vendor: str, *, yes: bool) -> int:
    """Call the chosen vendors for real, and say in what they differ; returns the exit status."""
    from evals.conformance import live
    from evals.conformance.subjects import SubjectError, recorded_speech, to_call
    from ledger.money.prices import Prices

    def tell(text: str) -> None:
        _terminal.print(text, style="dim", markup=False)

    try:
        document = load(settings.knowledge)
        vendors = live.callable_live(to_call(settings, stage=stage, vendor=vendor))
        costs = live.most_cost(vendors, settings, document, Prices.for_settings(settings))
    except (SettingsError, DocumentError, SubjectError) as error:
        raise fail(str(error)) from None
    if not vendors:
        typer.echo("None of the chosen vendors is one in a cloud whose messages are known here.")
        return 2
    typer.echo(live.in_dollars(costs))
    if not yes and not confirm("Call them?"):
        return 2
    hears = any(called.stage == "stt" for called in vendors)

    async def call() -> list[live.LiveCall]:
        speech = await recorded_speech(settings, document, tell) if hears else b""
        return await live.call_all(vendors, settings, document, speech=speech, tell=tell)

    calls = _run(call())
    for line in live.report(calls):
        typer.echo(line)
    typer.echo(f"What was received is in {live.write(calls, settings.data_dir)}")
    return live.status(calls)


_COLOURS = {"blocks": "red", "degrades": "yellow", "not applicable": "dim"}


def _print_checks(results: "list[Result]") -> None:
    table = Table("stage", "vendor", "check", "verdict", "detail", box=None, pad_edge=False)
    for result in results:
        verdict = result.verdict.upper() if result.loses else str(result.verdict)
        if colour := _COLOURS.get(result.verdict):
            verdict = f"[{colour}]{verdict}[/{colour}]"
        detail = f"{result.detail} — {result.loses}" if result.loses else result.detail
        table.add_row(
            *map(escape, (result.stage, result.vendor, result.name)), verdict, escape(detail)
        )
    output(highlight=True).print(table)


@app.command("settings")
def show_settings(
    in_force: Annotated[
        bool,
        typer.Option(
            "--current",
            help="Instead: every setting's value in force and where it is set; keys are hidden.",
        ),
    ] = False,
) -> None:
    """Print every setting with its default and meaning, in the form of .env.example.

    With --current, the exit status is 2 if viva serve would refuse a setting; each is named.
    """
    if not in_force:
        typer.echo(example())
        return
    settings, error = Settings.load_valid()
    typer.echo(current(settings, error))
    if error is None or error.names:  # else .env cannot be read
        for sentence in without_effect():
            print_warning(sentence)
    refusals = str(error).splitlines() if error else []
    checks: list[Callable[[Settings], object]] = [*accounts.CHECKS, mailer.Mailer.from_settings]
    checks += [partial(choose_for, stage) for stage in STAGES]
    for check in checks:
        try:
            check(settings)
        except SettingsError as refusal:
            refusals.append(str(refusal))
    for text in refusals:
        print_error(text)
    if refusals:
        raise typer.Exit(2)


def _run(work: Any) -> Any:
    """Run a coroutine to its end; Ctrl-C cancels it and ends the command."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if sys.platform == "win32":
            return asyncio.run(work)
        import uvloop

        return uvloop.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


if __name__ == "__main__":
    app()
