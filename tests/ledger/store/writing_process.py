"""A process that writes a call's turns, one every 50 ms, until it is killed.

``python -m tests.ledger.store.writing_process DATABASE_URL SPOOL`` says that it is ready, begins at
the first line that it is sent, and says the number of each turn that it has told the ledger of.
"""

import asyncio
import sys
from pathlib import Path

from ledger.store.database import Database
from ledger.store.writer import LedgerWriter
from tests.ledger.records import a_call, a_turn


async def write(url: str, spool: Path) -> None:
    writer = LedgerWriter(Database.from_url(url), spool=spool, retry_secs=0.02)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    writer.start()
    writer.begun(a_call())
    await asyncio.sleep(0.1)
    number = 0
    while True:
        number += 1
        writer.turn(a_turn(number=number))
        await asyncio.sleep(0.05)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], Path(sys.argv[2])))
