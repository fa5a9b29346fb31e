"""The spot training group: its shape, its settings, its output."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.task_groups import spot_training_group
from airflow_spot_provider.training import InvalidSpotRequest, SpotTrainingError
from tests.airflow_versions import AirflowSkipException

CONFIG = {
    "RoleArn": "arn:aws:iam::123456789012:role/training",
    "AlgorithmSpecification": {"TrainingImage": "local/image:1", "TrainingInputMode": "File"},
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/output"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
    "StoppingCondition": {"MaxRuntimeInSeconds": 7200},
}
ARGUMENTS: dict[str, Any] = {"max_wait": 9000, "checkpoint_s3_uri": "s3://bucket/checkpoints"}


def _dag(config: Any = CONFIG, **kwargs: Any) -> DAG:
    with DAG("d", schedule=None) as dag:
        spot_training_group("g", config, **{**ARGUMENTS, **kwargs})
    dag.resolve_template_files()
    return dag


def test_group_trains_on_spot_branches_falls_back_and_joins() -> None:
    dag = _dag()

    edges = {task_id: task.downstream_task_ids for task_id, task in dag.task_dict.items()}
    assert edges == {
        "g.train_on_spot": {"g.how_it_ended"},
        "g.how_it_ended": {"g.train_on_demand", "g.result"},
        "g.train_on_demand": {"g.result"},
        "g.result": set(),
    }


def test_both_trainings_share_all_but_spot() -> None:
    dag = _dag({**CONFIG, "EnableManagedSpotTraining": True}, hyperparameters={"epochs": 3}, poll_interval=7)
    spot, demand = (dag.get_task(f"g.train_on_{kind}") for kind in ("spot", "demand"))
    assert isinstance(spot, SageMakerSpotTrainingOperator)
    assert isinstance(demand, SageMakerSpotTrainingOperator)

    on_spot, on_demand = spot._request(), demand._request()
    assert on_spot.pop("EnableManagedSpotTraining") is True
    assert on_spot["StoppingCondition"].pop("MaxWaitTimeInSeconds") == 9000
    assert on_spot == on_demand
    assert (spot.poll_interval, demand.poll_interval) == (7, 7)
    assert on_demand["CheckpointConfig"] == {"S3Uri": "s3://bucket/checkpoints"}


def test_config_that_is_known_only_when_rendered_loses_its_spot_members_then() -> None:
    dag = _dag("{{ config }}")
    demand = dag.get_task("g.train_on_demand")
    assert isinstance(demand, SageMakerSpotTrainingOperator)
    demand._unmasked = {"config": {**CONFIG, "EnableManagedSpotTraining": True}, "hyperparameters": None}

    with pytest.raises(
        AttributeError, match="try_number"
    ):  # as far as to the task instance: the request itself is in order
        demand.execute({"ti": _TaskInstance({})})  # type: ignore[typeddict-item]

    assert "EnableManagedSpotTraining" not in demand._request()


def test_group_without_fallback_only_trains_on_spot() -> None:
    dag = _dag(fallback=None)

    assert set(dag.task_dict) == {"g.train_on_spot", "g.result"}
    training = dag.get_task("g.train_on_spot")
    assert isinstance(training, SageMakerSpotTrainingOperator)
    assert set(training.accept) == {"Completed"}


def test_unknown_fallback_is_refused() -> None:
    with pytest.raises(InvalidSpotRequest, match="'on_demand' or None"):
        _dag(fallback="cheaper")


class _TaskInstance:
    map_index = -1

    def __init__(self, xcoms: dict[str, Any]) -> None:
        self._xcoms = xcoms

    def xcom_pull(self, task_ids: str) -> Any:
        return self._xcoms.get(task_ids)


def _result(outcome: str, job: str) -> dict[str, Any]:
    return {"job_name": job, "job_arn": "", "outcome": outcome}


@pytest.mark.parametrize(
    ("spot", "demand", "job"),
    [
        (_result("Completed", "spot"), None, "spot"),
        (_result("MaxWaitTimeExceeded", "spot"), _result("Completed", "demand"), "demand"),
        # The group was cleared, and spot sufficed this time: the other XCom is an earlier round's.
        (_result("Completed", "spot"), _result("Completed", "old"), "spot"),
    ],
)
def test_output_is_the_result_of_the_training_that_was_done(spot: Any, demand: Any, job: str) -> None:
    join = _dag().get_task("g.result")
    ti = _TaskInstance({"g.train_on_spot": spot, "g.train_on_demand": demand})

    assert join.execute({"ti": ti})["job_name"] == job  # type: ignore[typeddict-item]


def test_join_without_a_completed_training_is_an_error() -> None:
    join = _dag().get_task("g.result")
    stopped = _TaskInstance({"g.train_on_spot": _result("Stopped", "spot")})

    with pytest.raises(SpotTrainingError, match="None of"):
        join.execute({"ti": stopped})  # type: ignore[typeddict-item]


def test_join_of_a_group_that_was_skipped_is_skipped() -> None:
    join = _dag().get_task("g.result")

    with pytest.raises(AirflowSkipException, match="they were skipped"):
        join.execute({"ti": _TaskInstance({})})  # type: ignore[typeddict-item]


def test_training_on_demand_is_skipped_where_the_one_on_spot_completed() -> None:
    demand = _dag().get_task("g.train_on_demand")
    ti = _TaskInstance({"g.train_on_spot": _result("Completed", "spot")})

    with pytest.raises(AirflowSkipException, match=r"g\.train_on_spot completed"):
        demand.execute({"ti": ti})  # type: ignore[typeddict-item]
