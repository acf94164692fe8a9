"""Reads the calls of a run or of a folder of recordings."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.scoring.facts import Facts, facts_of
from recording.recording import Recording, RecordingError

RUN_FILE = "run.json"


class RunError(ValueError):
    """A folder is not a run; the text says why and gives the next step."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A recording that could not be read.

    Parameters:
        file: Its name.
        error: Why.
    """

    file: str
    error: str


@dataclass(frozen=True, slots=True)
class Run:
    """The calls of a folder.

    Parameters:
        name: The folder's name.
        calls: The facts of each recording, by name.
        unreadable: Recordings that could not be read.
        about: ``run.json`` of ``viva replay``; empty for a folder of recordings.
    """

    name: str
    calls: tuple[Facts, ...]
    unreadable: tuple[Unreadable, ...]
    about: Mapping[str, Any]

    @classmethod
    def read(
        cls, folder: Path, *, progress: Callable[[int, int], None] = lambda _done, _of: None
    ) -> "Run":
        """Read a run, or a folder of recordings.

        Args:
            folder: The folder.
            progress: Called after each recording with the number read and the total.

        Raises:
            RunError: There is no such folder, nothing in it, or its ``run.json`` is not one.
        """
        if not folder.is_dir():
            raise RunError(f"{folder} is no folder; name one that viva replay --out has written.")
        about = _about(folder)
        calls: list[Facts] = []
        unreadable: list[Unreadable] = []
        files = list(_files(folder, about))
        for done, (name, source) in enumerate(files, 1):
            try:
                recording = Recording.load(folder / name)
                calls.append(facts_of(recording, name=name, source=source))
            except RecordingError as error:
                unreadable.append(Unreadable(name, str(error)))
            except (KeyError, TypeError, ValueError) as error:
                why = f"a message of it is not as docs/recording.md has it: {error!r}"
                unreadable.append(Unreadable(name, why))
            progress(done, len(files))
        return cls(folder.resolve().name, tuple(calls), tuple(unreadable), about)


def _about(folder: Path) -> Mapping[str, Any]:
    path = folder / RUN_FILE
    if not path.exists():
        return {}
    try:
        about = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}. Replay the calls again.") from None
    calls = about.get("calls") if isinstance(about, dict) else None
    if not isinstance(calls, list) or not all(
        isinstance(call, dict) and isinstance(call.get("file"), str) for call in calls
    ):
        raise RunError(f"{path} lists no calls with a file each. Replay the calls again.")
    found: Mapping[str, Any] = about
    return found


def _files(folder: Path, about: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """The name of each recording, and of the one it was replayed from."""
    if about:
        for call in about["calls"]:
            yield call["file"], Path(call.get("source") or call["file"]).name
        return
    names = sorted(file.name for file in folder.glob("*.mcap"))
    if not names:
        raise RunError(f"{folder} holds no recordings (*.mcap); name a folder that does.")
    for name in names:
        yield name, name
