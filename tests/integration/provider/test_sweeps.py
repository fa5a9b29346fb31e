"""Sweeps against the emulator: each trial trained and told exactly once, wherever the slot dies."""

from __future__ import annotations

import asyncio
import gc
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from airflow.sdk import DAG
from sqlalchemy import event
from sqlalchemy.engine import Engine

from airflow_spot_provider.aws.kinds import TRAINING_JOBS
from airflow_spot_provider.aws.log_reader import LATE
from airflow_spot_provider.aws.watching.stopping import Stop
from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.sweeps import spot_sweep
from airflow_spot_provider.sweeps.operator import SpotTrialsOperator
from airflow_spot_provider.sweeps.settings import SweepBudget, SweepSettings, checked_settings
from airflow_spot_provider.sweeps.study import create_study, distributions_of, storage_of
from airflow_spot_provider.sweeps.trials import JOB, RESULT, SLOT, Trials, claim_of
from airflow_spot_provider.sweeps.trials import RUN as RUN_ATTRIBUTE
from airflow_spot_provider.sweeps.trigger import SpotTrialTrigger, _Judge
from airflow_spot_provider.training import (
    Categorical,
    InvalidSpotRequest,
    LogUniform,
    Outcome,
    SpotTrainingError,
    SpotTrainingResult,
    TrainingJobFailed,
    Uniform,
)
from airflow_spot_provider.triggers._training_log import TrainingLog
from tests.airflow_versions import TaskDeferred
from tests.integration.provider.task_instance import FakeTaskInstance
from tests.unit.aws.log_service import START, Liberties, LogService

pytestmark = pytest.mark.usefixtures("aws_connection")

SPACE = {"x": Uniform(-1, 1), "rate": LogUniform(1e-4, 1e-1)}
RUN = "integration/{}/sweep"


class _Died(BaseException):
    """The worker's end: nothing after it runs."""


@pytest.fixture
def storage(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/studies.db"


@pytest.fixture
def script_config(job_config: dict[str, Any]) -> dict[str, Any]:
    """A job whose metric is read from what a shell script prints."""
    program = "echo loss=0.5"
    job_config["AlgorithmSpecification"] |= {
        "ContainerEntrypoint": ["/bin/sh", "-c", program],
        "MetricDefinitions": [{"Name": "loss", "Regex": r"loss=([0-9.]+)"}],
    }
    return job_config


class Sweep:
    """A slot, as its task would run it, try after try."""

    def __init__(self, config: dict[str, Any], storage: str, run_id: str, **settings: Any) -> None:
        self.settings = _settings(run_id, storage, sampler="tpe", prune=settings.pop("prune", None))
        self.config = config
        self.budget = settings.pop("budget", {"trials": 2})
        self.arguments = settings
        self.ti = FakeTaskInstance(run_id, task_id="sweep.trials")
        self.ti.map_index = 0
        create_study(self.settings)

    def operator(self) -> SpotTrialsOperator:
        return SpotTrialsOperator(
            task_id="trials",
            slot=0,
            settings=self.settings.to_json(),
            study=self.settings.study,
            storage=self.settings.storage,
            budget=self.budget,
            config=self.config,
            max_wait=36_000,
            checkpoint_s3_uri="s3://integration/sweeps",
            poll_interval=1,
            print_log=False,
            **{"deferrable": False, **self.arguments},
        )

    def run(self) -> dict[str, Any]:
        return self.operator().execute(self.ti.context)

    @property
    def trials(self) -> Trials:
        return Trials(self.settings, RUN.format(self.ti.run_id), 0)


def _settings(study: str, storage: str, **changes: Any) -> SweepSettings:
    arguments: dict[str, Any] = {
        "space": SPACE, "metric": "loss", "mode": "min", "sampler": "random", "seed": 1, "prune": None,
    }  # fmt: skip
    return checked_settings(study=study, storage=storage, **{**arguments, **changes})


@pytest.fixture
def sweep(script_config: dict[str, Any], storage: str, unique: str) -> Sweep:
    return Sweep(script_config, storage, unique)


def _jobs_of(emulator: SageMakerEmulator, sweep: Sweep) -> list[str]:
    sagemaker = emulator.client("sagemaker")
    pages = sagemaker.get_paginator("list_training_jobs").paginate(NameContains="integration-trials")
    found = []
    for job in (job for page in pages for job in page["TrainingJobSummaries"]):
        tags = sagemaker.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
        if {"Key": "airflow-spot:run-id", "Value": sweep.ti.run_id} in tags:
            found.append(job["TrainingJobName"])
    return found


def test_slot_takes_no_trial_that_another_slot_has_put_in_the_queue(storage: str, unique: str) -> None:
    """The other would find it running under its own name, and train it as well."""
    settings = _settings(unique, storage)
    create_study(settings)
    study = optuna.load_study(study_name=unique, storage=storage)
    study.enqueue_trial({}, user_attrs={RUN_ATTRIBUTE: "run", SLOT: 1})

    taken = [Trials(settings, "run", slot).next(SweepBudget(trials=4)) for slot in (0, 1)]

    assert [(trial.number, claim_of(trial)) for trial in taken if trial] == [(1, ("run", 0)), (0, ("run", 1))]


def test_trials_that_somebody_put_in_the_queue_are_tried_first(storage: str, unique: str) -> None:
    settings = _settings(unique, storage)
    create_study(settings)
    study = optuna.load_study(study_name=unique, storage=storage)
    study.enqueue_trial({"x": 0.25, "rate": 0.01})

    trial = Trials(settings, "run", 0).next(SweepBudget(trials=4))

    assert trial is not None
    assert trial.params == {"x": 0.25, "rate": 0.01}


def test_slot_trains_trials_until_the_budget_is_spent(sweep: Sweep, emulator: SageMakerEmulator) -> None:
    summary = sweep.run()

    assert summary == {"slot": 0, "trials": [0, 1], "why_it_ended": "2 trials are the budget"}
    results = sweep.trials.results()
    assert len(_jobs_of(emulator, sweep)) == 2
    for trial in sweep.trials.all():
        assert trial.state is optuna.trial.TrialState.COMPLETE
        assert trial.value == 0.5
        described = emulator.client("sagemaker").describe_training_job(TrainingJobName=trial.user_attrs[JOB])
        assert {name: described["HyperParameters"][name] for name in SPACE} == {
            name: str(value) for name, value in trial.params.items()
        }
        assert described["CheckpointConfig"]["S3Uri"] == f"s3://integration/sweeps/trial-{trial.number}"
        assert sweep.ti.xcoms[f"trial_{trial.number}"] == results[trial.number].to_json()


@pytest.mark.parametrize("where", ["_ask", "begin", "_submit", "tell", "_mark", "_release"])
def test_slot_that_dies_anywhere_goes_on_with_its_trial(
    sweep: Sweep, emulator: SageMakerEmulator, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    owner = SpotTrialsOperator if where in ("_submit", "_release") else Trials
    real = getattr(owner, where)
    times = Counter[str]()

    def _dies_after(self: Any, *args: Any, **kwargs: Any) -> Any:
        answer = real(self, *args, **kwargs)
        times["called"] += 1
        if times["called"] == 1:
            raise _Died
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(owner, where, _dies_after)
        with pytest.raises(_Died):
            sweep.run()
    sweep.ti = sweep.ti.next_try()
    sweep.ti.map_index = 0

    sweep.run()

    trials = sweep.trials.all()
    assert [trial.state.name for trial in trials] == ["COMPLETE", "COMPLETE"]
    assert sorted(trial.user_attrs[JOB] for trial in trials) == sorted(_jobs_of(emulator, sweep))
    # Airflow has forgotten the XComs of the try before; they are published again.
    assert {f"trial_{trial.number}" for trial in trials} <= set(sweep.ti.xcoms)


def test_clear_of_a_waiting_slot_goes_on_with_the_same_trial(
    sweep: Sweep, emulator: SageMakerEmulator
) -> None:
    sweep.config["Tags"] = [{"Key": "emulator:training-seconds", "Value": "6000"}]
    del sweep.config["AlgorithmSpecification"]["ContainerEntrypoint"]
    sweep.arguments["deferrable"] = True
    with pytest.raises(TaskDeferred) as first:
        sweep.run()
    sweep.ti = sweep.ti.next_try()
    sweep.ti.map_index = 0
    with pytest.raises(TaskDeferred) as second:
        sweep.run()

    assert second.value.trigger.job_name == first.value.trigger.job_name
    assert _jobs_of(emulator, sweep) == [first.value.trigger.job_name]
    SageMakerSpotHook().jobs(TRAINING_JOBS).stop(first.value.trigger.job_name)


def test_slots_that_ask_at_the_same_time_train_no_more_than_the_budget(storage: str, unique: str) -> None:
    settings = _settings(unique, storage, sampler="tpe")
    create_study(settings)
    slots = [Trials(settings, "run", number) for number in range(3)]
    budget = SweepBudget(trials=2)
    # All have looked at the budget before any of them asks.
    asked = [slot._ask() for slot in slots]
    assert len({str(trial.params) for trial in asked}) == 3
    assert [slot._rank(trial.number) >= 2 for slot, trial in zip(slots, asked, strict=True)] == [
        False,
        False,
        True,
    ]
    assert slots[0].spent().is_all(budget) == "3 trials are the budget"


def test_failed_trials_are_told_and_only_many_in_a_row_fail_the_slot(sweep: Sweep) -> None:
    sweep.config["AlgorithmSpecification"]["ContainerEntrypoint"] = ["/bin/sh", "-c", "exit 1"]
    sweep.budget = {"trials": 10}

    with pytest.raises(TrainingJobFailed):
        sweep.run()

    assert [trial.state.name for trial in sweep.trials.all()] == ["FAIL"] * 3
    assert all(result.outcome is Outcome.FAILED for result in sweep.trials.results().values())


@pytest.mark.parametrize(
    ("printed", "regex", "why"),
    [
        (
            "loss=nan",
            r"loss=(\S+)",
            "loss was 'nan' at last, which is no finite number: the training diverged",
        ),
        ("loss=-inf", r"loss=(\S+)", "loss was '-inf' at last"),
        (
            "loss=nan",
            r"loss=([0-9.]+)",
            r"No loss was found .*: 'loss=\(\[0-9.\]\+\)' is what MetricDefinitions",
        ),
    ],
)
def test_trial_that_completes_without_a_value_is_told_as_failed_and_the_slot_goes_on(
    sweep: Sweep, printed: str, regex: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    diverges = "*-trials-[02]-*"
    program = f'case "$TRAINING_JOB_NAME" in {diverges}) echo {printed};; *) echo loss=0.5;; esac'
    sweep.config["AlgorithmSpecification"] |= {
        "ContainerEntrypoint": ["/bin/sh", "-c", program],
        "MetricDefinitions": [{"Name": "loss", "Regex": regex}],
    }
    sweep.budget = {"trials": 4}

    sweep.run()

    assert [trial.state.name for trial in sweep.trials.all()] == ["FAIL", "COMPLETE"] * 2
    assert len(re.findall(why, capsys.readouterr().out)) == 2


def test_slot_none_of_whose_trials_has_a_value_ends_and_says_why(sweep: Sweep) -> None:
    sweep.config["AlgorithmSpecification"]["MetricDefinitions"] = [
        {"Name": "auc", "Regex": r"loss=([0-9.]+)"}
    ]
    sweep.budget = {"trials": 10}

    with pytest.raises(SpotTrainingError, match=r"No loss was found .*: no MetricDefinition is of that name"):
        sweep.run()

    assert [trial.state.name for trial in sweep.trials.all()] == ["FAIL"] * 3


def test_losing_trial_is_stopped_and_told_as_pruned(
    script_config: dict[str, Any], storage: str, unique: str
) -> None:
    printed = "; ".join(f"echo loss={9 - step}" for step in range(4)) + "; sleep 600"
    script_config["AlgorithmSpecification"]["ContainerEntrypoint"] = ["/bin/sh", "-c", printed]
    script_config["StoppingCondition"] = {"MaxRuntimeInSeconds": 30_000}
    prune = {"pruner": "median", "n_startup_trials": 1}
    sweep = Sweep(script_config, storage, unique, prune=prune, deferrable=True)
    good = sweep.trials
    study = optuna.load_study(study_name=unique, storage=storage)
    earlier = study.ask(distributions_of(sweep.settings.space))
    for step in range(4):
        earlier.report(1.0, step)
    study.tell(earlier, 1.0)
    with pytest.raises(TaskDeferred) as deferred:
        sweep.run()
    path, arguments = deferred.value.trigger.serialize()
    assert path.endswith("SpotTrialTrigger")

    async def _events() -> list[Any]:
        return [event async for event in SpotTrialTrigger(**arguments).run()]

    events = asyncio.run(_events())

    assert events[0].payload == {"job_name": arguments["job_name"], "outcome": "Stopped"}
    operator = sweep.operator()
    sweep.budget = {"trials": 1}
    operator.budget = {"trials": 1}
    operator.execute_complete(sweep.ti.context, events[0].payload)
    (trial,) = good.all()
    assert trial.state is optuna.trial.TrialState.PRUNED
    assert trial.value == 9.0 - max(trial.intermediate_values)
    assert good.results()[trial.number].billable_seconds is not None
    assert good.spent().billable_seconds > 0


@pytest.mark.parametrize("prune", [None, "median"])
def test_trials_checkpoints_are_looked_at_under_its_own_prefix(
    script_config: dict[str, Any], storage: str, unique: str, prune: str | None
) -> None:
    sweep = Sweep(script_config, storage, unique, prune=prune, deferrable=True, checkpoint_interval=600)

    with pytest.raises(TaskDeferred) as deferral:
        sweep.run()

    _, arguments = deferral.value.trigger.serialize()
    assert arguments["checkpoint_interval"] == 600.0
    assert arguments["checkpoint_s3_uri"] == "s3://integration/sweeps/trial-0"
    assert ("metric_regex" in arguments) == (prune is not None)


def test_bad_regex_of_the_objective_is_refused_with_a_pruner(script_config: dict[str, Any]) -> None:
    script_config["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "loss", "Regex": "loss=("}]
    with (
        DAG("sweeps", schedule=None),
        pytest.raises(InvalidSpotRequest, match="Regex of 'loss' is 'loss=\\('"),
    ):
        spot_sweep(
            "sweep", script_config, space=SPACE, metric="loss", mode="min", storage="sqlite:///x.db",
            budget={"trials": 1}, max_wait=700, prune="median",
        )  # fmt: skip


def test_training_that_diverged_is_told_as_failed(storage: str, unique: str) -> None:
    settings = _settings(unique, storage)
    create_study(settings)
    trials = Trials(settings, "run", 0)
    trial = trials.next(SweepBudget(trials=1))
    assert trial is not None
    diverged = {"loss": float("nan")}
    result = SpotTrainingResult(job_name="j", job_arn="a", outcome=Outcome.COMPLETED, metrics=diverged)
    with pytest.warns(UserWarning, match="nan is not acceptable"):
        assert trials.tell(trial, result).name == "FAIL"


def test_steps_that_were_told_are_not_told_again(storage: str, unique: str) -> None:
    settings = _settings(unique, storage, prune="median")
    create_study(settings)
    trials = Trials(settings, "run", 0)
    trial = trials.next(SweepBudget(trials=1))
    assert trial is not None
    assert trials.report(trial.number, [(0, 1.0), (1, 0.5)]) is None
    assert trials.report(trial.number, [(0, 9.0), (1, 9.0), (2, 0.2)]) is None
    assert trials.all()[0].intermediate_values == {0: 1.0, 1: 0.5, 2: 0.2}


def test_trial_is_told_once(storage: str, unique: str) -> None:
    settings = _settings(unique, storage)
    create_study(settings)
    trials = Trials(settings, "run", 0)
    trial = trials.next(SweepBudget(trials=1))
    assert trial is not None
    result = SpotTrainingResult(job_name="j", job_arn="a", outcome=Outcome.COMPLETED, metrics={"loss": 0.25})
    assert trials.tell(trial, result).name == "COMPLETE"
    later = result.model_copy(update={"metrics": {"loss": 7.0}})
    assert trials.tell(trial, later).name == "COMPLETE"
    assert trials.all()[0].value == 0.25
    assert '"loss": 0.25' in trials.all()[0].user_attrs[RESULT]


def test_slots_start_spread_over_the_space(storage: str, unique: str) -> None:
    settings = _settings(unique, storage, space={"x": Uniform(0, 1)}, sampler="tpe")
    create_study(settings)
    slots = [Trials(settings, "run", number) for number in range(8)]
    started = [slot.next(SweepBudget(trials=8)) for slot in slots]
    # Each eighth of the space has one: no two slots look in the same place.
    assert sorted(int(trial.params["x"] * 8) for trial in started if trial) == list(range(8))


def test_sampler_whose_package_is_missing_is_said_before_anything_is_submitted(
    storage: str, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optuna.samplers, "CmaEsSampler", _not_installed)
    with pytest.raises(InvalidSpotRequest, match=r"sampler 'cmaes' takes a package.*No module named 'cmaes'"):
        create_study(_settings(unique, storage, sampler="cmaes"))
    assert optuna.get_all_study_names(storage) == []


def _not_installed(**_: Any) -> None:
    raise ImportError("No module named 'cmaes'")


class _Watcher:
    """Has a line to CloudWatch Logs, and is told what to stop."""

    def __init__(self, logs: LogService) -> None:
        self.logs = logs
        self.stops: list[Stop] = []

    def line(self, service: str) -> _Watcher:
        assert service == "logs"
        return self

    async def call(self, operation: str, *, patient: bool, **members: Any) -> Any:
        assert not patient
        return await self.logs.call(operation, **members)

    def stop_job(self, stop: Stop) -> None:
        self.stops.append(stop)


class Judged:
    """A trial's trigger, whose looks a test makes one by one."""

    def __init__(
        self, settings: SweepSettings, number: int, watcher: _Watcher, regex: str = "loss=(.*)"
    ) -> None:
        self.trigger = SpotTrialTrigger(
            "job", settings=settings.to_json(), run="run", number=number, metric_regex=regex, poll_interval=0
        )
        self.trigger._training_log = TrainingLog(watcher, "job", pause=0)  # type: ignore[arg-type]
        self.trigger._training_log.objective = regex
        self.watcher = watcher
        self.judge = _Judge(settings, "run", number)

    def look(self) -> int | None:
        """One look of the trigger's."""

        async def _once() -> int | None:
            training_log = self.trigger.training_log()
            training_log._looking = asyncio.Lock()  # of this loop
            self.judge.take(await training_log.new_values(self.trigger.logger()))
            return await self.judge.losing_step()

        return asyncio.run(_once())

    def judge_to_the_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As the trigger does it by itself."""
        monkeypatch.setattr(SpotTrialTrigger, "watcher", lambda _: self.watcher)
        asyncio.run(self.trigger._judge())


@pytest.fixture
def settings(storage: str, unique: str) -> SweepSettings:
    settings = _settings(unique, storage, prune={"pruner": "median", "n_startup_trials": 1})
    create_study(settings)
    return settings


def _trial_of(settings: SweepSettings) -> int:
    trial = Trials(settings, "run", 0).next(SweepBudget(trials=9))
    assert trial is not None
    return trial.number


def _told(settings: SweepSettings) -> dict[int, float]:
    return Trials(settings, "run").all()[-1].intermediate_values


@pytest.mark.parametrize("seed", range(20))
def test_values_are_steps_in_their_order_each_once_whatever_comes_late_and_whoever_reads_on(
    settings: SweepSettings, seed: int
) -> None:
    rng = random.Random(seed)
    logs = LogService(rng, Liberties(page=rng.choice([2, 7, 100]), short=0.3, repeated=0.1, errors=0.1))
    number, watcher = _trial_of(settings), _Watcher(logs)
    judged = Judged(settings, number, watcher)
    logged: list[tuple[int, int]] = []
    for value in range(30):
        logs.now += rng.choice([0, 400, 20_000])
        at = logs.now - rng.choice([0, 0, 15_000, 40_000])
        logs.log(f"loss={value}", at=at, late=logs.now - at)
        logs.log("chatter", at=at, late=logs.now - at)
        logged.append((at, value))
        if rng.random() < 0.1:
            judged = Judged(settings, number, watcher)  # another triggerer goes on
        if rng.random() < 0.7:
            judged.look()
    for _ in range(40):
        logs.now += LATE
        judged.look()

    values = list(_told(settings).values())
    assert list(_told(settings)) == list(range(30))
    # Lines of one millisecond may stand in any order.
    assert [at for at, _ in sorted(logged)] == [
        {value: at for at, value in logged}[int(told)] for told in values
    ]
    assert sorted(values) == list(range(30))


def test_value_is_reported_when_nothing_can_be_put_in_before_it_any_more(settings: SweepSettings) -> None:
    logs = LogService(random.Random(1))
    judged = Judged(settings, _trial_of(settings), _Watcher(logs))
    logs.log("loss=3")
    logs.now += 50_000
    judged.look()
    assert _told(settings) == {}
    logs.log("loss=4", at=START - 9_000, late=59_000)
    logs.now += 11_000

    judged.look()

    assert _told(settings) == {0: 4.0, 1: 3.0}


def test_look_that_finds_nothing_new_asks_the_study_nothing(
    settings: SweepSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = Judged(settings, _trial_of(settings), _Watcher(LogService(random.Random(1))))
    judged.look()
    asked: list[Any] = []
    monkeypatch.setattr(Trials, "report", lambda *arguments: asked.append(arguments))

    judged.look()

    assert asked == []


def test_value_that_could_not_be_reported_is_reported_later(
    settings: SweepSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = LogService(random.Random(1))
    judged = Judged(settings, _trial_of(settings), _Watcher(logs))
    logs.log("loss=3")
    logs.now += 2 * LATE
    with monkeypatch.context() as patch:
        patch.setattr(Trials, "report", _raise(OSError("no route")))
        with pytest.raises(OSError, match="no route"):
            judged.look()

    judged.look()

    assert _told(settings) == {0: 3.0}


def _raise(error: Exception) -> Any:
    def _raises(*_: Any) -> None:
        raise error

    return _raises


def test_trial_that_loses_is_the_watchers_to_stop_and_its_task_waits_on(
    settings: SweepSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = optuna.load_study(study_name=settings.study, storage=settings.storage)
    good = study.ask(distributions_of(settings.space))
    good.report(1.0, 0)
    study.tell(good, 1.0)
    logs = LogService(random.Random(1))
    watcher = _Watcher(logs)
    judged = Judged(settings, _trial_of(settings), watcher)
    logs.log("loss=9")
    logs.now += 2 * LATE

    judged.judge_to_the_end(monkeypatch)

    assert watcher.stops == [Stop(TRAINING_JOBS, "job", is_kill=False)]


def test_trial_that_had_lost_before_the_triggerer_died_is_stopped(
    settings: SweepSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = _trial_of(settings)
    trials = Trials(settings, "run", 0)
    trials.lose(trials.all()[0], 3)
    watcher = _Watcher(LogService(random.Random(1)))

    Judged(settings, number, watcher).judge_to_the_end(monkeypatch)

    assert watcher.stops == [Stop(TRAINING_JOBS, "job", is_kill=False)]


def test_regex_that_takes_for_ever_leaves_the_trial_to_train_to_its_end(
    settings: SweepSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_spot_provider.triggers._matching.SECONDS", 0.05)
    logs = LogService(random.Random(1))
    logs.log("x" * 1_000)
    logs.now += 2 * LATE
    watcher = _Watcher(logs)

    Judged(settings, _trial_of(settings), watcher, regex="(x+x+)+y").judge_to_the_end(monkeypatch)

    assert watcher.stops == []
    assert _told(settings) == {}


@pytest.fixture
def connections() -> Iterator[tuple[list[Any], list[Any]]]:
    """The connections to databases that this process made, and those that it closed."""
    made: list[Any] = []
    closed: list[Any] = []

    def _made(connection: Any, _record: Any) -> None:
        made.append(connection)

    def _closed(connection: Any, _record: Any) -> None:
        closed.append(connection)

    event.listen(Engine, "connect", _made)
    event.listen(Engine, "close", _closed)
    yield made, closed
    event.remove(Engine, "connect", _made)
    event.remove(Engine, "close", _closed)


def test_all_who_ask_a_study_in_a_process_share_one_storage_until_the_last_of_them_has_gone(
    storage: str, unique: str, connections: tuple[list[Any], list[Any]]
) -> None:
    made, closed = connections
    settings = _settings(unique, storage, prune="median")
    study = create_study(settings)
    first, second = Trials(settings, "run", 0), Trials(settings, "run", 1)
    trial = first.next(SweepBudget(trials=4))
    assert trial is not None
    second.next(SweepBudget(trials=4))
    first.report(trial.number, [(0, 1.0)])

    assert first._study._storage is second._study._storage is study._storage is storage_of(storage)
    assert len(made) == 2, "the pool's, and the one with which Optuna looks at the schema's version"
    assert made[0] not in closed
    del study, first, second
    gc.collect()
    assert made[0] in closed


def test_trial_that_is_half_claimed_by_a_version_before_is_nobodys(settings: SweepSettings) -> None:
    """A process of a version that wrote two attributes died between them."""
    study = optuna.load_study(study_name=settings.study, storage=settings.storage)
    half = study.ask(distributions_of(settings.space))
    half.set_user_attr(RUN_ATTRIBUTE, "run")
    trials = Trials(settings, "run", 0)

    assert trials.running_here() is None
    assert trials.next(SweepBudget(trials=9)) is not None
    assert trials.failures_in_a_row() == 0
    assert trials.results(slot=0) == {}


def test_budget_of_seconds_counts_what_runs(storage: str, unique: str) -> None:
    settings = _settings(unique, storage)
    create_study(settings)
    budget = SweepBudget(billable_seconds=250)
    slots = [Trials(settings, "run", number) for number in range(2)]
    result = SpotTrainingResult(
        job_name="j",
        job_arn="a",
        outcome=Outcome.COMPLETED,
        metrics={"loss": 0.25},
        training_seconds=500,
        billable_seconds=100,
    )
    first = slots[0].next(budget)
    assert first is not None
    slots[0].tell(first, result)
    assert slots[0].next(budget) is not None  # 100 spent
    assert slots[1].next(budget) is not None  # 100 spent, 100 expected of the one that runs
    assert slots[1].spent().is_all(budget) == "100 billable seconds, and 2 trials that run, are the budget"


def test_study_of_another_kind_under_the_same_name_is_refused(storage: str, unique: str) -> None:
    create_study(_settings(unique, storage))
    create_study(_settings(unique, storage))
    with pytest.raises(InvalidSpotRequest, match=r"goes for \['minimize'\]; this sweep wants \['maximize'\]"):
        create_study(_settings(unique, storage, mode="max"))
    with pytest.raises(InvalidSpotRequest, match=r"(?s)with the search space.*Choose another study_name"):
        create_study(_settings(unique, storage, space={"x": Uniform(0, 1)}))
    with pytest.raises(InvalidSpotRequest, match="with the metrics"):
        create_study(_settings(unique, storage, metric="auc"))


@pytest.fixture
def dag() -> Iterator[DAG]:
    with DAG("sweeps", schedule=None) as dag:
        yield dag


@pytest.mark.usefixtures("dag")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"space": {}}, "search space"),
        ({"space": {"x": {"distribution": "normal"}}}, "distribution of 'x'"),
        ({"space": {"x": {"distribution": "uniform", "low": 2, "high": 1}}}, "low may be at most high"),
        ({"mode": "most"}, "mode is 'most'"),
        ({"metric": ["a", "b"]}, "as many modes"),
        ({"metric": "auc"}, r"No job will publish \['auc'\].*\['loss'\]"),
        ({"sampler": "annealing"}, "sampler is 'annealing'"),
        ({"seed": -1}, "seed is -1"),
        ({"prune": "never"}, "prune is 'never'"),
        ({"prune": {"pruner": "median", "patience": 1}}, "Optuna does not take prune="),
        ({"metric": ["loss", "auc"], "mode": ["min", "max"], "prune": "median"}, "with one only"),
        ({"storage": "postgresql://me:secret@db/studies"}, "URL with a password"),
        ({"storage": ""}, "storage is ''"),
        ({"budget": {}}, "no budget"),
        ({"budget": {"trials": 0}}, "trials are 0"),
        ({"budget": {"billable_seconds": 0}}, "billable_seconds is 0"),
        ({"budget": {"money": 5}}, "goes with price_per_hour"),
        ({"budget": {"jobs": 5}}, "budget is {'jobs': 5}"),
        ({"slots": 0}, "slots is 0"),
        ({"max_failures": 0}, "max_failures is 0"),
        ({"max_wait": None}, "There is no MaxWait"),
        ({"managed_spot": False}, "without managed spot training"),
        ({"poll_interval": 0}, "poll_interval is 0"),
        ({"hyperparameters": {"x": 1}}, r"\['x'\] are in the search space"),
        ({"space": {"x": Categorical}}, "distribution of 'x'"),
    ],
)
def test_what_is_wrong_with_a_sweep_is_said_at_dag_parse(
    script_config: dict[str, Any], changes: dict[str, Any], said: str
) -> None:
    arguments: dict[str, Any] = {
        "space": SPACE, "metric": "loss", "mode": "min", "storage": "sqlite:///x.db", "budget": {"trials": 1},
        "max_wait": 700,
    }  # fmt: skip
    with pytest.raises(InvalidSpotRequest, match=said) as raised:
        spot_sweep("sweep", script_config, **{**arguments, **changes})
    assert "secret" not in str(raised.value)
