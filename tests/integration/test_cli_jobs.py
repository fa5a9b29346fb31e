"""``airflow-spot jobs`` on the emulator: which jobs are ours, who waits for them, and which orphans it stops.

Each test has an AWS account and a metadata database of its own.
"""

from __future__ import annotations

import io
import json
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.models.taskinstance import TaskInstance
from sqlalchemy import update

from airflow_spot_provider.aws.errors import Backoff
from airflow_spot_provider.aws.ownership import RELEASED, TASK, tags_of
from airflow_spot_provider.cli import main
from airflow_spot_provider.cli.jobs import connection, listing
from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.hooks import _tagged
from airflow_spot_provider.training import TaskIdentity, job_name
from tests.metadata_database import airflow_uses, copied_database, make_empty_database
from tests.ui.metadata import Metadata, ago, task_row

REGION = "us-east-1"
RUN = "manual__1"
DENIED = {"code": "AccessDeniedException", "message": "not authorized", "status": 400}
FIELDS = {
    "kind", "job_name", "job_arn", "region", "status", "phase", "outcome", "since", "seconds_in_status", "created",
    "interruptions", "max_wait_ends", "max_wait_left_seconds", "managed_spot", "instance_type", "instance_count",
    "dag_id", "run_id", "task_id", "map_index", "try_number", "trial", "released", "task_state", "standing", "why",
}  # fmt: skip


class Account:
    """An AWS account of the test's own, an Airflow, and the command that looks at both."""

    def __init__(self, emulator: SageMakerEmulator, metadata: Metadata, config: dict[str, Any]) -> None:
        self.id = str(random.SystemRandom().randrange(10**11, 10**12))
        self.emulator = emulator
        self.metadata = metadata
        self.sagemaker = emulator.client(
            "sagemaker", aws_access_key_id=self.id, aws_secret_access_key="secret"
        )
        self._config = config

    def task(self, task_id: str, state: str | None, map_index: int = -1) -> TaskIdentity:
        """A task instance in this Airflow."""
        self.metadata.insert(TaskInstance, [task_row("churn", RUN, task_id, map_index, state=state)])
        return TaskIdentity("churn", RUN, task_id, map_index)

    def sets(self, task: TaskIdentity, state: str) -> None:
        statement = update(TaskInstance).where(TaskInstance.task_id == task.task_id).values(state=state)
        with self.metadata.engine.begin() as engine:
            engine.execute(statement)

    def job(self, task: TaskIdentity | None, *, seconds: int = 100_000, **tags: str) -> str:
        """A training job as our operator submits it, or as somebody else does."""
        name = "of-somebody-else" if task is None else job_name(task, 1)
        own = {} if task is None else tags_of(task, 1)
        tags = {"emulator:training-seconds": str(seconds), **own, **tags}
        self.sagemaker.create_training_job(
            **{
                **self._config,
                "TrainingJobName": name,
                "EnableManagedSpotTraining": True,
                "StoppingCondition": {"MaxRuntimeInSeconds": 200_000, "MaxWaitTimeInSeconds": 300_000},
                "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
            }
        )
        return name

    def ends(self, name: str) -> None:
        """Wait until a job has ended."""
        self.sagemaker.get_waiter("training_job_completed_or_stopped").wait(
            TrainingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )

    def tags(self, name: str) -> dict[str, str]:
        listed = self.sagemaker.list_tags(ResourceArn=self.described(name)["TrainingJobArn"])["Tags"]
        return {tag["Key"]: tag["Value"] for tag in listed}

    def described(self, name: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
        return answer

    def is_running(self, name: str) -> bool:
        return bool(self.described(name)["TrainingJobStatus"] == "InProgress")


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_empty_database(tmp_path_factory.mktemp("metadata") / "airflow.db")


@pytest.fixture
def account(
    emulator: SageMakerEmulator,
    job_config: dict[str, Any],
    empty_database: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Account]:
    with copied_database(empty_database, tmp_path, monkeypatch) as metadata:
        metadata.add_dags("churn")
        metadata.add_run("churn", RUN, run_after=ago(hours=1), state="running")
        account = Account(emulator, metadata, job_config)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", account.id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setattr(
            connection, "Backoff", lambda jitter, cap: Backoff(jitter, base=0.01, cap=cap / 100)
        )
        yield account
        emulator.set_faults()
        for status in ("InProgress", "Stopping"):
            for job in account.sagemaker.list_training_jobs(StatusEquals=status)["TrainingJobSummaries"]:
                if status == "InProgress":
                    account.sagemaker.stop_training_job(TrainingJobName=job["TrainingJobName"])


Run = Callable[..., int]


@pytest.fixture
def run(emulator: SageMakerEmulator) -> Run:
    def _run(*arguments: str) -> int:
        return main(["jobs", "--region", REGION, "--endpoint-url", emulator.endpoint_url, *arguments])

    return _run


@pytest.fixture
def listed(run: Run, capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, dict[str, Any]]]:
    """The jobs that ``--json`` tells, by name."""

    def _listed(*arguments: str) -> dict[str, dict[str, Any]]:
        capsys.readouterr()
        assert run("--json", *arguments) == 0
        jobs = json.loads(capsys.readouterr().out)
        return {job["job_name"]: job for job in jobs}

    return _listed


class Typed(io.StringIO):
    """A person at the keyboard, who may do something before the answer."""

    def __init__(self, answer: str, before: Callable[[], object] = lambda: None) -> None:
        super().__init__(answer)
        self._before = before

    def isatty(self) -> bool:
        return True

    def readline(self, *_: Any) -> str:
        self._before()
        return super().readline()


Listed = Callable[..., dict[str, dict[str, Any]]]


def test_jobs_of_ours_that_are_in_progress_are_told_with_the_tasks_that_wait(
    account: Account, listed: Listed
) -> None:
    train = account.job(account.task("train", "deferred"))
    member = account.job(account.task("group.fan_out", "up_for_retry", 3))
    account.job(None)
    ended = account.job(account.task("ended", "success"), seconds=1)
    account.ends(ended)
    jobs = listed()
    assert set(jobs) == {train, member}
    assert set(jobs[train]) == FIELDS
    assert (
        jobs[train].items()
        >= {
            "kind": "training",
            "dag_id": "churn",
            "run_id": RUN,
            "task_id": "train",
            "map_index": -1,
            "try_number": 1,
            "trial": None,
            "task_state": "deferred",
            "standing": "waited-for",
            "why": None,
            "released": None,
            "outcome": None,
            "managed_spot": True,
            "instance_type": "ml.m5.large",
            "region": REGION,
        }.items()
    )
    assert 0 < jobs[train]["max_wait_left_seconds"] <= 300_000
    assert (jobs[member]["task_id"], jobs[member]["map_index"]) == ("group.fan_out", 3)
    assert jobs[member]["standing"] == "waited-for"
    everything = listed("--all")
    assert list(everything) == [ended, member, train]
    assert (
        everything[ended].items()
        >= {"standing": "ended", "outcome": "Completed", "task_state": "success"}.items()
    )
    assert list(listed("--since", "1h")) == list(everything)


def test_those_that_ended_before_are_left_out(account: Account) -> None:
    ended = account.job(account.task("ended", "success"), seconds=1)
    account.ends(ended)
    runs = account.job(account.task("train", "deferred"))
    hook = connection.HookOfACommand(
        conn_id=None,
        region=REGION,
        profile=None,
        endpoint_url=account.emulator.endpoint_url,
        warn=pytest.fail,
    )
    far_ahead = datetime.now(UTC) + timedelta(days=3650)
    assert [job.name for job in _tagged.tagged_jobs(hook, ended_since=far_ahead).jobs] == [runs]
    long_ago = datetime.now(UTC) - timedelta(days=3650)
    assert {job.name for job in _tagged.tagged_jobs(hook, ended_since=long_ago).jobs} == {runs, ended}


def test_many_jobs_take_a_call_a_page(
    account: Account, listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_tagged, "_PAGE", 2)
    jobs = {account.job(account.task("train", "deferred", index)) for index in range(5)}
    before = account.emulator.calls()
    assert set(listed()) == jobs
    after = account.emulator.calls()
    called = {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}
    assert called == {"Search": 4}


def test_a_tuning_job_is_told_once_and_its_training_jobs_are_not(account: Account, listed: Listed) -> None:
    task = account.task("tune", "failed")
    members = ("RoleArn", "OutputDataConfig", "ResourceConfig")
    algorithm = {
        "TrainingImage": "local/image:1",
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*)"}],
    }
    tags = {**tags_of(task, 1), "emulator:training-seconds": "100000"}
    account.sagemaker.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="tune-1",
        HyperParameterTuningJobConfig={
            "Strategy": "Random",
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 2},
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ParameterRanges": {
                "ContinuousParameterRanges": [{"Name": "rate", "MinValue": "0.1", "MaxValue": "1"}]
            },
        },
        TrainingJobDefinition={
            **{member: account._config[member] for member in members},
            "AlgorithmSpecification": algorithm,
            "StoppingCondition": {"MaxRuntimeInSeconds": 200_000, "MaxWaitTimeInSeconds": 300_000},
            "EnableManagedSpotTraining": True,
            "StaticHyperParameters": {"secret": "hunter2"},
        },
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )
    trained = account.sagemaker.list_training_jobs()["TrainingJobSummaries"]
    assert len(trained) == 2
    for denied in (False, True):
        if denied:
            account.emulator.set_faults({"operation": "Search", "error": DENIED})
        jobs = listed()
        assert list(jobs) == ["tune-1"]
        assert (
            jobs["tune-1"].items() >= {"kind": "tuning", "standing": "orphan", "task_state": "failed"}.items()
        )
        assert "hunter2" not in json.dumps(jobs)
    account.emulator.set_faults()


def test_without_the_permission_to_search_each_job_is_asked_about(
    account: Account, listed: Listed, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    train = account.job(account.task("train", "deferred"))
    account.job(None)
    ended = account.job(account.task("ended", "success"), seconds=1)
    account.ends(ended)
    searched = {name: listed(*arguments) for name, arguments in (("running", ()), ("all", ("--all",)))}
    account.emulator.set_faults({"operation": "Search", "error": DENIED})
    listed_instead = {name: listed(*arguments) for name, arguments in (("running", ()), ("all", ("--all",)))}
    assert set(listed_instead["running"]) == set(searched["running"]) == {train}
    assert set(listed_instead["all"]) == set(searched["all"]) == {train, ended}
    moving = {"seconds_in_status", "max_wait_left_seconds", "status", "phase", "since"}
    for name, job in searched["all"].items():
        instead = listed_instead["all"][name]
        assert {key: instead[key] for key in job if key not in moving} == {
            key: job[key] for key in job if key not in moving
        }
    assert run() == 0
    assert "The permission sagemaker:Search spares that." in capsys.readouterr().err


def test_without_any_permission_it_says_which_are_needed(
    account: Account, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    account.emulator.set_faults({"operation": "sagemaker:*", "error": DENIED})
    assert run() == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "sagemaker:ListTrainingJobs" in said.err


def test_throttling_is_outlasted_and_told(
    account: Account, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    train = account.job(account.task("train", "deferred"))
    throttled = {"code": "ThrottlingException", "message": "Rate exceeded", "status": 400}
    account.emulator.set_faults({"operation": "Search", "times": 2, "error": throttled})
    assert run() == 0
    said = capsys.readouterr()
    assert train in said.out
    assert said.err.count("SageMaker cannot be asked just now (ThrottlingException)") == 2


def test_orphans_are_stopped_and_nothing_else(
    account: Account, run: Run, listed: Listed, capsys: pytest.CaptureFixture[str]
) -> None:
    waited_for = [
        account.job(account.task(f"waits_{state}", state)) for state in ("deferred", "up_for_retry")
    ]
    orphans = [account.job(account.task(f"is_{state}", state)) for state in ("failed", "success", "removed")]
    killed = account.job(account.task("killed", "deferred"), **{RELEASED: "killed"})
    elsewhere = account.job(TaskIdentity("churn", RUN, "is_failed", deployment="staging"))
    gone = account.job(TaskIdentity("deleted", "r", "train"))
    theirs = account.job(None)
    standing = {name: job["standing"] for name, job in listed().items()}
    assert standing == {
        **dict.fromkeys(waited_for, "waited-for"),
        **dict.fromkeys([*orphans, killed], "orphan"),
        **dict.fromkeys([elsewhere, gone], "unknown-here"),
    }
    assert run("--stop-orphans", "--yes") == 0
    said = capsys.readouterr().out
    for name in (*orphans, killed):
        assert f"{name} is being stopped" in said
        assert not account.is_running(name)
        assert account.tags(name)[RELEASED] == "killed"
    for name in (*waited_for, elsewhere, gone, theirs):
        assert account.is_running(name)
        assert RELEASED not in account.tags(name)
    assert run("--stop-orphans", "--yes") == 0
    assert "There is no orphan" in capsys.readouterr().out


def test_the_table_tells_orphans_and_strangers_and_what_to_do(
    account: Account, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    orphan = account.job(account.task("train", "failed", 2))
    gone = account.job(TaskIdentity("deleted", "r", "train"))
    assert run() == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split("  ")[0] == "Task"
    rows = {line.split()[2]: line for line in lines[:2]}
    assert rows[orphan].startswith(f"churn.train[2]  {RUN}")
    assert "ORPHAN (failed)" in rows[orphan]
    assert "unknown here" in rows[gone]
    said = "\n".join(lines[2:])
    assert f"ORPHAN {orphan}: Its task is failed: nobody waits for the job." in said
    assert "airflow-spot jobs --stop-orphans" in said
    assert f"aws sagemaker stop-training-job --training-job-name {gone}" in said


def test_a_trial_is_waited_for_by_its_slot(account: Account, listed: Listed) -> None:
    from airflow.models.renderedtifields import RenderedTaskInstanceFields

    slot = account.task("sweep.trials", "failed", 1)
    study = f"churn/{RUN}/sweep"
    row = {"dag_id": "churn", "run_id": RUN, "task_id": "sweep.trials", "map_index": 1}
    account.metadata.insert(RenderedTaskInstanceFields, [{**row, "rendered_fields": {"study": study}}])
    job = account.job(replace(slot, trial=(study, 4)))
    told = listed()[job]
    assert told["trial"] == {"study": study, "number": 4}
    assert told["standing"] == "orphan"
    account.sets(slot, "queued")
    assert listed()[job]["standing"] == "waited-for"


@pytest.mark.parametrize(
    ("answer", "running"), [("yes\n", False), ("YES\n", False), ("no\n", True), ("y\n", True), ("", True)]
)
def test_a_person_is_asked_first(
    answer: str,
    running: bool,
    account: Account,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    orphan = account.job(account.task("train", "failed"))
    monkeypatch.setattr(sys, "stdin", Typed(answer))
    assert run("--stop-orphans") == 0
    said = capsys.readouterr()
    assert orphan in said.out
    assert f"Stop {orphan}?" in said.err
    assert account.is_running(orphan) is running
    assert ("Nothing was stopped" in said.err) is running


def test_where_nobody_can_be_asked_nothing_is_stopped(
    account: Account, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    orphan = account.job(account.task("train", "failed"))
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))
    assert run("--stop-orphans") == 2
    assert "give --yes" in capsys.readouterr().err
    assert account.is_running(orphan)


def test_a_task_that_is_tried_again_meanwhile_keeps_its_job(
    account: Account, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    task = account.task("train", "failed")
    job = account.job(task)
    monkeypatch.setattr(sys, "stdin", Typed("yes\n", lambda: account.sets(task, "queued")))
    assert run("--stop-orphans") == 0
    assert f"{job} is left alone: its task is queued again" in capsys.readouterr().out
    assert account.is_running(job)
    assert RELEASED not in account.tags(job)


def test_a_job_that_was_taken_over_or_ended_meanwhile_is_left_alone(
    account: Account, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taken, ended = (account.job(account.task(name, "failed")) for name in ("taken", "ended"))

    def _meanwhile() -> None:
        arn = account.described(taken)["TrainingJobArn"]
        account.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": TASK, "Value": "another"}])
        account.sagemaker.stop_training_job(TrainingJobName=ended)

    monkeypatch.setattr(sys, "stdin", Typed("yes\n", _meanwhile))
    assert run("--stop-orphans") == 0
    said = capsys.readouterr().out
    assert f"{taken} is left alone: it is unknown-here by now." in said
    assert f"{ended} is left alone: it is end" in said
    assert account.is_running(taken)


def test_what_cannot_be_stopped_is_told_and_the_others_are_stopped(
    account: Account, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    orphans = [account.job(account.task(name, "failed")) for name in ("one", "two")]
    account.emulator.set_faults({"operation": "StopTrainingJob", "times": 1, "error": DENIED})
    assert run("--stop-orphans", "--yes", "--json") == 1
    told = {job["job_name"]: job for job in json.loads(capsys.readouterr().out)}
    results = {name: job["result"] for name, job in told.items()}
    assert sorted(results.values()) == ["failed", "stopped"]
    assert set(results) == set(orphans)
    for name, result in results.items():
        assert account.is_running(name) is (result == "failed")
        assert set(told[name]) == {*FIELDS, "result", "said"}


def test_a_search_that_lags_makes_no_orphan_of_a_job_that_has_ended(
    account: Account, listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = account.job(account.task("train", "success"), seconds=1)
    account.ends(job)
    described = account.described(job)
    behind = _tagged.TaggedJob(
        _tagged.TRAINING_JOBS, {**described, "TrainingJobStatus": "InProgress"}, account.tags(job)
    )
    monkeypatch.setattr(_tagged, "_searched", lambda _, kind, *__: [behind] if kind is behind.kind else [])
    assert listed()[job]["standing"] == "ended"


def test_without_the_metadata_database_jobs_are_told_and_none_is_stopped(
    account: Account,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    job = account.job(account.task("train", "failed"))
    with airflow_uses(tmp_path / "nowhere.db", monkeypatch):
        assert run() == 0
        said = capsys.readouterr()
        assert job in said.out
        assert "not known" in said.out
        assert "ORPHAN" not in said.out
        assert "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" in said.err
        assert run("--stop-orphans", "--yes") == 1
        assert "nothing is stopped" in capsys.readouterr().err
    assert account.is_running(job)


def test_where_there_is_no_job_it_says_where_it_looked(
    account: Account, run: Run, listed: Listed, capsys: pytest.CaptureFixture[str]
) -> None:
    account.job(None)
    assert listed() == {}
    assert run() == 0
    assert f"No job that bears this provider's tags is in progress in {REGION}." in capsys.readouterr().out


def test_watching_looks_again_until_it_is_interrupted(
    account: Account, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    task = account.task("train", "deferred")
    account.job(task)
    slept: list[float] = []

    def _sleep(seconds: float) -> None:
        slept.append(seconds)
        account.sets(task, "failed")
        if len(slept) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(listing.time, "sleep", _sleep)
    assert run("--watch", "--every", "7") == 0
    said = capsys.readouterr().out
    assert slept == [7.0, 7.0]
    assert said.count("churn.train") == 2
    assert (
        len(re.findall(r"^1 in progress at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\.$", said, re.MULTILINE)) == 2
    )
    assert said.index("deferred") < said.index("ORPHAN (failed)")


def test_watching_outlasts_what_may_be_over_the_next_time(
    account: Account, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    account.job(account.task("train", "deferred"))
    down = {"operation": "Search", "error": {"code": "ServiceUnavailable", "status": 503}}
    slept: list[float] = []

    def _sleep(seconds: float) -> None:
        slept.append(seconds)
        account.emulator.set_faults(*([down] if len(slept) == 1 else []))
        if len(slept) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(connection, "PATIENCE_SECONDS", -1.0)
    monkeypatch.setattr(listing.time, "sleep", _sleep)
    assert run("--watch") == 0
    said = capsys.readouterr()
    assert said.out.count("churn.train") == 2
    assert said.err.count("ServiceUnavailable") == said.err.count("Looking again in 10 s.") == 1


def test_ctrl_c_at_the_question_stops_nothing(
    account: Account, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def _interrupted() -> None:
        raise KeyboardInterrupt

    orphan = account.job(account.task("train", "failed"))
    monkeypatch.setattr(sys, "stdin", Typed("yes\n", _interrupted))
    assert run("--stop-orphans") == 130
    assert account.is_running(orphan)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--conn-id", "other"], "--conn-id names a connection"),
        (["--watch", "--json"], "give one of the two"),
        (["--yes"], "--stop-orphans"),
        (["--every", "5"], "--watch"),
    ],
)
def test_arguments_that_contradict_are_refused(
    arguments: list[str], said: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--watch", "--stop-orphans"], "not allowed with"),
        (["--since", "soon"], "30m, 12h, 30d or 4w"),
        (["--every", "0"], "2 to 3600 seconds"),
        (["--every", "nan"], "2 to 3600 seconds"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    arguments: list[str], said: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(*arguments)
    assert said in capsys.readouterr().err


def test_a_connection_of_airflow_leads_to_the_jobs(
    account: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = account.job(account.task("train", "deferred"))
    extra = {"endpoint_url": account.emulator.endpoint_url, "region_name": REGION}
    uri = {"conn_type": "aws", "login": account.id, "password": "secret", "extra": extra}
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    for name, arguments in (("AWS_DEFAULT", []), ("TEAM", ["--conn-id", "team"])):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(uri))
        assert main(["jobs", "--json", *arguments]) == 0
        # Airflow's log was set up long ago, and this test's standard output is no file that it could be kept from.
        told = capsys.readouterr().out.splitlines()[-1]
        assert [each["job_name"] for each in json.loads(told)] == [job]
        monkeypatch.delenv(f"AIRFLOW_CONN_{name}")


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--conn-id", "nobody"], "There is no Airflow connection 'nobody'"),
        (["--profile", "nobody"], "profile (nobody) could not be found"),
        ([], "Give --region"),
        (["--region", REGION, "--endpoint-url", "nonsense"], "Invalid endpoint: nonsense"),
    ],
)
def test_a_way_to_aws_that_is_not_there_is_told(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    assert main(["jobs", *arguments]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.usefixtures("account")
def test_without_credentials_nobody_waits(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    assert run() == 1
    said = capsys.readouterr().err
    assert "Unable to locate credentials. Give those of AWS_ACCESS_KEY_ID" in said
    assert "again in" not in said


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], ["You must specify a region. Give --region, or a --profile that has one"]),
        (["--region", REGION], ["Unable to locate credentials. Give", "AWS_ACCESS_KEY_ID", "--profile"]),
    ],
)
def test_what_switches_the_connection_off_is_not_answered_with_a_connection(
    arguments: list[str], said: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "PROFILE", "REGION", "DEFAULT_REGION"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://key:secret@/?region_name=us-east-1")
    assert main(["jobs", "--endpoint-url", "http://localhost:1234", *arguments]) == 1
    told = capsys.readouterr().err
    assert all(each in told for each in [*said, "--endpoint-url stands instead of a connection"])
    assert "--conn-id" not in told


def test_standard_output_is_json_and_nothing_else(account: Account) -> None:
    job = account.job(account.task("train", "deferred"))
    extra = {"endpoint_url": account.emulator.endpoint_url, "region_name": REGION}
    uri = {"conn_type": "aws", "login": account.id, "password": "secret", "extra": extra}
    script = (
        "import os, sys, airflow.settings; "  # logs to standard output from now on, at every level
        f"os.environ['AIRFLOW_CONN_AWS_DEFAULT'] = {json.dumps(uri)!r}; "
        "from airflow_spot_provider.cli import main; "
        "status = main(['jobs', '--json']); print('after', flush=True); sys.exit(status)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    *before, told, after = ran.stdout.splitlines()
    assert [each["job_name"] for each in json.loads(told)] == [job]
    assert after == "after"
    logged = "credentials retrieved from login and password"
    assert logged in ran.stderr
    assert not any(logged in line for line in before)
