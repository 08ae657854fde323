"""Dashboards and alerts: they ask Prometheus in its own language, for metrics and labels that exist, and every alert has its page to read."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import promql_parser as promql
import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from parley.contracts import DeliveryStatus, Purpose
from parley.metrics import Metrics
from parley.settings import PORTS
from parley_analytics.rates import RATES

ROOT = Path(__file__).parents[1]
BOARDS = sorted((ROOT / "deploy/grafana").glob("*.json"))
RULES = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text(encoding="utf-8"))
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
SCRAPE = yaml.safe_load((ROOT / "deploy/prometheus/scrape.yaml").read_text(encoding="utf-8"))
OPERATING = (ROOT / "docs/operating.md").read_text(encoding="utf-8")

TARGET = {"job", "instance"}
"""Labels that Prometheus itself puts on every series."""
ITS_OWN = {"up": set(TARGET)}
"""Metrics that Prometheus itself makes."""
NOT_SHOWN: dict[str, str] = {}
"""Metrics that no panel shows, each with the reason why not."""
WORDS = {
    "rate": set(RATES),
    "purpose": {one.value for one in Purpose},
    "status": {"2xx", "4xx", "5xx"} | {one.value for one in DeliveryStatus},
    "outcome": {"accepted", "permanent", "transient", "throttled", "opted_out", "unknown", "again", "answered"},
    "state": {"working", "failing", "disabled", "sent", "due", "failed"},
    "kind": {"reread", "accepted"},
    "stage": {"analytics", "spool"},
}
"""What a label is compared with that has few values."""
OF_TABLES = {
    *(
        "parley_queue_depth",
        "parley_queue_age_seconds",
        "parley_lane_paused",
        "parley_lane_circuit_open",
        "parley_unknown",
        "parley_unknown_age_seconds",
    ),
    *("parley_outbox_entries", "parley_outbox_age_seconds", "parley_webhooks", "parley_webhook_late_seconds", "parley_campaign_rate"),
}
"""Gauges that every replica reads from the same tables: a sum over them would count each thing as often as there are replicas."""
UNITS = {"short", "s", "bytes", "percentunit", "eps", "cps", "reqps"}


def catalogue() -> dict[str, set[str]]:
    """Series that Parley has, with their labels."""
    found = {}
    for one in vars(Metrics()).values():
        if isinstance(one, MetricWrapperBase):
            family, labels = next(iter(one.describe())), set(one._labelnames)
            names = {"counter": ["_total"], "histogram": ["_sum", "_count"], "gauge": [""]}[family.type]
            found |= {f"{family.name}{end}": labels for end in names}
            if family.type == "histogram":
                found[f"{family.name}_bucket"] = {*labels, "le"}
    return found


SERIES = {name: labels | TARGET for name, labels in catalogue().items()} | ITS_OWN


def parsed(query: str) -> promql.Expr:
    """The query without Grafana's variables, read by the parser of PromQL."""
    return promql.parse(re.sub(r"\$\w+", "x", query.replace("$__rate_interval", "5m")))


def within(expr: object) -> Iterator[object]:
    """The parts that an expression is made of, one step down."""
    if isinstance(expr, promql.Call):
        yield from expr.args
    for name in ("expr", "param", "lhs", "rhs", "vector_selector", "vs"):
        if (part := getattr(expr, name, None)) is not None:
            yield part


def selectors(expr: object) -> Iterator[promql.VectorSelector]:
    if isinstance(expr, promql.VectorSelector):
        yield expr
    for part in within(expr):
        yield from selectors(part)


def labels(expr: object) -> set[str]:
    """Labels of what an expression gives. Raises AssertionError for one that it groups by or matches on and that is not there."""
    match expr:
        case promql.VectorSelector():
            has = SERIES[expr.name]
            assert {one.name for one in expr.matchers.matchers} <= has, f"{expr} asks for a label that {expr.name} has not: {has}"
            return set(has)
        case promql.AggregateExpr():
            inner, by = labels(expr.expr), set(expr.modifier.labels) if expr.modifier else set()
            assert by <= inner, f"{expr} groups by {by - inner}, which is not there"
            return by
        case promql.BinaryExpr():
            left, right = labels(expr.lhs), labels(expr.rhs)
            matching = expr.modifier.matching if expr.modifier else None
            shared = set(matching.labels) if matching else left
            numbers = isinstance(expr.lhs, promql.NumberLiteral) or isinstance(expr.rhs, promql.NumberLiteral)
            assert numbers or (shared <= left and shared <= right), f"the sides of {expr} do not match: {left}, {right}"
            return left | right if numbers else left
        case promql.Call() if expr.func.name == "histogram_quantile":
            inner = labels(expr.args[1])
            assert "le" in inner, f"{expr} has lost its buckets"
            return inner - {"le"}
    return set().union(*(labels(part) for part in within(expr)))


def summed(expr: object, above: object = None) -> Iterator[str]:
    """Gauges of tables that something else than `max` or `count` takes together first."""
    if isinstance(expr, promql.VectorSelector) and expr.name in OF_TABLES:
        taken = str(above.op) if isinstance(above, promql.AggregateExpr) else None
        if taken not in ("max", "count"):
            yield expr.name
    keep = isinstance(expr, (promql.AggregateExpr, promql.BinaryExpr))
    for part in within(expr):
        yield from summed(part, expr if keep else above)


def panels(path: Path) -> list[dict]:
    return [one for one in json.loads(path.read_text(encoding="utf-8"))["panels"] if one["type"] != "row"]


def asked() -> list[object]:
    """Every query, by where it stands."""
    shown = [pytest.param(target["expr"], id=f"{path.stem}: {one['title']}") for path in BOARDS for one in panels(path) for target in one["targets"]]
    return shown + [pytest.param(rule["expr"], id=rule["alert"]) for rule in ALERTS]


@pytest.mark.parametrize("query", asked())
def test_a_query_asks_for_what_there_is(query):
    """In PromQL; metrics of the catalogue, with labels that they have, whatever the query does with them; words that a label may have."""
    expr = parsed(query)
    found = list(selectors(expr))

    assert found and {one.name for one in found} <= SERIES.keys()
    assert labels(expr) is not None
    assert [] == list(summed(expr))
    for one in (matcher for selector in found for matcher in selector.matchers.matchers if matcher.name in WORDS):
        assert set(one.value.split("|")) <= WORDS[one.name]


@pytest.mark.parametrize(
    "query",
    [
        "sum by (lane) (rate(parley_attempts_total{lane=~'a'}[5m])",
        "parley_attempts",
        "sum by (purpose) (rate(parley_attempts_total[5m]))",
        "parley_attempts_total{purpose='reply'}",
        "sum by (lane) (parley_queue_depth)",
        "parley_attempts_total{outcome='refused'}",
        "histogram_quantile(0.9, sum by (stage) (rate(parley_batch_seconds_bucket[5m])))",
        "sum by (lane) (rate(parley_attempts_total[5m])) / sum by (lane, outcome) (rate(parley_attempts_total[5m])) / sum by (stage) (parley_lag_records)",
        "max by (lane) (parley_queue_age_seconds) unless on (stage) max by (lane) (parley_lane_paused)",
    ],
)
def test_a_query_that_asks_for_something_else_is_found(query):
    """Each has one fault of the kind that dashboards come to have when metrics change."""
    with pytest.raises((ValueError, AssertionError, KeyError)):
        test_a_query_asks_for_what_there_is(query)


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_a_panel_tells_what_it_shows(path):
    """Title, unit and a sentence, in English; its data come from where the reader chose."""
    source = {"type": "prometheus", "uid": "${datasource}"}
    for one in panels(path):
        assert one["title"] and one["title"].isascii()
        assert one["description"].rstrip().endswith(".") and not re.search("[가-힣]", one["description"])
        assert one["fieldConfig"]["defaults"]["unit"] in UNITS
        assert [source] * (1 + len(one["targets"])) == [one["datasource"], *(target["datasource"] for target in one["targets"])]


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_panels_stand_side_by_side(path):
    """Numbered once each; none lies on another, none sticks out; the file is as Grafana takes it."""
    board = json.loads(path.read_text(encoding="utf-8"))
    cells = [
        (x, y)
        for one in board["panels"]
        for at in [one["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]

    assert path.stem == board["uid"] and board["title"].startswith("Parley: ") and board["description"]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24
    assert len({one["id"] for one in board["panels"]}) == len(board["panels"])


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_a_variable_is_known_and_used(path):
    """All that a query names is there to choose from; a choice that changes nothing is none; choices come from metrics and labels that exist."""
    board = json.loads(path.read_text(encoding="utf-8"))
    chosen = {one["name"]: one for one in board["templating"]["list"]}
    queries = [target["expr"] for one in panels(path) for target in one["targets"]]
    used = {name for query in queries for name in re.findall(r"\$(\w+)", query)} - {"__rate_interval"}

    assert chosen.keys() == used | {"datasource"} and used
    for one in (one for one in chosen.values() if one["type"] == "query"):
        series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", one["query"]["query"]).groups()
        assert label in labels(parsed(series))
        assert one["datasource"] == {"type": "prometheus", "uid": "${datasource}"} and one["includeAll"]


def test_every_metric_is_seen():
    """By some panel; or it stands in a list with the reason why not."""
    shown = {one.name for path in BOARDS for panel in panels(path) for target in panel["targets"] for one in selectors(parsed(target["expr"]))}
    families = {
        re.sub("_(sum|count|bucket)$", "", name) if f"{re.sub('_(sum|count|bucket)$', '', name)}_bucket" in SERIES else name for name in catalogue()
    }

    assert families == {re.sub("_bucket$", "", name) for name in shown} | NOT_SHOWN.keys()
    assert all(NOT_SHOWN.values())


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_can_be_read_and_acted_on(rule):
    """It compares something, after a time that Prometheus understands; says how bad, what, and where it is told what to do; names only labels it has."""
    expr, notes = parsed(rule["expr"]), rule["annotations"]
    named = set(re.findall(r"\$labels\.(\w+)", " ".join(notes.values())))

    assert {"alert", "expr", "labels", "annotations"} <= rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert isinstance(expr, promql.BinaryExpr) and str(expr.op) in (">", "<", "==", "and", "unless")
    assert promql.parse_duration(rule.get("for", "1s"))
    assert rule["labels"]["severity"] in ("page", "ticket") and set(rule["labels"]) == {"severity"}
    assert notes.keys() == {"summary", "description", "runbook"}
    assert named <= labels(expr)
    assert notes["runbook"] == f"docs/operating.md#{rule['alert'].lower()}"


def test_every_alert_has_its_place_in_the_runbook():
    """And the runbook speaks of no other; each place says what it means and what to do."""
    places = re.findall(r"^### (Parley\w+)$", OPERATING, re.MULTILINE)
    told = re.split(r"^### Parley\w+$", OPERATING, flags=re.MULTILINE)[1:]

    assert [rule["alert"] for rule in ALERTS] == places
    assert all("**Means**" in one and "**Do**" in one for one in told)


def test_names_in_the_runbook_exist():
    """Metrics, and files of the repository."""
    names = set(re.findall(r"`(parley_\w+)`", OPERATING))
    files = set(re.findall(r"\]\(([\w./-]+?)(?:#[\w-]+)?\)", OPERATING))

    assert names <= SERIES.keys() | {re.sub("_bucket$", "", name) for name in SERIES}
    assert files and all((ROOT / "docs" / one).exists() for one in files)


def test_every_service_is_scraped_under_its_job():
    """At its port; dashboards and alerts tell services by these names."""
    jobs = {one["job_name"]: one["static_configs"][0]["targets"] for one in SCRAPE["scrape_configs"]}

    assert {f"parley-{name}": [f"127.0.0.1:{port}"] for name, port in PORTS.items()} == jobs
    assert ["alerts.yaml"] == SCRAPE["rule_files"]
