"""The outcomes of scenarios as JUnit XML, which CI systems show."""

import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree

from evals.text.run import Outcome, TurnOutcome

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold."""


def write(outcomes: Sequence[Outcome], path: Path) -> None:
    """Write outcomes, a ``testsuite`` a file of questions and a ``testcase`` a scenario.

    Raises:
        OSError: It cannot be written.
    """
    root = ElementTree.Element("testsuites", {"name": "viva eval", **_counts(outcomes)})
    for file, of_file in groupby(outcomes, key=lambda outcome: outcome.scenario.file):
        held = list(of_file)
        suite = ElementTree.SubElement(root, "testsuite", {"name": _text(file), **_counts(held)})
        for outcome in held:
            case = ElementTree.SubElement(
                suite,
                "testcase",
                name=_text(outcome.scenario.name),
                classname=_text(f"{Path(file).stem}.{outcome.document}"),
                time=f"{outcome.secs:.3f}",
            )
            if outcome.status == "error":
                ElementTree.SubElement(case, "error", message=_text(outcome.fault))
            elif outcome.status == "failed":
                wrong = [found.expected for turn in outcome.turns for found in turn.wrong]
                failure = ElementTree.SubElement(
                    case, "failure", message=_text(f"expected {'; '.join(wrong)}")
                )
                failure.text = _text("\n".join(map(describe_turn, outcome.turns)))
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def describe_turn(turn: TurnOutcome) -> str:
    """Describe a turn: what was asked and said, and which expectations are not met."""
    lines = [f"asked: {turn.turn.ask or '(the greeting)'}", f"said:  {turn.said}"]
    if turn.reply is not None:
        lines.append(f"       {turn.reply.grounds}")
    lines += [f"expected {found.expected}: {found.found}" for found in turn.wrong]
    lines += [f"no verdict on {found.expected}: {found.found}" for found in turn.unknown]
    if turn.hint:
        lines.append(f"why: {turn.hint}")
    return "\n".join(lines)


def _counts(outcomes: Sequence[Outcome]) -> dict[str, str]:
    statuses = [outcome.status for outcome in outcomes]
    return {
        "tests": str(len(statuses)),
        "failures": str(statuses.count("failed")),
        "errors": str(statuses.count("error")),
        "time": f"{sum(outcome.secs for outcome in outcomes):.3f}",
    }


def _text(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
