"""What can be done from a page: by who may edit the DAG's runs, after a question, and by nobody else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from airflow_spot_provider.emulator import SageMakerEmulator
from tests.ui.chromium import PATIENCE, in_airflow
from tests.ui.served import ServedAirflow

pytestmark = pytest.mark.ui

OUR_PAGE = {"X-Spot-Request": "1"}
STOP, NEXT_RUNG = "Stop and keep the checkpoint", "Go to the next rung now"


class Training:
    """A job that trains, and the task that waits for it."""

    def __init__(
        self, airflow: ServedAirflow, emulator: SageMakerEmulator, dag_id: str, run_id: str, task_id: str
    ) -> None:
        self.key: dict[str, Any] = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": -1}
        self.tab = f"/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/plugin/spot_training_of_task"
        self._sagemaker = emulator.client("sagemaker")
        airflow.run(dag_id, run_id)
        self.job = str(airflow.progress(dag_id, run_id, task_id)["job_name"])
        emulator.clock.advance(timedelta(minutes=10))
        assert self.described["SecondaryStatus"] == "Training"

    @property
    def described(self) -> dict[str, Any]:
        found: dict[str, Any] = self._sagemaker.describe_training_job(TrainingJobName=self.job)
        return found


@pytest.fixture
def training(airflow: ServedAirflow, emulator: SageMakerEmulator, run_id: str) -> Training:
    return Training(airflow, emulator, "ui_live", run_id, "train")


def test_editor_stops_a_training_and_its_checkpoints_stay(
    open_page: Callable[..., Page], airflow: ServedAirflow, emulator: SageMakerEmulator, training: Training
) -> None:
    s3 = emulator.client("s3")
    s3.put_object(Bucket="ui-tests", Key="checkpoints/ui_live/epoch-3", Body=b"weights")
    frame = in_airflow(open_page(training.tab, user="editor"))

    frame.get_by_role("button", name=STOP).click(timeout=PATIENCE)
    frame.get_by_role("button", name="Stop the job").click()

    expect(frame.get_by_text(f"SageMaker is stopping {training.job}")).to_be_visible(timeout=PATIENCE)
    assert training.described["TrainingJobStatus"] == "Stopping"
    emulator.clock.advance(timedelta(minutes=5))
    assert training.described["SecondaryStatus"] == "Stopped"
    expect(frame.get_by_text("Stopped", exact=True).first).to_be_visible(timeout=PATIENCE)
    assert s3.get_object(Bucket="ui-tests", Key="checkpoints/ui_live/epoch-3")["Body"].read() == b"weights"
    published = airflow.progress("ui_live", training.key["run_id"])
    assert (published["job_name"], published["outcome"]) == (training.job, "Stopped")
    logged = airflow.get("/eventLogs", dag_id="ui_live", event="spot_training_stop", order_by="-event_log_id")
    assert logged["event_logs"][0]["owner"] == "editor"


def test_training_goes_on_when_the_question_is_answered_with_no(
    open_page: Callable[..., Page], training: Training
) -> None:
    frame = in_airflow(open_page(training.tab, user="editor"))

    frame.get_by_role("button", name=STOP).click(timeout=PATIENCE)
    frame.get_by_role("button", name="Leave it").click()

    expect(frame.get_by_role("dialog")).to_have_count(0)
    assert training.described["TrainingJobStatus"] == "InProgress"


def test_viewer_is_offered_no_action_and_refused_each(
    open_page: Callable[..., Page], airflow: ServedAirflow, training: Training
) -> None:
    frame = in_airflow(open_page(training.tab, user="viewer"))
    expect(frame.get_by_text("Training", exact=True).first).to_be_visible(timeout=PATIENCE)
    expect(frame.get_by_role("button", name=STOP)).to_have_count(0)

    with airflow.as_user("viewer") as viewer:
        answers = [
            viewer.post(f"/spot/api/task/{action}", params=training.key, headers=OUR_PAGE)
            for action in ("stop", "next-rung")
        ]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert training.described["TrainingJobStatus"] == "InProgress"


def test_request_that_another_site_makes_with_an_editors_cookie_is_refused(
    airflow: ServedAirflow, training: Training
) -> None:
    with airflow.as_user("editor") as editor:
        answer = editor.post("/spot/api/task/stop", params=training.key)

    assert answer.status_code == 403
    assert "X-Spot-Request" in answer.json()["detail"]
    assert training.described["TrainingJobStatus"] == "InProgress"


def test_next_rung_goes_on_from_the_checkpoint_when_an_editor_asks_for_it(
    open_page: Callable[..., Page], airflow: ServedAirflow, emulator: SageMakerEmulator, run_id: str
) -> None:
    on_spot = Training(airflow, emulator, "ui_two_rungs", run_id, "churn.train_on_spot")
    frame = in_airflow(open_page(on_spot.tab, user="editor"))

    frame.get_by_role("button", name=NEXT_RUNG).click(timeout=PATIENCE)
    frame.get_by_role("button", name="Stop the job").click()

    expect(frame.get_by_text("churn.train_on_demand then goes on")).to_be_visible(timeout=PATIENCE)
    emulator.clock.advance(timedelta(minutes=5))
    second = airflow.progress("ui_two_rungs", run_id, "churn.train_on_demand")
    described = emulator.client("sagemaker").describe_training_job(TrainingJobName=second["job_name"])
    assert described.get("EnableManagedSpotTraining", False) is False
    assert described["CheckpointConfig"]["S3Uri"] == on_spot.described["CheckpointConfig"]["S3Uri"]
    assert on_spot.described["SecondaryStatus"] == "Stopped"
