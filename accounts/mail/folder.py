"""Letters as files, where there is no mail server: one ``.eml`` each, that mail programs open."""

import asyncio
import os
import re
import tempfile
from datetime import UTC, datetime
from email.headerregistry import Address
from pathlib import Path

from accounts.mail.letter import Letter, MailError

MAX_KIND_CHARS = 24


class Folder:
    """A folder of letters, whose names sort by the time they were written.

    A letter that is put there again replaces itself. Only the owner may read them, for a letter
    may hold a link that signs in.

    Parameters:
        path: The folder; made when the first letter comes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def where(self) -> str:
        """The folder."""
        return str(self.path)

    def file(self, letter: Letter) -> Path:
        """Where a letter is put: its time, the first word of its key, and its digest."""
        at = datetime.fromtimestamp(letter.at, UTC)
        kind = re.sub(r"[^a-z0-9-]+", "-", letter.key.partition(":")[0].lower())[:MAX_KIND_CHARS]
        return self.path / f"{at:%Y%m%dT%H%M%S.%fZ}-{kind}-{letter.digest[:12]}.eml"

    async def carry(self, letter: Letter, sender: Address) -> None:
        """Write one letter; it is there whole or not at all.

        Raises:
            MailError: It cannot be written.
        """
        content = letter.message(sender).as_bytes()
        try:
            await asyncio.to_thread(self._write, self.file(letter), content)
        except OSError as error:
            raise MailError(f"{self.path} cannot be written: {error.strerror}") from error

    async def greet(self) -> None:
        """A folder is seen to when the first letter comes."""

    async def close(self) -> None:
        """Nothing is kept open."""

    def _write(self, path: Path, content: bytes) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=self.path)
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
