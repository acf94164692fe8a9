"""A scored run: its scores, its replay options and its recordings."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recording.recording import Recording, RecordingError

SCORES = "scores.json"
"""The file that ``viva score`` writes into a run's folder."""

RUN = "run.json"
"""The file that ``viva replay`` writes into it: what was run, and how."""


class ReportError(ValueError):
    """A report cannot be made; the text says why and gives the next step."""


@dataclass(frozen=True, slots=True)
class ScoredRun:
    """A run that ``viva score`` has scored.

    Parameters:
        path: Its directory.
        scores: Its ``scores.json``.
        replay: Its ``run.json``; empty for plain recordings.
    """

    path: Path
    scores: Mapping[str, Any]
    replay: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> "ScoredRun":
        """Read a run.

        Raises:
            ReportError: The run was not scored, or its files cannot be used.
        """
        if not path.is_dir():
            raise ReportError(f"{path} is not a directory; name one that viva score has scored.")
        if not (path / SCORES).exists():
            raise ReportError(f"{path} has no {SCORES}; run viva score {path} first.")
        scores = _plain(path / SCORES)
        for name, kind in (("metrics", dict), ("calls", list)):
            if not isinstance(scores.get(name), kind):
                raise ReportError(
                    f"{path / SCORES}: {name} is {scores.get(name)!r}; it must be "
                    f"{'an object' if kind is dict else 'a list'}. Run viva score {path} again."
                )
        return cls(path, scores, replay_of(path))

    @property
    def name(self) -> str:
        """Its directory's name."""
        return str(self.scores.get("run") or self.path.resolve().name)

    @property
    def metrics(self) -> Mapping[str, Mapping[str, Any]]:
        """Its metrics' entries, by name."""
        metrics: Mapping[str, Mapping[str, Any]] = self.scores["metrics"]
        return metrics

    @property
    def calls(self) -> list[Mapping[str, Any]]:
        """Its calls' entries."""
        calls: list[Mapping[str, Any]] = self.scores["calls"]
        return calls

    def replayed(self, file: str) -> Mapping[str, Any]:
        """A call's entry in ``run.json``; empty for a plain recording."""
        for call in self.replay.get("calls", ()):
            if call.get("file") == file:
                noted: Mapping[str, Any] = call
                return noted
        return {}

    def recording(self, file: str) -> Recording:
        """A call's recording.

        Raises:
            RecordingError: It is missing or damaged.
        """
        if Path(file).name != file:
            raise RecordingError(f"{file!r} is not the name of a file in {self.path}.")
        return Recording.load(self.path / file)


def replay_of(folder: Path) -> Mapping[str, Any]:
    """A run's ``run.json``; empty for plain recordings.

    Raises:
        ReportError: It cannot be read.
    """
    return _plain(folder / RUN) if (folder / RUN).exists() else {}


def _plain(path: Path) -> Mapping[str, Any]:
    try:
        plain = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {error.strerror or error}.") from None
    except ValueError as error:
        raise ReportError(f"{path} is not JSON: {error}.") from None
    if not isinstance(plain, dict):
        raise ReportError(f"{path} holds no JSON object.")
    return plain
