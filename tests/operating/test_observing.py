"""docs/observing.md says what there is."""

import asyncio
import json
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from pydantic import ConfigDict, TypeAdapter, ValidationError

from conversation.frames import Check
from conversation.records import StageCost
from ledger.money.budget import DayMoney
from operating import spans
from operating.gauges import Gauges
from operating.lag import EventLoopLag
from operating.metrics import Metrics
from operating.redaction import MAX_CHARS
from operating.traces import FLUSH_TIMEOUT_SECS, MAX_SPANS
from processors.pool import Pool
from tests.operating.calls import TAKEN_OVER, call, over, turn

DOCUMENT = Path("docs/observing.md").read_text()
RULES = Path("deploy/prometheus/viva.rules.yml")
FIRED = Path("deploy/prometheus/viva.rules.test.yml")
BOARD = Path("deploy/grafana/viva.json")
PROMTOOL = Path("build/promtool")
ROW = re.compile(r"^\| `(viva_\w+)` \| (.*?) \|", re.MULTILINE)


async def collected() -> list[Metric]:
    """Every metric there can be, each with a value."""
    metrics = Metrics()
    gauges = Gauges(
        metrics.registry,
        lag=EventLoopLag(),
        pools=lambda: [Pool(1, "whisper")],
        taking=lambda: True,
        loaded=lambda: True,
        vendors=lambda: {("stt", "deepgram"): False},
        money=lambda: DayMoney("2026-11-24", 1, 1, 9, 1),
        queues={"ledger": lambda: 0, "outbox": lambda: 0},
    )
    await gauges.read()
    metrics.begun(call())
    repaired = (Check("form", passed=True, detail="code fence"),)
    metrics.turn(
        turn(
            failovers=(TAKEN_OVER,),
            errors=("DeepgramSTT: x",),
            interrupted=True,
            checks=repaired,
        )
    )
    metrics.ended(over(call()))
    return [metric for metric in metrics.registry.collect() if metric.name.startswith("viva_")]


async def test_every_metric_is_listed_with_its_labels() -> None:
    listed = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in ROW.findall(DOCUMENT)}
    there = {}
    for metric in await collected():
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        there[name] = {label for sample in metric.samples for label in sample.labels} - {"le"}
    assert listed == there


async def test_no_label_means_something_else_to_prometheus() -> None:
    for metric in await collected():
        labels = {label for sample in metric.samples for label in sample.labels}
        assert "quantile" not in labels, metric.name
        assert metric.type == "histogram" or "le" not in labels, metric.name
        assert metric.documentation, metric.name


def promtool(*arguments: object, given: bytes = b"") -> None:
    """Have Prometheus' own tool check something."""
    found = PROMTOOL if PROMTOOL.exists() else shutil.which("promtool")
    if found is None:
        pytest.skip("no promtool (make promtool)")
    checked = subprocess.run(
        [found, *map(str, arguments)], input=given, capture_output=True, check=False
    )
    assert checked.returncode == 0, (checked.stdout + checked.stderr).decode()


def test_the_metrics_and_the_alerts_are_right_to_prometheus_itself(tmp_path: Path) -> None:
    gathered = asyncio.run(collected())

    class Gathered(Collector):
        def collect(self) -> Iterator[Metric]:
            return iter(gathered)

    promtool("check", "metrics", given=generate_latest(Gathered()))
    shown = [
        {"record": f"viva:{at}", "expr": expression.replace("$__rate_interval", "5m")}
        for at, expression in enumerate(drawn())
    ]
    board = tmp_path / "board.yml"
    board.write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": shown}]}))
    promtool("check", "rules", RULES, board)


def test_each_alert_fires_when_it_should_and_not_before() -> None:
    promtool("test", "rules", FIRED)


def test_no_alert_is_without_a_moment_at_which_it_fires_and_one_at_which_it_does_not() -> None:
    expected = defaultdict(set)
    for case in yaml.safe_load(FIRED.read_text("utf-8"))["tests"]:
        for moment in case["alert_rule_test"]:
            expected[moment["alertname"]].add(bool(moment["exp_alerts"]))
    assert expected == {alert["alert"]: {False, True} for alert in alerts()}


def alerts() -> list[dict[str, Any]]:
    """The alerts of the rules file."""
    return list(yaml.safe_load(RULES.read_text("utf-8"))["groups"][0]["rules"])


def drawn() -> list[str]:
    """The expressions of the board."""
    panels = json.loads(BOARD.read_text("utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


def test_the_panels_of_the_board_lie_side_by_side_and_say_what_they_show() -> None:
    board = json.loads(BOARD.read_text("utf-8"))
    (source,) = board["templating"]["list"]
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        columns = range(place["x"], place["x"] + place["w"])
        cells = {(x, y) for x in columns for y in range(place["y"], place["y"] + place["h"])}
        assert not taken & cells, panel["title"]
        taken |= cells
        if panel["type"] == "timeseries":
            assert panel["description"].endswith(".")
            sources = [target["datasource"]["uid"] for target in panel["targets"]]
            assert {panel["datasource"]["uid"], *sources} == {f"${{{source['name']}}}"}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


@cache
def typed(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))


def mistyped(part: Any, at: str) -> Iterator[str]:
    """What is of another type in a part of a board than Grafana's schema has."""
    for name, hint in get_type_hints(type(part)).items():
        value, place = getattr(part, name), f"{at}.{name}"
        parts = [each for each in (value if isinstance(value, list) else [value]) if is_part(each)]
        for number, each in enumerate(parts):
            yield from mistyped(each, f"{place}.{number}")
        if not parts:
            try:
                typed(hint).validate_json(json.dumps(value), strict=True)
            except ValidationError as error:
                yield f"{place} is {value!r}: {error.errors()[0]['msg']}"


def is_part(value: Any) -> bool:
    return hasattr(value, "from_json")


def lost(given: Any, kept: Any, at: str) -> Iterator[str]:
    """What of a board is not, or is otherwise, in what was made of it."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for name, value in given.items():
            yield from lost(value, kept.get(name), f"{at}.{name}")
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for number, (one, other) in enumerate(zip(given, kept, strict=True)):
            yield from lost(one, other, f"{at}.{number}")
    elif given != kept:
        yield f"{at}: {given!r} became {kept!r}"


def imported(board: Any) -> list[str]:
    """What Grafana's own models of a board, its panels and its queries do not take of one."""
    register_default_plugins()
    taken = Dashboard.from_json(board)
    kept = json.loads(JSONEncoder().encode(taken))
    return [*lost(board, kept, "board"), *mistyped(taken, "board")]


def test_grafana_imports_the_board_and_loses_nothing_of_it() -> None:
    board = json.loads(BOARD.read_text("utf-8"))
    assert imported(board) == []
    board["panels"][1]["targets"][0]["query"] = "up"  # a query of Prometheus has an "expr"
    board["schemaVersion"] = "39"
    assert imported(board) == [
        "board.panels.1.targets.0.query: 'up' became None",
        "board.schema_version is '39': Input should be a valid integer",
    ]


async def test_alerts_and_board_ask_for_metrics_and_values_that_there_are() -> None:
    rules = alerts()
    assert all(rule["annotations"]["summary"].endswith((".", "?")) for rule in rules)
    expressions = [*(rule["expr"] for rule in rules), *drawn()]
    values: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for metric in await collected():
        for sample in metric.samples:
            for label, value in sample.labels.items():
                values[sample.name][label].add(value)
            values[sample.name].setdefault("", set())
    asked = 0
    for expression in expressions:
        for name, selector in re.findall(r"(viva_\w+)(?:\{(.*?)\})?", expression):
            assert name in values, name
            for label, wanted in re.findall(r'(\w+)=~?"(.*?)"', selector):
                assert set(wanted.split("|")) <= values[name][label], (name, label)
                asked += 1
    assert asked >= 5


def test_every_attribute_of_a_span_is_listed() -> None:
    record = turn(
        errors=("GroundedResponder: x",),
        decision="escalate",
        reason="fault",
        cost=StageCost(1, 1, 1),
        failovers=(TAKEN_OVER,),
    )
    found = {*spans.of_call(over(call(), "fault")), *spans.of_turn(record)}
    found |= {name for work in spans.stage_work(record) for name in work.attributes}
    found |= {name for failover in spans.of_failovers(record) for name in failover}
    found -= {f"viva.{name}" for name in spans.LATENCIES} - {"viva.e2e_latency"}
    shortened = {f"viva.cost_micros.{stage}" for stage in ("brain", "tts")}
    listed = set(re.findall(r"`((?:viva|gen_ai|error)\.[\w.]+)`", DOCUMENT))
    assert found - shortened == listed


def test_the_numbers_in_it_are_those_of_the_code() -> None:
    assert f"up to {MAX_SPANS:,} are queued" in DOCUMENT
    assert f"there are {FLUSH_TIMEOUT_SECS:g} s for\nthe rest" in DOCUMENT
    assert f"cut off at {MAX_CHARS:,} characters" in DOCUMENT
