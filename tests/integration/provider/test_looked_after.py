"""What the operator asks of its trigger: checked when the DAG file is parsed, carried over, and kept at the end."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_spot_provider.aws.kinds import TRAINING_JOBS
from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.task_groups import spot_training_group
from airflow_spot_provider.training import InvalidSpotRequest, SpotAlert, SpotProgress
from tests import alerting
from tests.airflow_versions import DagSerialization, TaskDeferred
from tests.integration.provider.task_instance import FakeTaskInstance

URI = "s3://integration/looked-after"
ALERT = SpotAlert(alerting.note_text, interruptions=3, max_wait_share=0.8, kwargs={"text": "{{ message }}"})


def _operator(job_config: dict[str, Any], **arguments: Any) -> SageMakerSpotTrainingOperator:
    known = {"max_wait": 1_200, "checkpoint_s3_uri": URI, "region_name": "us-east-1", "poll_interval": 1}
    return SageMakerSpotTrainingOperator(task_id="train", config=job_config, **{**known, **arguments})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"checkpoint_interval": 0}, "checkpoint_interval is 0; it takes seconds or a timedelta"),
        ({"checkpoint_interval": "10 min"}, "checkpoint_interval is '10 min'"),
        ({"checkpoint_interval": 600, "checkpoint_s3_uri": None}, "checkpoint_interval is given and the job has no checkpoints"),
        ({"checkpoint_interval": 600, "checkpoint_s3_uri": None, "managed_spot": False, "max_wait": None}, "has no checkpoints"),
        ({"checkpoint_interval": 600, "deferrable": False}, "leave deferrable=True, or leave them out"),
        ({"alerts": [ALERT], "deferrable": False}, "leave deferrable=True, or leave them out"),
        ({"alerts": ALERT}, "alerts is of type SpotAlert; it takes a list"),
        ({"alerts": [SpotAlert("builtins.int", stale_checkpoint=True)]}, "pass checkpoint_interval="),
    ],
)  # fmt: skip
def test_what_cannot_be_looked_after_is_refused_at_parse(
    job_config: dict[str, Any], arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidSpotRequest) as error:
        _operator(job_config, **arguments)
    assert said in str(error.value)


def test_checkpoints_of_a_template_are_known_in_the_task(job_config: dict[str, Any]) -> None:
    operator = _operator(job_config, checkpoint_interval=600, checkpoint_s3_uri="{{ params.uri }}")
    operator.checkpoint_s3_uri = None  # as the template comes to nothing

    with pytest.raises(InvalidSpotRequest, match="has no checkpoints"):
        operator._request()


def test_checkpoints_of_the_config_are_checkpoints(job_config: dict[str, Any]) -> None:
    job_config["CheckpointConfig"] = {"S3Uri": URI}

    operator = _operator(job_config, checkpoint_s3_uri=None, checkpoint_interval=timedelta(minutes=10))

    assert operator.checkpoint_interval == 600.0


@pytest.mark.usefixtures("aws_connection")
def test_trigger_is_told_what_to_look_after(job_config: dict[str, Any], unique: str) -> None:
    ti = FakeTaskInstance(f"manual__{unique}")
    ti.map_index = 3
    operator = _operator(job_config, checkpoint_interval=timedelta(minutes=10), alerts=[ALERT])

    with pytest.raises(TaskDeferred) as deferral:
        operator.execute(ti.context)

    arguments = deferral.value.trigger.serialize()[1]
    told = {
        name: arguments[name] for name in ("checkpoint_interval", "checkpoint_s3_uri", "max_wait", "alerts")
    }
    assert told == {
        "checkpoint_interval": 600.0,
        "checkpoint_s3_uri": f"{URI}/3",
        "max_wait": 1_200,
        "alerts": [
            {
                "when": when,
                "than": than,
                "path": "tests.alerting.note_text",
                "kwargs": {"text": "{{ message }}"},
            }
            for when, than in (("interruptions", 3), ("max_wait_share", 0.8))
        ],
    }
    json.dumps(arguments)
    operator.hook.jobs(TRAINING_JOBS).stop(arguments["job_name"])


@pytest.mark.usefixtures("aws_connection")
def test_checkpoints_that_were_seen_are_still_told_at_the_end(
    job_config: dict[str, Any], unique: str
) -> None:
    ti = FakeTaskInstance(f"manual__{unique}")
    operator = _operator(job_config, checkpoint_interval=600)
    with pytest.raises(TaskDeferred) as deferral:
        operator.execute(ti.context)
    trigger: Any = deferral.value.trigger
    seen = {"looked": "2026-03-01T12:00:00.000+00:00", "objects": 3, "expected_every": 600.0, "stale": True}

    def _told_at_the_end(published: Any) -> Any:
        ti.xcoms["spot_progress"] = published
        operator.execute_complete(ti.context, {"job_name": trigger.job_name, "outcome": "Completed"})
        progress = SpotProgress.from_json(ti.xcoms["spot_progress"])
        assert progress.outcome == "Completed"
        return progress.checkpoints and progress.checkpoints.objects

    assert _told_at_the_end({"job_name": trigger.job_name, "checkpoints": seen}) == 3
    assert _told_at_the_end({"job_name": "another", "checkpoints": seen}) is None
    assert _told_at_the_end({"job_name": trigger.job_name, "checkpoints": {"objects": "many"}}) is None
    assert _told_at_the_end("somebody else's") is None


def test_dag_with_alerts_looks_the_same_each_time_it_is_stored(job_config: dict[str, Any]) -> None:
    def _stored() -> str:
        with DAG("alerts", schedule=None) as dag:
            arguments: dict[str, Any] = {"checkpoint_interval": 600, "alerts": [ALERT]}
            _operator(job_config, **arguments)
            SageMakerSpotTrainingOperator.partial(
                task_id="mapped", config=job_config, max_wait=1_200, checkpoint_s3_uri=URI, **arguments
            ).expand(hyperparameters=[{"lr": 1}, {"lr": 2}])
            spot_training_group("group", job_config, max_wait=1_200, checkpoint_s3_uri=URI, **arguments)
        return json.dumps(DagSerialization.to_dict(dag), sort_keys=True, default=str)

    first = _stored()

    assert first == _stored()
    assert " at 0x" not in first
