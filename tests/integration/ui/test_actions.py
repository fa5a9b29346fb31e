"""What a user can have done from a page, against the emulator: to the task's own job, and to no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow import sdk
from airflow.models.serialized_dag import SerializedDagModel
from fastapi.testclient import TestClient

from airflow_spot_provider.aws.ownership import NEXT_RUNG, tags_of
from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.hooks._jobs import SageMakerJobs
from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.training import TaskIdentity, progress_of
from airflow_spot_provider.training.progress import Facts
from tests.airflow_versions import DagSerialization
from tests.integration.ui.conftest import SignIn
from tests.ui.metadata import Metadata, ago

DAG, RUN, TASK = "churn", "manual__1", "train"
OURS = {"X-Spot-Request": "1"}
FACTS = Facts(aws_conn_id="aws_default", region="us-east-1", next_rung="g.train_on_demand")
GIVEN: dict[str, Any] = {"aws_conn_id": "aws_default", "region_name": "us-east-1"}
OWNER = TaskIdentity(DAG, RUN, TASK)

pytestmark = pytest.mark.usefixtures("aws_connection")

Submit = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def dag(metadata: Metadata) -> None:
    metadata.add_dags(DAG)
    metadata.add_run(DAG, RUN, run_after=ago(hours=1))


@pytest.fixture(autouse=True)
def _no_faults_afterwards(emulator: SageMakerEmulator) -> Iterator[None]:
    yield
    emulator.set_faults()


@pytest.fixture
def ann(metadata: Metadata, sign_in: SignIn) -> TestClient:  # noqa: ARG001 - in this order
    return sign_in("ann")


@pytest.fixture
def submit(emulator: SageMakerEmulator, job_config: dict[str, Any], unique: str) -> Submit:
    """Create a spot job of a task's, that never gets capacity; its description."""

    def _submit(owner: TaskIdentity | None = OWNER, suffix: str = "1") -> dict[str, Any]:
        sagemaker = emulator.client("sagemaker")
        name = f"{unique}-{suffix}"
        tags = {"emulator:lifecycle": "never-launched", **({} if owner is None else tags_of(owner, 1))}
        request = {
            **job_config,
            "TrainingJobName": name,
            "EnableManagedSpotTraining": True,
            "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 100_000},
            "CheckpointConfig": {"S3Uri": f"s3://integration/{name}"},
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        }
        sagemaker.create_training_job(**request)
        description: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName=name)
        return description

    return _submit


def _publish(
    metadata: Metadata,
    description: dict[str, Any],
    *,
    facts: Facts = FACTS,
    state: str = "deferred",
    given: dict[str, Any] | None = GIVEN,
    **changes: Any,
) -> None:
    progress = {**progress_of(description, facts=facts), **changes}
    given = {**GIVEN, "job_name": description["TrainingJobName"]} if given is GIVEN else given
    metadata.publish(DAG, RUN, TASK, state=state, when=ago(minutes=1), given=given, spot_progress=progress)


def _act(client: TestClient, action: str) -> Any:
    params = {"dag_id": DAG, "run_id": RUN, "task_id": TASK}
    return client.post(f"api/task/{action}", params=params, headers=OURS)


def _status(emulator: SageMakerEmulator, description: dict[str, Any]) -> str:
    name = description["TrainingJobName"]
    return str(emulator.client("sagemaker").describe_training_job(TrainingJobName=name)["TrainingJobStatus"])


def test_own_job_is_stopped_and_the_audit_log_tells_who_did_it(
    ann: TestClient, metadata: Metadata, emulator: SageMakerEmulator, submit: Submit
) -> None:
    job = submit()
    _publish(metadata, job)

    answer = _act(ann, "stop")

    assert answer.status_code == 200
    assert answer.json()["done"] is True
    assert job["TrainingJobName"] in answer.json()["message"]
    assert _status(emulator, job) in ("Stopping", "Stopped")
    assert metadata.actions() == [("spot_training_stop", "ann", DAG)]


def test_next_rung_is_asked_for_by_a_tag_before_the_job_is_stopped(
    ann: TestClient, metadata: Metadata, emulator: SageMakerEmulator, submit: Submit
) -> None:
    job = submit()
    _publish(metadata, job)

    answer = _act(ann, "next-rung").json()

    tags = emulator.client("sagemaker").list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
    assert answer["done"] is True
    assert "g.train_on_demand then goes on" in answer["message"]
    assert {"Key": NEXT_RUNG, "Value": "g.train_on_demand"} in tags
    assert _status(emulator, job) in ("Stopping", "Stopped")
    assert metadata.actions() == [("spot_training_next-rung", "ann", DAG)]


def test_next_rung_of_a_training_that_has_none_is_refused(
    ann: TestClient, metadata: Metadata, emulator: SageMakerEmulator, submit: Submit
) -> None:
    job = submit()
    _publish(metadata, job, facts=Facts(aws_conn_id="aws_default", region="us-east-1"))

    answer = _act(ann, "next-rung")

    assert answer.status_code == 409
    assert "not in a group with a fallback" in answer.json()["detail"]
    assert _status(emulator, job) == "InProgress"


@pytest.mark.parametrize(
    "owner",
    [
        TaskIdentity("secret", RUN, TASK),
        TaskIdentity(DAG, RUN, TASK, deployment="production"),
        TaskIdentity(DAG, RUN, TASK, trial=("study", 3)),
    ],
)
def test_job_of_somebody_elses_is_left_alone_whatever_the_xcom_says(
    ann: TestClient,
    metadata: Metadata,
    emulator: SageMakerEmulator,
    submit: Submit,
    owner: TaskIdentity,
) -> None:
    job = submit(owner)
    _publish(metadata, job)

    answers = [_act(ann, action) for action in ("stop", "next-rung", "refresh")]

    assert [answer.status_code for answer in answers] == [409, 409, 409]
    assert all("does not bear this task's tags" in answer.json()["detail"] for answer in answers)
    assert _status(emulator, job) == "InProgress"


def test_trials_job_is_its_sweeps(
    ann: TestClient, metadata: Metadata, emulator: SageMakerEmulator, submit: Submit
) -> None:
    mine = submit(TaskIdentity(DAG, RUN, TASK, map_index=2, trial=("a/study. of", 3)))
    _publish(metadata, mine, facts=FACTS.model_copy(update={"note": "Trial 4 of 40 of study a/study. of."}))

    assert _act(ann, "stop").json()["done"] is True
    assert _status(emulator, mine) in ("Stopping", "Stopped")


@pytest.mark.parametrize(
    "owner",
    [
        TaskIdentity(DAG, RUN, TASK, trial=("study", 4)),
        TaskIdentity(DAG, "manual__2", TASK, trial=("study", 3)),
        TaskIdentity("secret", RUN, TASK, trial=("study", 3)),
        TaskIdentity(DAG, RUN, TASK, trial=("study", 3), deployment="production"),
    ],
)
def test_trials_job_of_another_sweep_is_left_alone(
    ann: TestClient, metadata: Metadata, emulator: SageMakerEmulator, submit: Submit, owner: TaskIdentity
) -> None:
    job = submit(owner)
    _publish(metadata, job, facts=FACTS.model_copy(update={"note": "Trial 4 of study study."}))

    assert _act(ann, "stop").status_code == 409
    assert _status(emulator, job) == "InProgress"


def test_job_that_has_ended_meanwhile_is_told_as_ended(
    ann: TestClient, metadata: Metadata, emulator: SageMakerEmulator, submit: Submit
) -> None:
    job = submit()
    _publish(metadata, job)
    name = job["TrainingJobName"]
    emulator.client("sagemaker").stop_training_job(TrainingJobName=name)
    emulator.client("sagemaker").get_waiter("training_job_completed_or_stopped").wait(
        TrainingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )

    answers = [_act(ann, action).json() for action in ("stop", "next-rung")]

    assert [answer["done"] for answer in answers] == [False, False]
    assert all("has ended already" in answer["message"] for answer in answers)


def test_job_that_ended_before_the_click_is_not_marked_for_the_next_rung(
    ann: TestClient, metadata: Metadata, emulator: SageMakerEmulator, submit: Submit
) -> None:
    """The message says that the DAG goes on by how the job did, and a tag would have it go on otherwise."""
    job = submit()
    _publish(metadata, job)
    emulator.client("sagemaker").stop_training_job(TrainingJobName=job["TrainingJobName"])
    emulator.client("sagemaker").get_waiter("training_job_completed_or_stopped").wait(
        TrainingJobName=job["TrainingJobName"], WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )

    assert _act(ann, "next-rung").json()["done"] is False

    tags = emulator.client("sagemaker").list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
    assert NEXT_RUNG not in [tag["Key"] for tag in tags]


def test_second_click_on_a_job_that_is_stopping_says_so(
    ann: TestClient,
    metadata: Metadata,
    emulator: SageMakerEmulator,
    submit: Submit,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SageMaker refuses to stop such a job, as it does one that has ended."""
    job = submit()
    _publish(metadata, job)
    emulator.client("sagemaker").stop_training_job(TrainingJobName=job["TrainingJobName"])
    monkeypatch.setattr(SageMakerJobs, "describe", lambda *_: {**job, "TrainingJobStatus": "Stopping"})

    stop, next_rung = (_act(ann, action).json() for action in ("stop", "next-rung"))

    tags = emulator.client("sagemaker").list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
    assert stop["done"] is False
    assert "is stopping" in stop["message"]
    assert next_rung["done"] is True
    assert {"Key": NEXT_RUNG, "Value": "g.train_on_demand"} in tags


@pytest.mark.parametrize(
    ("changes", "state", "said"),
    [
        ({}, "success", "waits for no job any more"),
        ({"outcome": "Completed"}, "running", "waits for no job any more"),
        ({"observed": True}, "deferred", "Something else has started this job"),
        ({"job_name": "no-such-job"}, "deferred", "knows no such training job any more"),
        (
            {"given": {**GIVEN, "aws_conn_id": "no_such_connection"}},
            "deferred",
            "which has to exist there as well",
        ),
        ({"given": {**GIVEN, "region_name": "not a region!"}}, "deferred", "AWS cannot be asked"),
    ],
)
def test_what_cannot_be_stopped_says_why(
    ann: TestClient,
    metadata: Metadata,
    emulator: SageMakerEmulator,
    submit: Submit,
    changes: dict[str, Any],
    state: str,
    said: str,
) -> None:
    job = submit()
    _publish(metadata, job, state=state, **changes)

    answer = _act(ann, "stop")

    assert answer.status_code == 409
    assert said in answer.json()["detail"]
    assert _status(emulator, job) == "InProgress"


@pytest.mark.parametrize(
    ("operation", "action", "permission"),
    [
        ("DescribeTrainingJob", "stop", "sagemaker:DescribeTrainingJob"),
        ("ListTags", "stop", "sagemaker:ListTags"),
        ("StopTrainingJob", "stop", "sagemaker:StopTrainingJob"),
        ("AddTags", "next-rung", "sagemaker:AddTags"),
        ("DescribeLogStreams", "refresh", "logs:DescribeLogStreams"),
    ],
)
def test_missing_permission_is_named(
    ann: TestClient,
    metadata: Metadata,
    emulator: SageMakerEmulator,
    submit: Submit,
    operation: str,
    action: str,
    permission: str,
) -> None:
    _publish(metadata, submit())
    denied = {"code": "AccessDeniedException", "message": "User: arn:aws:iam::1:user/secret", "status": 400}
    emulator.set_faults({"operation": operation, "error": denied})

    answer = _act(ann, action)

    assert answer.status_code == 409
    assert permission in answer.json()["detail"]
    assert "secret" not in answer.json()["detail"]


def test_aws_in_trouble_is_not_waited_for(
    ann: TestClient, metadata: Metadata, emulator: SageMakerEmulator, submit: Submit
) -> None:
    _publish(metadata, submit())
    emulator.set_faults({"operation": "sagemaker:*", "error": {"code": "ThrottlingException", "status": 400}})
    before = sum(emulator.calls().values())

    answer = _act(ann, "stop")

    assert answer.status_code == 409
    assert answer.json()["detail"] == (
        "AWS cannot do it just now (ThrottlingException): try again in a moment."
    )
    assert sum(emulator.calls().values()) - before <= 4


def test_refresh_tells_what_aws_tells_now(
    ann: TestClient, metadata: Metadata, emulator: SageMakerEmulator, submit: Submit, unique: str
) -> None:
    job = submit()
    _publish(metadata, job)
    name = job["TrainingJobName"]
    logs, s3 = emulator.client("logs"), emulator.client("s3")
    group, stream = "/aws/sagemaker/TrainingJobs", f"{name}/algo-1"
    if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
        logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    now = int(
        datetime.now(UTC).timestamp() * 1000
    )  # moto takes no line of two hours ahead, whatever the emulator's clock
    events = [{"timestamp": now + number, "message": f"epoch {number}"} for number in range(3)]
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
    s3.put_object(Bucket="integration", Key=f"{name}/epoch-3", Body=b"weights")
    emulator.client("sagemaker").stop_training_job(TrainingJobName=name)

    answer = _act(ann, "refresh").json()

    assert answer["refreshed"] is True
    assert answer["log"] == ["epoch 0", "epoch 1", "epoch 2"]
    assert (answer["checkpoints"]["objects"], answer["checkpoints"]["newest_bytes"]) == (1, 7)
    assert answer["row"]["status"] in ("Stopping", "Stopped")
    assert unique in answer["row"]["job_name"]
    asked = ann.get("api/task", params={"dag_id": DAG, "run_id": RUN, "task_id": TASK}).json()
    assert asked["row"]["status"] == "Starting", "a refresh is told to the one who asked, and kept nowhere"


def test_refresh_shows_a_job_that_something_else_has_started(
    ann: TestClient, metadata: Metadata, submit: Submit
) -> None:
    job = submit(None)
    _publish(metadata, job, facts=FACTS.model_copy(update={"observed": True}))

    answer = _act(ann, "refresh").json()

    assert answer["row"]["job_name"] == job["TrainingJobName"]
    assert answer["row"]["can_stop"] is False


def test_refresh_of_a_task_without_a_job_asks_nobody(
    ann: TestClient, metadata: Metadata, emulator: SageMakerEmulator
) -> None:
    before = emulator.calls()
    progress = {"status": "WaitingForTurn", "phase": "queued", "job_name": "not-yet-1"}
    metadata.publish(
        DAG, RUN, TASK, state="deferred", when=ago(minutes=1), given=GIVEN, spot_progress=progress
    )

    answer = _act(ann, "refresh")

    assert answer.status_code == 409
    assert "no job yet" in answer.json()["detail"]
    assert emulator.calls() == before


def test_looking_at_pages_asks_aws_nothing(
    ann: TestClient, metadata: Metadata, emulator: SageMakerEmulator, submit: Submit
) -> None:
    _publish(metadata, submit())
    before = emulator.calls()

    params = {"dag_id": DAG, "run_id": RUN, "task_id": TASK}
    answers = [ann.get(f"api/{path}", params=params) for path in ("jobs", "summary", "dags", "task", "trace")]

    assert {answer.status_code for answer in answers} == {200}
    assert emulator.calls() == before


def test_action_on_a_task_that_has_published_nothing_is_a_sentence(ann: TestClient) -> None:
    for action in ("stop", "next-rung", "refresh"):
        answer = _act(ann, action)
        assert answer.status_code == 404
        assert "published nothing" in answer.json()["detail"]


ACTIONS = ("stop", "next-rung", "refresh")


@pytest.fixture
def another_connection(monkeypatch: pytest.MonkeyPatch) -> str:
    """One that leads nowhere: whoever uses it does not get an answer."""
    monkeypatch.setenv(
        "AIRFLOW_CONN_PROD_ADMIN", "aws://key:secret@/?endpoint_url=http%3A%2F%2F127.0.0.1%3A9"
    )
    return "prod_admin"


@pytest.mark.parametrize("action", ACTIONS)
def test_connection_and_region_are_the_tasks_whatever_its_xcom_says(
    ann: TestClient, metadata: Metadata, submit: Submit, another_connection: str, action: str
) -> None:
    borrowed = FACTS.model_copy(update={"aws_conn_id": another_connection, "region": "eu-west-3"})
    _publish(metadata, submit(), facts=borrowed)

    answer = _act(ann, action)

    assert answer.status_code == 200
    if action == "refresh":
        assert answer.json()["row"]["region"] == "us-east-1"


@pytest.mark.parametrize("name", ["another", None])
def test_somebody_elses_job_is_not_shown_by_calling_it_observed(
    ann: TestClient, metadata: Metadata, emulator: SageMakerEmulator, submit: Submit, name: str | None
) -> None:
    observed = FACTS.model_copy(update={"observed": True})
    _publish(metadata, submit(None), facts=observed, given={**GIVEN, "job_name": name})
    before = emulator.calls()

    answer = _act(ann, "refresh")

    assert answer.status_code == 409
    assert "is not the job that this task was given" in answer.json()["detail"]
    assert emulator.calls() == before


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("given", [None, {"aws_conn_id": "{{ conn_id }}"}])
def test_task_whose_connection_is_not_known_any_more_is_left_alone(
    ann: TestClient, metadata: Metadata, submit: Submit, given: Any, action: str
) -> None:
    _publish(metadata, submit(), given=given)

    answer = _act(ann, action)

    assert answer.status_code == 409
    assert "max_num_rendered_ti_fields_per_task" in answer.json()["detail"]


def test_connection_is_read_from_the_serialized_dag_where_nothing_rendered_is_left(
    ann: TestClient, metadata: Metadata, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sdk.DAG(DAG, schedule=None) as parsed:
        SageMakerSpotTrainingOperator(
            task_id=TASK, config="{{ config }}", aws_conn_id="aws_default", region_name="us-east-1"
        )
    serialized = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(parsed))
    monkeypatch.setattr(SerializedDagModel, "get_dag", lambda *_, **__: serialized)
    _publish(metadata, submit(), given=None)

    assert _act(ann, "refresh").status_code == 200


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_is_audited(ann: TestClient, metadata: Metadata, submit: Submit, action: str) -> None:
    _publish(metadata, submit())

    _act(ann, action)

    assert metadata.actions() == [(f"spot_training_{action}", "ann", DAG)]
