"""Tables of verdicts, as CSV: what a judge ruled, with a column for people to rule in."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.judge.agreement import Agreement, agreement
from evals.judge.judge import JudgeError, Verdict
from ledger.log.cells import inert

COLUMNS = ("item", "criterion", "question", "answer", "verdict", "evidence", "why", "person")
_RULED: Mapping[str, bool] = {"pass": True, "fail": False}


@dataclass(frozen=True, slots=True)
class Ruling:
    """One verdict, and what it is on.

    Parameters:
        item: Which answer, such as ``clean-01.mcap#2``.
        criterion: The criterion's name.
        question: What was asked.
        answer: What was said.
        verdict: The verdict.
    """

    item: str
    criterion: str
    question: str
    answer: str
    verdict: Verdict


Labels = Mapping[tuple[str, str], bool]
"""People's verdicts, by item and criterion."""


def write(rulings: Sequence[Ruling], path: Path, known: Labels) -> Labels:
    """Write verdicts; the column ``person`` keeps the labels that the file had, and those known.

    Returns:
        These labels.

    Raises:
        JudgeError: The file exists, and is no table of verdicts.
        OSError: It cannot be written.
    """
    known = {**(labels(path) if path.exists() else {}), **known}
    names = {value: name for name, value in _RULED.items()}
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for ruling in rulings:
            label = known.get((str(inert(ruling.item)), str(inert(ruling.criterion))))
            row = (
                ruling.item,
                ruling.criterion,
                ruling.question,
                ruling.answer,
                names[ruling.verdict.passed],
                ruling.verdict.evidence,
                ruling.verdict.why,
                "" if label is None else names[label],
            )
            table.writerow(map(inert, row))
    return known


def labels(path: Path) -> dict[tuple[str, str], bool]:
    """Read people's labels: of a table of verdicts, the column ``person`` where it is filled in.

    Raises:
        JudgeError: It cannot be read, or a label is neither pass nor fail.
    """
    found: dict[tuple[str, str], bool] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            for name in ("item", "criterion", "person"):
                if name not in (table.fieldnames or ()):
                    raise JudgeError(f"{path}: the column {name} is missing.")
            for number, row in enumerate(table, 2):
                label = (row["person"] or "").strip().lower()
                if not label:
                    continue
                if label not in _RULED:
                    raise JudgeError(
                        f"{path}, line {number}: person is {label!r}; it must be pass or fail."
                    )
                found[row["item"] or "", row["criterion"] or ""] = _RULED[label]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise JudgeError(f"{path} cannot be read: {reason}.") from None
    return found


def agreements(rulings: Sequence[Ruling], known: Labels) -> list[Agreement]:
    """Compare the verdicts by each criterion with people's labels."""
    found = []
    for criterion in dict.fromkeys(ruling.criterion for ruling in rulings):
        pairs = [
            (ruling.verdict.passed, known[place])
            for ruling in rulings
            if ruling.criterion == criterion
            and (place := (str(inert(ruling.item)), str(inert(criterion)))) in known
        ]
        found.append(agreement(criterion, pairs))
    return found
