"""A supervisor in a process of its own, as ``viva serve --workers`` is.

``python -m tests.operating.supervisor.supervised`` prints its address, and then a line of what is
loaded.
"""

import argparse
import asyncio
import sys

from operating.supervisor.workers import WorkerError, Workers, listen


async def main(count: int, command: list[str]) -> None:
    listeners, address = listen("127.0.0.1", 0)
    await Workers(
        [sys.executable, "-m", "tests.operating.supervisor.worker", *command],
        count,
        listeners,
        address=address,
        stop_secs=1.0,
        end_secs=1.0,
        restart_secs=0.05,
        listening=lambda *told: print(*told, flush=True),  # noqa: T201
        progress=lambda label, share: print(label, share, flush=True),  # noqa: T201
    ).run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=2)
    given, rest = parser.parse_known_args()
    try:
        asyncio.run(main(given.count, rest))
    except WorkerError as error:
        sys.exit(error.status)
