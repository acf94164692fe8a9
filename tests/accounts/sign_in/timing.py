"""How well it can be told by time whether an address may sign in: a report, not a test.

``python -m tests.accounts.sign_in.timing`` asks for links for addresses that may sign in and for
others, in turns, and prints how long the answers took, and how long the answer to the next request
took. The last column is the chance to be right that one guesses with: 0.5 is no better than a coin.
"""

import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path

from accounts.mail.mailer import Mailer
from accounts.mail.outbox import Outbox
from accounts.sign_in.limits import HOUR
from ledger.store.database import Database
from settings import Settings
from tests.accounts.house import House

ROUNDS = 400
KINDS = ("example.com", "example.net")
"""The domain that may sign in, and one that may not."""


async def measure(folder: Path) -> dict[str, tuple[list[float], list[float]]]:
    """Milliseconds of the answers, and of the answers to the request after, by domain."""
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        data_dir=folder,
        allow=f"@{KINDS[0]}",
        trusted_proxies="127.0.0.1",
    )
    database = Database.open(settings)
    outbox = Outbox(database, Mailer.from_settings(settings))
    outbox.start()
    took: dict[str, tuple[list[float], list[float]]] = {kind: ([], []) for kind in KINDS}
    async with House(database, settings, outbox.enqueue, delay=None).opened() as house:
        browser = house.browser()
        form = (await browser.get("/sign-in")).form
        for number in range(ROUNDS):
            for kind in random.sample(KINDS, 2):
                browser.headers["X-Forwarded-For"] = f"10.{number // 200}.{number % 200}.1"
                began = time.perf_counter()
                await browser.post("/sign-in", form=form, email=f"a{number}@{kind}")
                answered = time.perf_counter()
                await browser.post("/sign-in", form=form, email=f"b{number}@{KINDS[1]}")
                after = time.perf_counter()
                took[kind][0].append((answered - began) * 1000)
                took[kind][1].append((after - answered) * 1000)
            house.clock.now += HOUR / 60  # or all would have asked too often
    await outbox.close()
    database.close()
    return took


def chance(ones: list[float], others: list[float]) -> float:
    """How often one of the first kind took longer than one of the second."""
    longer = sum(sample > other for sample in ones for other in others)
    return longer / (len(ones) * len(others))


def main() -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory() as folder:
        took = asyncio.run(measure(Path(folder)))
    print("request      domain         median ms   p90 ms   chance")  # noqa: T201
    for nth, request in enumerate(("the wish", "the next one")):
        for kind in KINDS:
            times = took[kind][nth]
            p90 = statistics.quantiles(times, n=10)[8]
            guess = chance(took[KINDS[0]][nth], took[KINDS[1]][nth])
            print(  # noqa: T201
                f"{request:12} {kind:12} {statistics.median(times):11.2f} {p90:8.2f} {guess:8.3f}"
            )


if __name__ == "__main__":
    main()
