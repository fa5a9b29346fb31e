"""Models as assets: what an event tells of the training, and what is read back of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, Asset, AssetAlias

from airflow_spot_provider.assets import EVENT_KEY, model_asset, tell_events, training_of_event
from airflow_spot_provider.sweeps import group, spot_sweep
from airflow_spot_provider.training import (
    InvalidSpotRequest,
    Outcome,
    Price,
    SpotTrainingResult,
    SpotTuningResult,
    TuningOutcome,
    Uniform,
)
from airflow_spot_provider.training.tuning_result import BestTrainingJob
from tests.airflow_versions import ByAsset

RESULT = SpotTrainingResult(
    job_name="j",
    job_arn="arn",
    outcome=Outcome.COMPLETED,
    training_seconds=500,
    billable_seconds=100,
    savings_percent=80.0,
    model_artifacts="s3://bucket/j/output/model.tar.gz",
    metrics={"accuracy": 0.9},
    timeline=(("Training", None, None),),
).priced(Price(3.6, "USD", "2026-11-21"))


class _Accessor:
    def __init__(self) -> None:
        self.extra: dict[str, Any] = {"by": "the user"}
        self.added: list[tuple[Asset, dict[str, Any]]] = []

    def add(self, asset: Asset, extra: dict[str, Any]) -> None:
        self.added.append((asset, extra))


def test_event_tells_of_the_training_beside_what_the_user_put_there() -> None:
    model, accessor = model_asset("churn"), _Accessor()
    tell_events({"outlet_events": ByAsset((model, accessor))}, [model, "no asset"], RESULT)  # type: ignore[typeddict-item]

    assert accessor.extra["by"] == "the user"
    told = accessor.extra[EVENT_KEY]
    assert (told["savings_percent"], told["cost"], told["currency"]) == (80.0, 0.1, "USD")
    assert told["metrics"] == {"accuracy": 0.9}
    assert "timeline" not in told
    read = training_of_event(SimpleNamespace(extra=accessor.extra))
    assert isinstance(read, SpotTrainingResult)
    assert read.model_artifacts == RESULT.model_artifacts


def test_event_of_a_tuning_job_is_read_with_its_figures() -> None:
    tuned = SpotTuningResult(
        job_name="t",
        job_arn="arn",
        outcome=TuningOutcome.COMPLETED,
        status="Completed",
        jobs=3,
        training_instance_seconds=600,
        billable_instance_seconds=150,
        savings_percent=75.0,
        best=BestTrainingJob(
            job_name="t-1", metric="loss", value=0.1, model_artifacts="s3://b/t-1/model.tar.gz"
        ),
    )
    model, accessor = model_asset("churn"), _Accessor()
    tell_events({"outlet_events": ByAsset((model, accessor))}, [model], tuned)  # type: ignore[typeddict-item]
    assert training_of_event(SimpleNamespace(extra=accessor.extra)) == tuned


def test_asset_that_an_outlet_only_names_is_told_too() -> None:
    named, accessor = Asset.ref(name="churn"), _Accessor()
    tell_events({"outlet_events": ByAsset((named, accessor))}, [named], RESULT)  # type: ignore[typeddict-item]
    assert accessor.extra[EVENT_KEY]["job_name"] == "j"


def test_alias_gets_an_event_for_the_model_itself() -> None:
    alias, accessor = AssetAlias("models"), _Accessor()
    tell_events({"outlet_events": ByAsset((alias, accessor))}, [alias], RESULT)  # type: ignore[typeddict-item]

    [(asset, extra)] = accessor.added
    assert asset.uri == RESULT.model_artifacts
    assert extra[EVENT_KEY]["job_name"] == "j"


@pytest.mark.parametrize("extra", [None, {}, {EVENT_KEY: "text"}, {EVENT_KEY: {"outcome": "Exploded"}}])
def test_event_of_somebody_else_tells_of_no_training(extra: Any) -> None:
    assert training_of_event(SimpleNamespace(extra=extra)) is None


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"name": " "}, "name is ' '; it takes text"),
        ({"name": 5}, "name is 5; it takes text"),
        ({"name": "{{ dag.dag_id }}"}, "template"),
        ({"name": "m" * 1501}, "cannot exceed 1500 characters"),
        ({"name": "m", "uri": "s3://b/{{ run_id }}"}, "template"),
        ({"name": "m", "uri": 5}, "uri is 5; it takes text"),
        ({"name": "m", "uri": ""}, "uri is ''; it takes text"),
        ({"name": "m", "uri": "s3://"}, "must contain a bucket name"),
        ({"name": "m", "uri": "http://[b"}, "Invalid IPv6 URL"),
        ({"name": "m", "uri": "airflow://m"}, "reserved"),
        ({"name": "m", "group": 5}, "group must be a string"),
        ({"name": "m", "loss": float("nan")}, "no plain JSON"),
        ({"name": "m", "owner": object()}, "no plain JSON"),
        ({"name": "m", "extra": {"owner": "ml"}}, "arguments of their own"),
    ],
)
def test_model_asset_that_airflow_would_not_take_or_that_changes_is_refused(
    arguments: dict[str, Any], word: str
) -> None:
    with pytest.raises(InvalidSpotRequest, match=word):
        model_asset(**arguments)


def test_model_asset_has_a_fixed_uri_and_a_group() -> None:
    asset = model_asset("churn", owner="ml")
    assert (asset.name, asset.uri, asset.group) == ("churn", "churn", "spot-model")
    assert asset.extra == {"kind": "model", "owner": "ml"}


def test_asset_of_a_sweep_is_updated_once_and_tells_of_the_best_trial(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model, accessor = model_asset("churn"), _Accessor()
    with DAG("d", schedule=None) as dag:
        swept = spot_sweep(
            "sweep",
            config={
                "RoleArn": "arn:aws:iam::123456789012:role/training",
                "AlgorithmSpecification": {"TrainingImage": "local/image:1", "TrainingInputMode": "File"},
                "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
                "OutputDataConfig": {"S3OutputPath": "s3://bucket/output"},
            },
            space={"x": Uniform(-1, 1)},
            metric="loss",
            mode="min",
            storage=f"sqlite:///{tmp_path}/studies.db",
            budget={"trials": 2},
            max_wait=100_000,
            checkpoint_s3_uri="s3://bucket/checkpoints",
            outlets=[model],
        )
    assert {task_id: list(task.outlets) for task_id, task in dag.task_dict.items()} == {
        "sweep.prepare": [],
        "sweep.trials": [],
        "sweep.results": [model],
    }

    class _Trials:
        """A study with two trials, the second of which is the best."""

        def __init__(self, *_of_run: object) -> None:
            self.give_up = self.all = lambda *_state: []
            self.results = lambda: {0: RESULT.model_copy(update={"job_name": "worse"}), 1: RESULT}
            self.best = lambda: [SimpleNamespace(number=1, values=[0.1], params={})]
            self.spent = lambda: SimpleNamespace(is_all=lambda _budget: "trials")

    monkeypatch.setattr(group, "Trials", _Trials)
    ti = SimpleNamespace(dag_id="d", run_id="r", task_id="sweep.results")
    swept.result.execute({"ti": ti, "outlet_events": ByAsset((model, accessor))})  # type: ignore[arg-type, typeddict-item]
    assert accessor.extra[EVENT_KEY]["job_name"] == "j"
