"""Prints what is made of each way in which models answer, here and at an earlier commit.

``python -m tests.processors.brain.ways --before 8e18941^`` sends each way of
:mod:`tests.processors.brain.answering` over a real socket to the brain of both trees, again and
again: a second attempt gets the same reply.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from io import BytesIO
from pathlib import Path

from tests.processors.brain.answering import UNCERTAIN, WAYS, RawEndpoint, Way

ASKING = """
import asyncio, json, sys
from loguru import logger
logger.remove()
from processors.brain.openai_compatible import OpenAICompatibleBrain
from tests.processors.brain.deciding import DOCUMENT, decide

async def ask(url):
    brain = OpenAICompatibleBrain(DOCUMENT, base_url=url, model="local")
    try:
        turn = await decide(brain)
        return {"words": turn.words}
    finally:
        await brain.close()

async def main():
    print(json.dumps([await ask(url) for url in json.load(sys.stdin)]))

asyncio.run(main())
"""
"""Asks the brain of the working directory's tree at each address."""


async def asked(tree: Path, ways: Sequence[Way]) -> list[str]:
    """What the brain of a tree makes of each way, in a word or a fault's sentence."""
    async with AsyncExitStack() as stack:
        urls = [(await stack.enter_async_context(RawEndpoint(way))).url for way in ways]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            ASKING,
            cwd=tree,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate(json.dumps(urls).encode())
    if process.returncode:
        raise SystemExit(f"{tree} cannot be asked")
    return [verdict(way, turn) for way, turn in zip(ways, json.loads(out), strict=True)]


def verdict(way: Way, turn: dict[str, object]) -> str:
    """What became of a turn: ``answered`` only if it is all of the way's answer."""
    words = " ".join(turn["words"])  # type: ignore[arg-type]
    if words == way.answer:
        return "answered"
    return "partly answered" if words and words in way.answer else "a person is asked"


def unpacked(commit: str, folder: Path) -> Path:
    """The tree of a commit, in a folder."""
    packed = subprocess.run(["git", "archive", commit], capture_output=True, check=False)
    if packed.returncode:
        raise SystemExit(packed.stderr.decode().strip())
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as tree:
        tree.extractall(folder, filter="data")
    return folder


async def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--before", metavar="COMMIT", help="the earlier commit")
    before = parser.parse_args().before
    ways = (*WAYS, *UNCERTAIN)
    columns = {"now": await asked(Path.cwd(), ways)}
    if before:
        with tempfile.TemporaryDirectory() as folder:
            columns = {"before": await asked(unpacked(before, Path(folder)), ways)} | columns
    sys.stdout.write("\n".join(table(ways, columns)) + "\n")


def table(ways: Sequence[Way], columns: Mapping[str, Sequence[str]]) -> list[str]:
    """The verdicts as a table in Markdown, and the sum of each column."""
    lines = [f"| way | {' | '.join(columns)} | repaired |", "| --- " * (len(columns) + 2) + "|"]
    for number, way in enumerate(ways):
        found = " | ".join(verdicts[number] for verdicts in columns.values())
        lines.append(f"| {way.name} | {found} | {', '.join(way.repaired)} |")
    for name, verdicts in columns.items():
        certain, others = verdicts[: len(WAYS)], verdicts[len(WAYS) :]
        lines.append(
            f"{name}: answered {certain.count('answered')} of {len(WAYS)} that mean one thing, "
            f"{others.count('answered')} of {len(UNCERTAIN)} others"
        )
    return lines


if __name__ == "__main__":
    asyncio.run(main())
