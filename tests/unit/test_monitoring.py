"""Metrics: what a job that has ended tells, and that mapping and dashboard in docs/monitoring know each metric there is."""

from __future__ import annotations

import ast
import json
import logging
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from airflow_spot_provider.aws.watching import metrics as watching_metrics
from airflow_spot_provider.operators import _metrics
from airflow_spot_provider.training import (
    Outcome,
    Price,
    SpotTrainingResult,
    SpotTuningResult,
    TuningOutcome,
)
from airflow_spot_provider.training.tuning_member import TuningMember
from tests.builders import DescribedJob, a_training_job

PACKAGE = Path(_metrics.__file__).parents[1]
MONITORING = PACKAGE.parent / "docs" / "monitoring"
PRICE = Price(3.6, "USD", "2026-11-21")
log = logging.getLogger(__name__)


class _Stats:
    """Airflow's Stats, written down."""

    def __init__(self) -> None:
        self.sent: dict[str, tuple[str, float, dict[str, str]]] = {}

    def incr(self, stat: str, count: float = 1, *, tags: Mapping[str, str]) -> None:
        self.sent[stat] = ("counter", count, dict(tags))

    def gauge(self, stat: str, value: float, *, tags: Mapping[str, str]) -> None:
        self.sent[stat] = ("gauge", value, dict(tags))

    def timing(self, stat: str, value: float, *, tags: Mapping[str, str]) -> None:
        self.sent[stat] = ("observer", value, dict(tags))


@pytest.fixture
def stats(monkeypatch: pytest.MonkeyPatch) -> _Stats:
    stats = _Stats()
    monkeypatch.setattr(_metrics, "Stats", stats)
    return stats


def _measure(
    job: DescribedJob, *, price: Price | None = PRICE, dag_id: str = "d", task_id: str = "g.train"
) -> None:
    result = SpotTrainingResult.of(job.described()).priced(price)
    context: Any = {"ti": SimpleNamespace(dag_id=dag_id, task_id=task_id)}
    _metrics.measure(log, context, result, instance_type=result.instance_type)


# What a job tells


def test_job_counts_with_its_figures_and_its_money(stats: _Stats) -> None:
    job = a_training_job().interrupted(2).completed().billed(500, 100)
    _measure(job.having(ResourceConfig={"InstanceType": "ml.g5.xlarge", "InstanceCount": 3}))
    tags = {
        "dag_id": "d",
        "task_id": "g.train",
        "outcome": "Completed",
        "managed_spot": "true",
        "instance_type": "ml.g5.xlarge",
        "region": "eu-west-1",
    }
    money = tags | {"currency": "USD"}
    assert stats.sent == {
        "airflow_spot.job.ended": ("counter", 1, tags),
        "airflow_spot.job.interruptions": ("counter", 2, tags),
        "airflow_spot.job.waiting_seconds": ("counter", 420, tags),
        "airflow_spot.job.training_instance_seconds": ("counter", 1500, tags),
        "airflow_spot.job.billable_instance_seconds": ("counter", 300, tags),
        "airflow_spot.job.savings_percent": ("gauge", 80, tags),
        "airflow_spot.job.cost": ("counter", 0.3, money),
        "airflow_spot.job.on_demand_cost": ("counter", 1.5, money),
    }


def test_what_is_not_known_is_not_told(stats: _Stats) -> None:
    _measure(a_training_job().completed().billed(500, 100), price=None)
    assert {"airflow_spot.job.cost", "airflow_spot.job.on_demand_cost"}.isdisjoint(stats.sent)

    stats.sent.clear()
    _measure(a_training_job().max_wait_exceeded())
    assert {name.rpartition(".")[2] for name in stats.sent} == {"ended", "interruptions", "waiting_seconds"}
    assert stats.sent["airflow_spot.job.ended"][2]["outcome"] == "MaxWaitTimeExceeded"


def test_tuning_job_counts_once_with_what_all_its_training_jobs_came_to(stats: _Stats) -> None:
    members = [
        TuningMember(
            {"TrainingJobName": f"tune-{number}", "TrainingJobStatus": "Completed"},
            SpotTrainingResult.of(
                a_training_job(f"tune-{number}").billed(500, 100).completed().described()
            ).priced(PRICE),
        )
        for number in range(4)
    ]
    described = {
        "HyperParameterTuningJobName": "tune",
        "HyperParameterTuningJobArn": "arn:aws:sagemaker:us-east-1:1:hyper-parameter-tuning-job/tune",
        "HyperParameterTuningJobStatus": "Completed",
        "TrainingJobStatusCounters": {"Completed": 4},
        "ObjectiveStatusCounters": {"Succeeded": 4},
    }
    context: Any = {"ti": SimpleNamespace(dag_id="d", task_id="tune")}
    _metrics.measure(log, context, SpotTuningResult.of(described, members), instance_type=None)

    values = {name.rpartition(".")[2]: value for name, (_, value, _) in stats.sent.items()}
    assert (values["ended"], values["billable_instance_seconds"], values["cost"]) == (1, 400, 0.4)
    tags = stats.sent["airflow_spot.job.ended"][2]
    assert (tags["instance_type"], tags["region"]) == ("unknown", "us-east-1")


def test_metrics_that_cannot_be_sent_fail_no_task(
    stats: _Stats, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def _refuse(*_args: Any, **_kwargs: Any) -> None:
        raise ValueError("no such registry")

    monkeypatch.setattr(stats, "incr", _refuse)
    with caplog.at_level(logging.WARNING):
        _measure(a_training_job("j-1").completed())
    assert "The metrics of j-1 could not be sent: no such registry" in caplog.text


@pytest.mark.parametrize(
    ("dag_id", "task_id"), [("d" * 250, "t" * 250), ("日本語 dag", "a=b,c"), ("d" * 32, "group." + "t" * 26)]
)
@pytest.mark.parametrize("outcome", [*Outcome, *TuningOutcome])
def test_airflow_takes_every_name_with_its_tags(
    stats: _Stats, dag_id: str, task_id: str, outcome: str
) -> None:
    job = a_training_job().completed().billed(500, 100)
    job.having(
        TrainingJobArn="arn:aws:sagemaker:ap-northeast-1:1:training-job/j",
        ResourceConfig={"InstanceType": "ml.p6e-gb200.36xlarge", "InstanceCount": 1},
    )
    _measure(job, dag_id=dag_id, task_id=task_id)
    assert len(stats.sent) == 8
    for name, (_, _, tags) in stats.sent.items():
        tags["outcome"] = str(outcome)
        tags["managed_spot"] = "false"
        written = name + "".join(f",{key}={value}" for key, value in tags.items())
        # StatsD with InfluxDB's tags: Airflow drops what is longer, or holds anything else.
        assert re.fullmatch(r"[A-Za-z0-9_.\-/,=]{1,250}", written), written
        assert written.count("=") == len(tags)


def test_ids_that_are_too_long_stay_apart(stats: _Stats) -> None:
    for last in "ab":
        _measure(a_training_job().completed(), dag_id="d" * 100 + last, task_id=f"日本{last}")
        stats.sent[last] = stats.sent["airflow_spot.job.ended"]
    assert stats.sent["a"][2]["dag_id"] != stats.sent["b"][2]["dag_id"]
    assert stats.sent["a"][2]["task_id"] != stats.sent["b"][2]["task_id"]


def test_watchers_tags_are_such_that_airflow_takes_them(stats: _Stats) -> None:
    metrics = watching_metrics.AirflowMetrics("eu-west-1")
    metrics._stats = stats
    metrics.gauge("watched_jobs", 3, kind="training job")
    metrics.incr("calls", operation="ListTrainingJobs")
    metrics.timing("poll_duration", 0.5, kind="hyperparameter tuning job")
    assert stats.sent == {
        "airflow_spot.watcher.watched_jobs": ("gauge", 3, {"region": "eu-west-1", "kind": "training_job"}),
        "airflow_spot.watcher.calls": (
            "counter",
            1,
            {"region": "eu-west-1", "operation": "ListTrainingJobs"},
        ),
        "airflow_spot.watcher.poll_duration": (
            "observer",
            500,
            {"region": "eu-west-1", "kind": "hyperparameter_tuning_job"},
        ),
    }


# Mapping and dashboard


TYPES = {"incr": "counter", "gauge": "gauge", "timing": "observer"}
PASSES_NAMES_ON = PACKAGE / "aws" / "watching" / "metrics.py"
SENT_ELSEWHERE = {"airflow_spot.checkpoint.age": "gauge", "airflow_spot.checkpoint.stale": "counter"}
"""Of the triggers; asked for by name, so that mapping and dashboard hold them in any case."""


def _metrics_in(module: Path) -> Iterator[tuple[str, str]]:
    """Name and type of each metric that a module sends."""
    tree = ast.parse(module.read_text())
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if (
            not isinstance(node, ast.Call)
            or not isinstance(node.func, ast.Attribute)
            or node.func.attr not in TYPES
        ):
            continue
        name = node.args[0]
        if isinstance(name, ast.Constant):
            through_watcher = ast.unparse(node.func.value).endswith("_metrics")
            yield (
                (f"{watching_metrics.PREFIX}." if through_watcher else "") + name.value,
                TYPES[node.func.attr],
            )
        elif isinstance(name, ast.JoinedStr):
            parts = [
                part.value if isinstance(part, ast.Constant) else constants[ast.unparse(part.value)]  # type: ignore[attr-defined]  # a FormattedValue
                for part in name.values
            ]
            yield "".join(parts), TYPES[node.func.attr]
        else:
            raise AssertionError(f"{module}:{node.lineno} sends a metric whose name cannot be read here")


@pytest.fixture(scope="module")
def sent() -> dict[str, str]:
    found: dict[str, str] = dict(SENT_ELSEWHERE)
    for module in PACKAGE.rglob("*.py"):
        if module.is_relative_to(PACKAGE / "emulator") or module == PASSES_NAMES_ON:
            continue
        for name, kind in _metrics_in(module):
            assert found.setdefault(name, kind) == kind, name
    return found


@pytest.fixture(scope="module")
def mappings() -> list[dict[str, Any]]:
    mapping = yaml.safe_load((MONITORING / "statsd-mapping.yaml").read_text())
    assert set(mapping) == {"defaults", "mappings"}
    return list(mapping["mappings"])


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    return dict(json.loads((MONITORING / "grafana-dashboard.json").read_text()))


def test_metrics_of_the_code_are_found(sent: dict[str, str]) -> None:
    assert sum(name.startswith("airflow_spot.job.") for name in sent) == 8
    documented = re.findall(
        r"^ {4}(\w+) +(?:gauge|counter|timer) ", watching_metrics.AirflowMetrics.__doc__ or "", re.M
    )
    assert {name.removeprefix("airflow_spot.watcher.") for name in sent if ".watcher." in name} == set(
        documented
    )


def test_every_metric_is_mapped_once_and_by_its_type(
    sent: dict[str, str], mappings: list[dict[str, Any]]
) -> None:
    mapped = {
        name: [
            each["match_metric_type"] for each in mappings if fnmatchcase(f"airflow.{name}", each["match"])
        ]
        for name in sent
    }
    assert mapped == {name: [kind] for name, kind in sent.items()}
    assert len(mappings) == len(sent)  # nothing is mapped that nobody sends


def test_mapped_names_are_such_that_prometheus_takes_them(mappings: list[dict[str, Any]]) -> None:
    names = [each["name"] for each in mappings]
    assert len(set(names)) == len(names)
    for each in mappings:
        assert re.fullmatch(r"[a-z_]+", each["name"])
        assert each["help"].endswith(".")
        assert each["name"].endswith("_total") == (each["match_metric_type"] == "counter")
        assert each["name"].endswith("_seconds") or each["match_metric_type"] != "observer"


def _queries(dashboard: Mapping[str, Any]) -> Iterator[str]:
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (each["definition"] for each in dashboard["templating"]["list"] if each["type"] == "query")


def test_dashboard_asks_for_every_metric_that_the_mapping_makes_and_for_no_other(
    dashboard: dict[str, Any], mappings: list[dict[str, Any]]
) -> None:
    made = {
        each["name"] + ("_bucket" if each["match_metric_type"] == "observer" else "") for each in mappings
    }
    asked = {name for query in _queries(dashboard) for name in re.findall(r"\bairflow\w+", query)}
    assert asked == made


def test_dashboard_is_one_that_grafana_takes(dashboard: dict[str, Any]) -> None:
    assert dashboard["schemaVersion"] >= 39
    assert dashboard["id"] is None  # Grafana gives its own
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["title"]
            assert panel["description"]
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            references = [target["refId"] for target in panel["targets"]]
            assert len(set(references)) == len(references)
    variables = {each["name"] for each in dashboard["templating"]["list"]}
    used = {
        name for query in _queries(dashboard) for name in re.findall(r"\$(\w+)", query) if "__" not in name
    }
    assert used | {"datasource"} == variables


@pytest.mark.parametrize("bracket", ["()", "{}", "[]"])
def test_queries_are_whole(dashboard: dict[str, Any], bracket: str) -> None:
    for query in _queries(dashboard):
        assert query.count(bracket[0]) == query.count(bracket[1]), query


def test_documentation_names_every_metric(sent: dict[str, str]) -> None:
    written = (MONITORING.parent / "monitoring.md").read_text() + (
        MONITORING.parent / "watching.md"
    ).read_text()
    missing = {name for name in sent if f"`{name.rpartition('.')[2]}`" not in written}
    assert missing == set()
