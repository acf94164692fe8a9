"""Checks a scored run against rules in TOML."""

import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from evals.scoring.metrics.metric import Better

_ALLOWED = ("min", "max", "ci", "min_n", "baseline", "max_drop", "optional")


class GateError(ValueError):
    """Rules or scores cannot be used; the text says why and gives the next step."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The bounds of one metric.

    Parameters:
        metric: The metric's name.
        least: Lower bound.
        most: Upper bound.
        ci: Whether the pessimistic end of its interval must also keep the bound.
        least_n: Minimum number of samples.
        baseline: A ``scores.json`` to compare with.
        max_drop: Maximum deterioration from the baseline.
        optional: Whether the metric may lack a value.
    """

    metric: str
    least: float | None = None
    most: float | None = None
    ci: bool = False
    least_n: int = 1
    baseline: Path | None = None
    max_drop: float | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one rule.

    Parameters:
        metric: The metric's name.
        wanted: What the rule requires, as text.
        found: What the scores have, as text.
        kept: Whether the rule is kept.
    """

    metric: str
    wanted: str
    found: str
    kept: bool


def load_rules(path: Path) -> tuple[Rule, ...]:
    """Read rules, a TOML table per metric.

    Raises:
        GateError: They cannot be used.
    """
    try:
        plain = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise GateError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise GateError(f"{path} is not TOML: {error}.") from None
    common = plain.pop("baseline", None)
    if not plain:
        raise GateError(f"{path} has no rules; write one such as [yield_rate] with min = 0.95.")
    return tuple(_rule(name, table, path, common) for name, table in plain.items())


def load_scores(path: Path) -> Mapping[str, Any]:
    """Read a ``scores.json``.

    Raises:
        GateError: It cannot be used.
    """
    try:
        scores = json.loads(path.read_text("utf-8"))
    except OSError as error:
        reason = error.strerror or error
        raise GateError(f"{path} cannot be read: {reason}. Run viva score first.") from None
    except ValueError as error:
        raise GateError(f"{path} is not JSON: {error}. Run viva score again.") from None
    if not isinstance(scores, dict) or not isinstance(scores.get("metrics"), dict):
        raise GateError(f"{path} holds no metrics. Run viva score again.")
    return scores


def check(scores: Mapping[str, Any], rules: Sequence[Rule]) -> tuple[Finding, ...]:
    """Check scores against rules.

    Raises:
        GateError: A rule is about a metric that does not exist, or its baseline cannot be used.
    """
    findings: list[Finding] = []
    if unreadable := scores.get("unreadable"):
        names = ", ".join(call["file"] for call in unreadable)
        findings.append(Finding("recordings", "all can be read", f"{names} cannot", kept=False))
    for rule in rules:
        findings += _check(rule, _metric(scores, rule.metric, "the scores"))
    return tuple(findings)


def with_targets(scores: Mapping[str, Any], rules: Sequence[Rule]) -> dict[str, Any]:
    """Scores whose targets are one's own rules, in place of those of the corpus that ships.

    A rule's bound is the target of its metric where missing it is worse: ``min`` where higher is
    better, ``max`` where lower is.

    Raises:
        GateError: A rule is about a metric that does not exist.
    """
    targets: dict[str, float | None] = {}
    for rule in rules:
        better = _metric(scores, rule.metric, "the scores")["better"]
        targets[rule.metric] = rule.most if better == "lower" else rule.least
    metrics = {
        name: {**metric, "target": targets.get(name)} for name, metric in scores["metrics"].items()
    }
    return {**scores, "metrics": metrics}


def _check(rule: Rule, metric: Mapping[str, Any]) -> list[Finding]:
    value, n = metric["value"], metric["n"]
    if value is None:
        note = metric.get("note") or "no value"
        return [Finding(rule.metric, "a value", note, kept=rule.optional)]
    found = [
        _bounded(rule, metric, bound, lower=lower)
        for bound, lower in ((rule.least, True), (rule.most, False))
        if bound is not None
    ]
    if rule.least_n > 1:
        enough = n >= rule.least_n
        found.append(Finding(rule.metric, f"n ≥ {rule.least_n}", f"n = {n}", kept=enough))
    if rule.baseline is not None and rule.max_drop is not None:
        found.append(_not_worse(rule, metric, rule.baseline, rule.max_drop))
    return found


def _bounded(rule: Rule, metric: Mapping[str, Any], bound: float, *, lower: bool) -> Finding:
    value, what = metric["value"], "value"
    found = f"{value:.4g} (n = {metric['n']})"
    if rule.ci:
        what = "interval"
        if metric["ci95"] is None:
            wanted = f"interval {'≥' if lower else '≤'} {bound:g}"
            return Finding(rule.metric, wanted, f"{found}, too few calls for one", kept=False)
        low, high = metric["ci95"]
        found = f"{found}, interval {low:.4g} to {high:.4g}"
        value = low if lower else high
    kept = value >= bound if lower else value <= bound
    return Finding(rule.metric, f"{what} {'≥' if lower else '≤'} {bound:g}", found, kept=kept)


def _not_worse(rule: Rule, metric: Mapping[str, Any], baseline: Path, max_drop: float) -> Finding:
    better = metric["better"]
    if better not in get_args(Better) or better == "none":
        raise GateError(f"{rule.metric} has no better way, so that max_drop means nothing for it.")
    before = _metric(load_scores(baseline), rule.metric, str(baseline))["value"]
    wanted = f"at most {max_drop:g} worse than {baseline.name}"
    if before is None:
        return Finding(rule.metric, wanted, "the baseline has no value", kept=rule.optional)
    worse = before - metric["value"] if better == "higher" else metric["value"] - before
    found = f"{metric['value']:.4g}, was {before:.4g}"
    return Finding(rule.metric, wanted, found, kept=worse <= max_drop + 1e-12)


def _metric(scores: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    metrics: Mapping[str, Any] = scores["metrics"]
    if name not in metrics:
        known = ", ".join(sorted(metrics))
        raise GateError(f"{name} is no metric of {where}; they have: {known}.")
    metric: Mapping[str, Any] = metrics[name]
    return metric


def _rule(name: str, table: Any, path: Path, common: Any) -> Rule:
    if not isinstance(table, dict):
        raise GateError(f"{path}: {name} is {table!r}; it must be a table, [{name}].")
    unknown = sorted(set(table) - set(_ALLOWED))
    if unknown:
        allowed = ", ".join(_ALLOWED)
        raise GateError(f"{path}: [{name}] {unknown[0]} is unknown; allowed: {allowed}.")
    baseline = table.get("baseline", common)
    if baseline is not None and not isinstance(baseline, str):
        raise GateError(f"{path}: [{name}] baseline is {baseline!r}; it must be a file's name.")
    rule = Rule(
        metric=name,
        least=_number(table, "min", name, path),
        most=_number(table, "max", name, path),
        ci=_truth(table, "ci", name, path),
        least_n=int(_number(table, "min_n", name, path) or 1),
        baseline=path.parent / baseline if baseline is not None else None,
        max_drop=_number(table, "max_drop", name, path),
        optional=_truth(table, "optional", name, path),
    )
    if rule.least is None and rule.most is None and rule.max_drop is None:
        raise GateError(f"{path}: [{name}] asks for nothing; give min, max or max_drop.")
    if rule.max_drop is not None and rule.baseline is None:
        raise GateError(f"{path}: [{name}] has max_drop, but no baseline; name a scores.json.")
    return rule


def _number(table: Mapping[str, Any], field: str, name: str, path: Path) -> float | None:
    value = table.get(field)
    if value is None:
        return None
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not known or not math.isfinite(value):
        raise GateError(f"{path}: [{name}] {field} is {value!r}; it must be a number.")
    return float(value)


def _truth(table: Mapping[str, Any], field: str, name: str, path: Path) -> bool:
    value = table.get(field, False)
    if not isinstance(value, bool):
        raise GateError(f"{path}: [{name}] {field} is {value!r}; it must be true or false.")
    return value
