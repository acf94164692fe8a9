"""Servers with accounts, for their tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from accounts.sign_in.link_mail import SendMail
from ledger.store.database import Database
from settings import Settings
from tests.accounts.house import ADMIN, House, OpenHouse


@pytest.fixture
def open_house(database: Database, tmp_path: Path) -> OpenHouse:
    """A server, with settings of the test's own, that example.com's people may sign in to."""

    @asynccontextmanager
    async def opening(send: SendMail | None = None, **given: Any) -> AsyncIterator[House]:
        chosen = {"data_dir": tmp_path, "allow": "@example.com", "admins": ADMIN, **given}
        settings = Settings(_env_file=None, **chosen)  # type: ignore[call-arg]
        async with House(database, settings, send).opened() as house:
            yield house

    return opening
