"""Makes the corpus: a scripted caller talks to the real server, and every call is recorded.

    python -m evals.corpus.make [NAME ...] [--out DIR]

Server and caller run on one event loop in virtual time with the embedded engines, whose work in
threads takes its processor time, whatever else the machine does. The truth is what the caller
played and when, independent of what the agent understood. The agent's voice is removed from the
recordings, its length kept, because it can be synthesised again.
"""

import argparse
import dataclasses
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from aiohttp.test_utils import TestServer
from loguru import logger

from evals.corpus import beds
from evals.corpus.caller import CueError, Said, ScriptedCaller
from evals.corpus.packing import pack
from evals.corpus.scenario import HERE, Scenario, ScenarioError, load
from evals.replay import virtual_time
from knowledge.loading.document import load as load_document
from pipeline.choice import choose
from pipeline.engines import Engines
from recording.recording import Recording
from server import Server
from settings import Settings

TRUTH = "truth.toml"
_HEAD = """\
# What the caller's side says and does in each call, and what the agent should do about it.
# Written by `python -m evals.corpus.make`; docs/metrics/README.md says what the fields mean.
"""


async def make(scenarios: Sequence[Scenario], out: Path, engines: Engines) -> dict[str, str]:
    """Hold the calls and write their recordings.

    Args:
        scenarios: The calls.
        out: The folder.
        engines: What answers them.

    Returns:
        The truth of each call, as TOML, by its name.

    Raises:
        ScenarioError: A call did not follow its script.
    """
    truths: dict[str, str] = {}
    for number, scenario in enumerate(scenarios, 1):
        sys.stderr.write(f"\r{number} of {len(scenarios)}: {scenario.name:<20}")
        recording, said = await _hold(scenario, engines)
        pack(recording, out / f"{scenario.name}.mcap", f"corpus-{scenario.name}")
        truths[scenario.name] = _truth(scenario, said, recording.started_at)
    sys.stderr.write("\n")
    return truths


async def _make_with_embedded(scenarios: Sequence[Scenario], out: Path) -> dict[str, str]:
    document = load_document()
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    engines = await Engines.load(settings, document, choose(settings), lambda _label, _share: None)
    return await make(scenarios, out, engines)


async def _hold(scenario: Scenario, engines: Engines) -> tuple[Recording, list[Said]]:
    """Hold one call; return its recording and what the caller said."""
    with tempfile.TemporaryDirectory() as folder:
        update = {"data_dir": Path(folder), "auth": "off", "record": "all"}
        settings = engines.settings.model_copy(update=update)
        ours = dataclasses.replace(engines, settings=settings)
        server = Server(settings, engines.document, engines.choices, engines=ours)
        bed = None
        if scenario.bed is not None:
            speech = [line.samples for line in scenario.lines if line.takes_turn]
            bed = beds.make(scenario.bed, speech, sum(scenario.name.encode()))
        async with TestServer(server.app()) as listening:
            url = str(listening.make_url("/call")).replace("http", "ws", 1)
            caller = ScriptedCaller(url, scenario, bed)
            try:
                await caller.hold()
            except CueError as error:
                raise ScenarioError(f"{scenario.name}: {error}") from None
        recording = Recording.load(Path(folder) / "recordings" / f"{caller.call}.mcap")
    if not recording.whole or recording.trouble:
        raise ScenarioError(f"{scenario.name}: its recording is incomplete: {recording.trouble}")
    return recording, caller.said


# The truth, as TOML.


def _truth(scenario: Scenario, said: Sequence[Said], began: float) -> str:
    lines = [
        "[[call]]",
        f'file = "{scenario.name}.mcap"',
        f"title = {json.dumps(scenario.title)}",
        f"tags = {json.dumps(list(scenario.tags))}",
        f'voice = "{scenario.voice}"',
    ]
    for spoken in said:
        lines += _utterance(
            spoken, spoken.at - began, scenario.bed.snr_db if scenario.bed else None
        )
    return "\n".join(lines) + "\n"


def _utterance(said: Said, at: float, snr_db: float | None) -> list[str]:
    line = said.line
    start, end = (at + part for part in line.speech)
    lines = [
        "",
        "  [[call.utterance]]",
        f'  kind = "{line.kind}"',
        f"  text = {json.dumps(line.text)}",
        f"  start = {start:.3f}",
        f"  end = {end:.3f}",
    ]
    if line.pauses:
        pauses = ", ".join(f"[{at + first:.3f}, {at + last:.3f}]" for first, last in line.pauses)
        lines.append(f"  pauses = [{pauses}]")
    if said.over_agent:
        lines.append("  over_agent = true")
    lines.append(f"  takes_turn = {json.dumps(line.takes_turn)}")
    if line.takes_turn:
        lines += [
            f'  decision = "{line.decision}"',
            f"  sections = {json.dumps(list(line.sections))}",
        ]
    if line.says:
        lines.append(f"  says = {json.dumps(list(line.says), ensure_ascii=False)}")
    if line.sensitive:
        lines.append("  sensitive = true")
    if snr_db is not None:
        lines.append(f"  snr_db = {snr_db}")
    return lines


def write_truth(path: Path, made: dict[str, str], order: Sequence[str]) -> None:
    """Write the truth of the calls made; keep that of the others."""
    kept: dict[str, str] = {}
    if path.exists():
        for text in path.read_text().split("[[call]]\n")[1:]:
            name = text.split('file = "', 1)[1].split(".mcap", 1)[0]
            kept[name] = "[[call]]\n" + text.rstrip("\n") + "\n"
    calls = {**kept, **made}
    path.write_text("\n".join([_HEAD, *(calls[name] for name in order if name in calls)]))


def main() -> None:
    """Make the named calls, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("names", nargs="*", help="calls to make again; default: all")
    parser.add_argument("--out", type=Path, default=HERE, help="where they go")
    options = parser.parse_args()
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    try:
        scenarios = load()
        order = [scenario.name for scenario in scenarios]
        if unknown := sorted(set(options.names) - set(order)):
            parser.error(f"{unknown[0]!r} is not a call; the calls are {', '.join(order)}")
        chosen = [
            candidate
            for candidate in scenarios
            if not options.names or candidate.name in options.names
        ]
        options.out.mkdir(parents=True, exist_ok=True)
        made = virtual_time.run(
            _make_with_embedded(chosen, options.out),
            counted=True,
            counted_by=virtual_time.cpu_clock,
        )
    except ScenarioError as error:
        sys.exit(f"viva corpus: {error}")
    write_truth(options.out / TRUTH, made, order)


if __name__ == "__main__":
    main()
