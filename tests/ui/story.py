"""A week of trainings on the local SageMaker, up to now: what the pictures show, and what the pages sum up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from airflow_spot_provider.emulator import SageMakerEmulator
from tests.ui.served import ServedAirflow

BEGINS = timedelta(days=6, hours=7)
"""How long before now the story begins."""
ZONES = "abcdef"
ON_SPOT = (
    "ml.c5.2xlarge",
    "ml.g4dn.2xlarge",
    "ml.g5.12xlarge",
    "ml.g5.xlarge",
    "ml.m5.4xlarge",
    "ml.p3.2xlarge",
)
"""What the jobs run on: there is capacity, except when the story says otherwise."""
EPOCH = timedelta(minutes=5)
NIGHTS: tuple[tuple[tuple[int, int], ...], ...] = (
    ((40, 35),),
    (),
    ((20, 15), (35, 50)),
    ((55, 10),),
    ((15, 65), (20, 20), (30, 25)),
    ((30, 45),),
)
"""Of each night's training of ``fraud_nightly``: minutes of training until an interruption, and minutes until there is capacity again."""


class Story:
    """What becomes of the jobs of tests/ui/dags/pictured.py.

    :param airflow: runs the DAGs.
    :param emulator: what their connection leads to; its clock stands :data:`BEGINS` before now.
    """

    def __init__(self, airflow: ServedAirflow, emulator: SageMakerEmulator) -> None:
        self._airflow = airflow
        self._emulator = emulator
        self._logs = emulator.client("logs")
        self._sagemaker = emulator.client("sagemaker")
        self.runs: dict[str, str] = {}
        """The newest run of each DAG."""

    def tell(self) -> None:
        """All of it: the nights, yesterday's, and what goes on now."""
        for instance_type in ON_SPOT:
            self._capacity(instance_type, 8)
        for number, interruptions in enumerate(NIGHTS):
            self._until(timedelta(days=len(NIGHTS) - number, hours=6))
            self._night(interruptions)
        self._until(timedelta(hours=22))
        self._failure()
        self._fallback()
        self._sweep()
        self._today()

    @property
    def report(self) -> Path:
        """The newest report of ``fraud_nightly``, as a page."""
        return max(
            (self._airflow.home.parent / "reports").glob("**/*.html"), key=lambda path: path.stat().st_mtime
        )

    def job(self, dag_id: str, task_id: str = "train", map_index: int = -1) -> str:
        """The job of a task in the newest run of its DAG."""
        return str(self._airflow.progress(dag_id, self.runs[dag_id], task_id, map_index)["job_name"])

    def page(self, dag_id: str, task_id: str = "train", map_index: int = -1) -> str:
        """Our page of a task in the newest run of its DAG."""
        key = {"dag_id": dag_id, "run_id": self.runs[dag_id], "task_id": task_id, "map_index": map_index}
        return f"/spot/task?{urlencode(key)}"

    def tab(self, dag_id: str, task_id: str = "train", map_index: int = -1) -> str:
        """The same in Airflow's page of the task instance."""
        mapped = f"/mapped/{map_index}" if map_index >= 0 else ""
        run = quote(self.runs[dag_id], safe="")
        return f"/dags/{dag_id}/runs/{run}/tasks/{task_id}{mapped}/plugin/spot_training_of_task"

    def described(self, prefix: str) -> list[dict[str, Any]]:
        """What DescribeTrainingJob tells of each job whose name begins so."""
        pages = self._sagemaker.get_paginator("list_training_jobs").paginate(NameContains=prefix)
        names = [job["TrainingJobName"] for page in pages for job in page["TrainingJobSummaries"]]
        return [self._sagemaker.describe_training_job(TrainingJobName=name) for name in names]

    def log_of(self, job: str) -> list[str]:
        """The lines that a job has logged."""
        pages = self._logs.get_paginator("filter_log_events").paginate(
            logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{job}/"
        )
        try:
            return [event["message"] for page in pages for event in page["events"]]
        except self._logs.exceptions.ResourceNotFoundException:
            return []

    def _night(self, interruptions: tuple[tuple[int, int], ...]) -> None:
        self._start("fraud_nightly")
        self.job("fraud_nightly")
        self._minutes(1)
        for trained, waits in interruptions:
            self._minutes(trained)
            self._capacity("ml.m5.4xlarge", 0)
            self._minutes(waits)
            self._capacity("ml.m5.4xlarge", 8)
        self._minutes(100)

    def _failure(self) -> None:
        self._start("churn_retraining", fails_after=4)
        job = self.job("churn_retraining")
        self._train(job, epochs=4)
        self._move_on(lambda: self._is_over(job), "the script to have failed")

    def _fallback(self) -> None:
        self._capacity("ml.p3.2xlarge", 0)
        self._start("vision_nightly")
        self.job("vision_nightly", "vision.train_on_spot")
        self._minutes(95)
        self.job("vision_nightly", "vision.train_on_demand")
        self._minutes(80)

    def _sweep(self) -> None:
        self._start("tabular_sweep")
        run_id = self.runs["tabular_sweep"]

        def _ended() -> bool:
            if any(job["TrainingJobStatus"] == "InProgress" for job in self.described("tabular-sweep-")):
                self._minutes(5)
            return self._airflow.run_state("tabular_sweep", run_id) in ("success", "failed")

        self._airflow.wait_for(_ended, what="the sweep to end", timeout=240)

    def _today(self) -> None:
        self._until(timedelta(hours=3, minutes=5))
        self._start("churn_retraining")
        self._minutes(1)
        self._start("llm_fine_tune")
        churn, llm = self.job("churn_retraining"), self.job("llm_fine_tune", "fine_tune")
        self._train(churn, llm, epochs=10)
        self._start("ranker_search")
        for zone in ZONES:
            self._emulator.set_capacity("ml.g4dn.2xlarge", 2 if zone == "a" else 0, zone=zone)
        for member in range(3):
            self.job("ranker_search", map_index=member)
        self._train(churn, llm, epochs=12)
        self._start("fraud_nightly")
        self.job("fraud_nightly")
        self._train(churn, llm, epochs=5)
        self._capacity("ml.g5.xlarge", 0)
        self._train(llm, epochs=4)
        self._capacity("ml.g5.xlarge", 8)
        self._train(churn, llm, epochs=2)
        self._capacity("ml.m5.4xlarge", 0)
        self._train(churn, llm, epochs=3)
        self.go_on()

    def go_on(self) -> None:
        """Bring the clock to now."""
        self._until(timedelta(0))

    def _start(self, dag_id: str, **conf: Any) -> None:
        now = self._emulator.clock.now()
        self.runs[dag_id] = f"manual__{now:%Y-%m-%dT%H:%M:%S}+00:00"
        dates = {"run_after": now.isoformat(), "logical_date": now.isoformat()}
        self._airflow.run(dag_id, self.runs[dag_id], conf=conf, **dates)

    def _until(self, before_now: timedelta) -> None:
        """Move the clock on to so long before the real time."""
        self._emulator.clock.advance(datetime.now(UTC) - before_now - self._emulator.clock.now())

    def _minutes(self, minutes: float) -> None:
        self._emulator.clock.advance(timedelta(minutes=minutes))

    def _capacity(self, instance_type: str, instances: int) -> None:
        for zone in ZONES:
            self._emulator.set_capacity(instance_type, instances, zone=zone)

    def _train(self, *jobs: str, epochs: int) -> None:
        """Let scripts train for some epochs, each at its time."""
        for job in jobs:
            self._move_on(lambda job=job: self.log_of(job), f"{job} to train")
        for _ in range(epochs):
            before = [self.log_of(job) for job in jobs]
            self._emulator.clock.advance(EPOCH)
            for job, log in zip(jobs, before, strict=True):
                self._airflow.wait_for(
                    lambda job=job, log=log: self.log_of(job) != log,
                    what=f"{job} to train an epoch",
                    timeout=60,
                )

    def _move_on(self, condition: Callable[[], Any], what: str) -> None:
        """Move the clock a little at a time until something is the case."""

        def _met() -> Any:
            self._emulator.clock.advance(timedelta(seconds=10))
            return condition()

        self._airflow.wait_for(_met, what=what, timeout=90)

    def _is_over(self, job: str) -> bool:
        described = self._sagemaker.describe_training_job(TrainingJobName=job)
        return bool(described["TrainingJobStatus"] != "InProgress")
