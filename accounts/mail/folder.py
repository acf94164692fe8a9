"""Writes mail to files, where no mail server is configured: one ``.eml`` file per letter."""

import asyncio
import os
import re
import tempfile
from datetime import UTC, datetime
from email.headerregistry import Address
from pathlib import Path

from accounts.mail.letter import Letter, MailError
from models.replacement import replace

MAX_KIND_CHARS = 24


class Folder:
    """A directory of letters, named so that they sort by time.

    Writing a letter again overwrites it. Only the owner may read the files, since a letter may
    contain a sign-in link.

    Parameters:
        path: The directory; created with the first letter.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def where(self) -> str:
        """Path of the directory."""
        return str(self.path)

    def file(self, letter: Letter) -> Path:
        """The file of a letter: its time, the first word of its key, and its digest."""
        at = datetime.fromtimestamp(letter.at, UTC)
        kind = re.sub(r"[^a-z0-9-]+", "-", letter.key.partition(":")[0].lower())[:MAX_KIND_CHARS]
        return self.path / f"{at:%Y%m%dT%H%M%S.%fZ}-{kind}-{letter.digest[:12]}.eml"

    async def deliver(self, letter: Letter, sender: Address) -> None:
        """Write one letter atomically.

        Raises:
            MailError: The file cannot be written.
        """
        content = letter.message(sender).as_bytes()
        try:
            await asyncio.to_thread(self._write, self.file(letter), content)
        except OSError as error:
            raise MailError(f"{self.path} cannot be written: {error.strerror}") from error

    async def verify(self) -> None:
        """Does nothing: the directory is created with the first letter."""

    async def close(self) -> None:
        """Does nothing: no connection is kept open."""

    def _write(self, path: Path, content: bytes) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=self.path)
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
