"""One slot of a sweep: a task that trains one trial after the other, each a spot job, deferred while it waits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from optuna.trial import FrozenTrial, TrialState

from airflow_spot_provider.aws.kinds import Description
from airflow_spot_provider.operators._account import LOG_LINES, tell
from airflow_spot_provider.operators._members import with_own_checkpoints
from airflow_spot_provider.operators._metrics import measure
from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.sweeps.settings import SweepBudget, SweepSettings
from airflow_spot_provider.sweeps.trials import Trials
from airflow_spot_provider.sweeps.trigger import SpotTrialTrigger
from airflow_spot_provider.training import (
    Attempt,
    InvalidSpotRequest,
    Outcome,
    Savings,
    SpotTrainingError,
    SpotTrainingResult,
    TaskIdentity,
)
from airflow_spot_provider.training.exceptions import unaccepted
from airflow_spot_provider.training.metric_curves import definitions_of
from airflow_spot_provider.training.progress import Facts
from airflow_spot_provider.training.result import cost_of_all
from airflow_spot_provider.training.rules import Known
from airflow_spot_provider.triggers._matching import CannotMatch, compiled, found_by
from airflow_spot_provider.triggers._progress import PROGRESS_KEY

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_spot_provider.triggers.training import SageMakerSpotTrainingTrigger

MAX_FAILURES_IN_A_ROW = 3


class SpotTrialsOperator(SageMakerSpotTrainingOperator):
    """Train trials of a study, one after the other, until the sweep's budget is spent; made by :func:`~.spot_sweep`.

    A trial that ends otherwise than Completed is told as failed, and the slot goes on with the next one. A job is the trial's,
    not the slot's: after a crash, a retry or a clear the slot goes on with the trial that it had, and finds its job.

    :param slot: which of the mapped tasks this is.
    :param settings: of the sweep, as JSON.
    :param study: name of the study (templated).
    :param storage: of the study (templated).
    :param budget: of the sweep, as JSON.
    :param max_failures: after so many failed trials in a row the slot fails.
    """

    template_fields: Sequence[str] = (*SageMakerSpotTrainingOperator.template_fields, "study", "storage")
    custom_operator_name = "Trials"
    _trial: FrozenTrial | None = None
    _told_before = False

    def __init__(
        self,
        *,
        slot: int,
        settings: Mapping[str, Any],
        study: str,
        storage: str,
        budget: Mapping[str, Any],
        max_failures: int = MAX_FAILURES_IN_A_ROW,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.slot = slot
        self.settings = settings
        self.study = study
        self.storage = storage
        self.budget = budget
        self.max_failures = max_failures

    def execute(self, context: Context) -> dict[str, Any]:
        """Train trials until the budget is spent."""
        trials, budget = self._trials(context), SweepBudget.of(self.budget)
        if not self._told_before:
            # Airflow forgets a task's XComs before each try; the study does not.
            self._told_before = True
            for number, result in trials.results(slot=self.slot).items():
                self._push(context, number, result)
        while (trial := trials.next(budget)) is not None:
            self._trial = trial
            self.log.info("Trial %s of study %s: %s", trial.number, self.study, trial.params)
            super().execute(context)
        spent = trials.spent()
        why = spent.is_all(budget)
        self.log.info("No further trial is asked for: %s.", why)
        return {"slot": self.slot, "trials": sorted(trials.results(slot=self.slot)), "why_it_ended": why}

    def execute_complete(
        self,
        context: Context,
        event: dict[str, Any] | None = None,
        earlier: Iterable[Mapping[str, Any]] = (),
    ) -> dict[str, Any]:
        """Tell the study how the trial went, and go on with the next one."""
        self._told_before = True
        if event is not None and "job_name" in event:
            self._trial = self._trials(context).of_job(event["job_name"])
        super().execute_complete(context, event, earlier)
        return self.execute(context)

    def submit_again(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Go on with a trial whose job a user had killed."""
        self._told_before = True
        return super().submit_again(context, event)

    def take_turn(self, context: Context, event: dict[str, Any] | None = None) -> Any:
        """Try again to submit the trial's job."""
        self._told_before = True
        return super().take_turn(context, event)

    def _request(self, *, known: Known | None = None) -> dict[str, Any]:
        request = super()._request(known=known)
        if self._trial is None:
            return request
        chosen = {name: str(value) for name, value in self._trial.params.items()}
        request["HyperParameters"] = {**request.get("HyperParameters", {}), **chosen}
        return with_own_checkpoints(request, f"trial-{self._trial.number}")

    def _separate(self, request: dict[str, Any]) -> dict[str, Any]:
        """By trial, not by slot."""
        return request

    def _identify(self, context: Context) -> TaskIdentity:
        task = super()._identify(context)
        if self._trial is not None:
            self._task = task = replace(task, trial=(self.study, self._trial.number))
        return task

    def _set_job_name(self, job_name: str) -> None:
        super()._set_job_name(job_name)
        assert self._trial is not None
        self._open_trials.begin(self._trial, job_name)

    def _trigger(self, job_name: str) -> SageMakerSpotTrainingTrigger:
        if self._sweep.pruner is None:
            return super()._trigger(job_name)
        assert self._trial is not None
        return SpotTrialTrigger(
            job_name,
            settings=self._sweep.to_json(),
            run=self._run,
            number=self._trial.number,
            metric_regex=metric_regex(self._value("config"), self._sweep.metrics[0]),
            **self._looked_after,
            **self._connection,
        )

    def _finish(
        self, context: Context, description: Description, earlier: Iterable[Mapping[str, Any]]
    ) -> dict[str, Any]:
        assert self._trial is not None
        result = SpotTrainingResult.of(
            description,
            earlier=[Attempt.model_validate(each) for each in earlier],
            published_hyperparameters=self._sweep.space,
            resumed_from=self._jobs.resumed_from(description),
        )
        result = result.priced(self.hook.price_of(result.instance_type))
        trials = self._trials(context)
        try:
            state = trials.tell(self._trial, result)
        finally:
            self._push(context, self._trial.number, result)
            if self.do_xcom_push:
                context["ti"].xcom_push(key=PROGRESS_KEY, value=self._progress(description, result))
            self._release(context, result.job_arn, accepted=False)  # the study knows that the trial is told
            measure(self.log, context, result, instance_type=result.instance_type)
            tell(self.log, description, result, spot_wanted=self.managed_spot)
            lines = self._repeat_training_log(context, description)
        self.log.info("Trial %s is told as %s.", self._trial.number, state.name)
        if state is not TrialState.FAIL:
            return result.to_json()
        error: SpotTrainingError
        if result.outcome is Outcome.COMPLETED:
            error = SpotTrainingError(self._why_there_is_none(description, trials.missing(result), lines))
            self.log.warning("%s", error)
        else:
            error = unaccepted(result)
        if trials.failures_in_a_row() >= self.max_failures:
            self.log.error("%s trials of this slot failed in a row; the slot ends.", self.max_failures)
            raise error
        return result.to_json()

    def _why_there_is_none(
        self, description: Description, metrics: Sequence[str], lines: Sequence[tuple[int, str]]
    ) -> str:
        """Why a job that completed has no value for some objectives: it diverged, or nothing in its log was read as one."""
        if not lines:
            with suppress(ClientError, BotoCoreError):  # then nothing is said of its log
                lines = self.hook.newest_log_events(description["TrainingJobName"], LOG_LINES).lines
        definitions = definitions_of(description)
        told = " ".join(_why_no_value(metric, definitions.get(metric), lines) for metric in metrics)
        return f"{description['TrainingJobName']} completed without a value for the study. {told}"

    @property
    def _facts(self) -> Facts:
        """Which trial this is, and what those of this slot before it came to."""
        facts = super()._facts
        if self._trial is None:
            return facts
        number, trials = self._trial.number, SweepBudget.of(self.budget).trials
        results = self._open_trials.results(slot=self.slot)
        before = [result for each, result in results.items() if each != number]
        savings, cost = Savings.total(result.savings for result in before), cost_of_all(before)
        return facts.model_copy(
            update={
                "note": f"Trial {number + 1}{f' of {trials}' if trials else ''} of study {self.study}.",
                "earlier": (
                    savings.training_instance_seconds,
                    savings.billable_instance_seconds,
                    savings.jobs,
                    savings.unknown,
                ),
                "earlier_cost": cost and (cost.amount, cost.on_demand, cost.currency, cost.price_date),
            }
        )

    def _stop_waited_for(self, context: Context, why: str) -> None:
        self._trial = self._trials(context).running_here()
        if self._trial is not None:
            super()._stop_waited_for(context, why)

    def _push(self, context: Context, number: int, result: SpotTrainingResult) -> None:
        if self.do_xcom_push:
            context["ti"].xcom_push(key=f"trial_{number}", value=result.to_json())

    def _trials(self, context: Context) -> Trials:
        ti = context["ti"]
        self._run = run_key(ti)
        self._open_trials = Trials(self._sweep, self._run, self.slot)
        return self._open_trials

    @property
    def _sweep(self) -> SweepSettings:
        return SweepSettings.from_json({**self.settings, "study": self.study, "storage": self.storage})


def _why_no_value(metric: str, regex: str | None, lines: Sequence[tuple[int, str]]) -> str:
    """Why a job has no value of a metric.

    :param regex: by which it is read from the training log; None if nothing defines it.
    :param lines: the newest of that log, with their times.
    """
    try:
        read = [text for _, text in found_by(regex, lines)] if regex else []
    except CannotMatch as error:
        return f"The Regex of {metric} is {regex!r}: {error}."
    if read:
        return f"{metric} was {read[-1]!r} at last, which is no finite number: the training diverged."
    how = (
        f"{regex!r} is what MetricDefinitions read it by" if regex else "no MetricDefinition is of that name"
    )
    where = "in the newest lines of the training log" if lines else "in its log"
    return f"No {metric} was found {where}: {how}. A value of NaN is found by a Regex that takes words too."


def run_key(ti: Any) -> str:
    """Which DAG run, and which sweep in it, trials belong to."""
    group = ti.task_id.rpartition(".")[0]
    return f"{ti.dag_id}/{ti.run_id}/{group}"


def metric_regex(config: Any, metric: str) -> str | None:
    """The regular expression by which the config reads a metric from the training log; None where it cannot be told yet."""
    algorithm = config.get("AlgorithmSpecification") if isinstance(config, Mapping) else None
    definitions = algorithm.get("MetricDefinitions") if isinstance(algorithm, Mapping) else None
    for each in definitions or ():
        if each.get("Name") == metric:
            return str(each.get("Regex"))
    return None


def check_metrics(config: Any, settings: SweepSettings) -> None:
    """Hold the objectives against the config's MetricDefinitions.

    :raises InvalidSpotRequest: one is not defined there; or, with a pruner or a script, there are no definitions at all; or, with
        a pruner, the regular expression is none that Python takes.
    """
    algorithm = config.get("AlgorithmSpecification") if isinstance(config, Mapping) else None
    if not isinstance(algorithm, Mapping):
        return
    definitions = algorithm.get("MetricDefinitions")
    is_script = (
        "sagemaker_program" in (config.get("HyperParameters") or ()) or "ContainerEntrypoint" in algorithm
    )
    if not definitions and settings.pruner is None and not is_script:
        return  # SageMaker's own algorithms publish metrics that nobody defines
    defined = [each.get("Name") for each in definitions or ()]
    if missing := [metric for metric in settings.metrics if metric not in defined]:
        raise InvalidSpotRequest(
            [
                (
                    f"No job will publish {missing}: AlgorithmSpecification.MetricDefinitions define {defined or 'nothing'}. "
                    "Define it there, with the regular expression that reads it from the training log."
                )
            ]
        )
    if settings.pruner is not None:
        regex = metric_regex(config, settings.metrics[0]) or ""
        try:
            compiled(regex)
        except CannotMatch as error:
            raise InvalidSpotRequest(
                [
                    (
                        f"The Regex of {settings.metrics[0]!r} is {regex!r}, which reads no value for the pruner: {error}. Write it "
                        "so that SageMaker and Python both take it."
                    )
                ]
            ) from error
