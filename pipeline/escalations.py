"""The questions handed to a human: one JSON line each, in a file under ``DATA_DIR``."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

from loguru import logger

from conversation.frames import EscalationFrame
from pipeline.data_dir import PRIVATE_FOLDER, private_opener


class Escalations:
    """The list of questions that wait for a human.

    What nobody has understood is none of them: the caller has been asked to say it another way.

    If a question cannot be written, the call continues; the ledger still has the question.

    Parameters:
        path: The file; its folder is created with the first question.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing = asyncio.Lock()

    async def add(self, call: str, frame: EscalationFrame) -> None:
        """Append a question to the file, in a thread."""
        if frame.reason == "unclear":
            return
        line = json.dumps(
            {
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "call": call,
                "turn": frame.turn,
                "reason": frame.reason,
                "question": frame.question,
            },
            ensure_ascii=False,
        )
        try:
            async with self._writing:
                await asyncio.to_thread(self._append, line)
        except OSError as error:
            logger.error(
                "{} could not be written: {}; the question is in the ledger: call {}, turn {}",
                self._path,
                error,
                call,
                frame.turn,
            )

    def _append(self, line: str) -> None:
        self._path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        with open(self._path, "a", encoding="utf-8", opener=private_opener) as file:
            file.write(line + "\n")
