"""``spot_sweep``: prepare the study, train its trials in slots side by side, sum up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from airflow.sdk import BaseOperator, Context, TaskGroup, XComArg
from optuna.trial import TrialState

from airflow_spot_provider.assets import tell_events
from airflow_spot_provider.aws.kinds import TRAINING_JOBS
from airflow_spot_provider.operators._checking import checked_request
from airflow_spot_provider.operators._job import checked_interval
from airflow_spot_provider.operators._rendering import is_rendered
from airflow_spot_provider.sweeps.operator import (
    MAX_FAILURES_IN_A_ROW,
    SpotTrialsOperator,
    check_metrics,
    run_key,
)
from airflow_spot_provider.sweeps.settings import SweepBudget, SweepSettings, checked_settings
from airflow_spot_provider.sweeps.study import check_pruner, create_study, log_through_airflow
from airflow_spot_provider.sweeps.trials import Trials
from airflow_spot_provider.training import (
    InvalidSpotRequest,
    SpotTrainingError,
    on_demand_request,
    savings_of,
    spot_request,
)

OBJECTIVES_KEY = "spot_objectives"
"""XCom of ``prepare``: ``metrics`` and ``modes``."""


class SpotSweepGroup(TaskGroup):
    """The task group of a sweep; made by :func:`spot_sweep`."""

    result: BaseOperator

    @property
    def output(self) -> XComArg:
        """What the sweep came to."""
        return XComArg(self.result)


def spot_sweep(
    group_id: str,
    config: dict[str, Any],
    *,
    space: Mapping[str, Any],
    metric: str | Sequence[str],
    mode: str | Sequence[str],
    storage: str,
    budget: SweepBudget | Mapping[str, Any],
    slots: int = 4,
    study_name: str | None = None,
    sampler: str = "tpe",
    seed: int = 1,
    prune: str | Mapping[str, Any] | None = None,
    max_failures: int = MAX_FAILURES_IN_A_ROW,
    **training: Any,
) -> SpotSweepGroup:
    """Search hyperparameters with an Optuna study whose trials are spot training jobs.

    The tasks are ``prepare``, ``trials`` (mapped: ``slots`` of them side by side) and ``results``. A slot asks for its next
    trial as soon as its last one has ended: an interrupted trial holds up nobody, and no round waits for its slowest.

    :param group_id: id of the task group.
    :param config: members of CreateTrainingJob (templated), for all trials.
    :param space: names of hyperparameters to distributions: ``Uniform``, ``LogUniform``, ``Integers``, ``Categorical`` of
        :mod:`airflow_spot_provider.training`.
    :param metric: the objective, by its name in MetricDefinitions; or several.
    :param mode: ``min`` or ``max``; or one for each.
    :param storage: where the study is: URL of an Optuna storage (templated), or id of an Airflow connection to a database.
    :param budget: when it is over: a dict of ``trials``, ``billable_seconds``, ``money`` with ``price_per_hour``; the first
        that is spent.
    :param slots: how many trials train at the same time.
    :param study_name: of a study that is continued by later DAG runs (templated); None for one of each run's own.
    :param sampler: ``tpe``, ``random``, ``gp``, ``cmaes``, ``qmc``, or ``nsgaii`` for several objectives.
    :param seed: of the sampler.
    :param prune: ``median``, ``percentile``, ``asha``, ``hyperband``, or a dict with ``pruner`` and arguments of Optuna's; None
        to train every trial to its end.
    :param max_failures: after so many failed trials in a row a slot fails.
    :param training: further arguments of
        :class:`~airflow_spot_provider.operators.training.SageMakerSpotTrainingOperator`, for all trials. ``outlets`` are those of
        the whole sweep: their events tell of the best trial.
    :return: the group; ``.output`` is what the sweep came to.
    :raises InvalidSpotRequest: at DAG parse, with all that is wrong.
    """
    study = study_name or f"{{{{ dag.dag_id }}}}/{{{{ run_id }}}}/{group_id}"
    settings = checked_settings(
        study=study,
        storage=storage,
        space=space,
        metric=metric,
        mode=mode,
        sampler=sampler,
        seed=seed,
        prune=prune,
    )
    check_pruner(settings.pruner)
    if is_rendered(config):
        check_metrics(config, settings)
        # Airflow makes the slots' operators when they run: what they would refuse is refused here.
        _check_training(config, training)
        _check_space(space, config, training)
    checked_interval(training.get("poll_interval", 30.0))
    wanted = SweepBudget.of(budget)
    for name, value in (("slots", slots), ("max_failures", max_failures)):
        if type(value) is not int or value < 1:
            raise InvalidSpotRequest([f"{name} is {value!r}; it takes a whole number, 1 or more."])
    outlets = training.pop("outlets", None)
    shared: dict[str, Any] = {"settings": settings.to_json(), "study": study, "storage": storage}
    group = SpotSweepGroup(group_id=group_id)
    with group:
        prepare = _Prepare(task_id="prepare", **shared)
        trials = SpotTrialsOperator.partial(
            task_id="trials",
            config=config,
            budget=asdict(wanted),
            max_failures=max_failures,
            **shared,
            **training,
        ).expand(slot=list(range(slots)))
        group.result = _Results(
            task_id="results", budget=asdict(wanted), trigger_rule="all_done", outlets=outlets, **shared
        )
        prepare >> trials >> group.result
    return group


def _check_training(config: dict[str, Any], training: Mapping[str, Any]) -> None:
    """What the training operator's own arguments come to, as it would see them."""
    names = {"max_wait", "checkpoint_s3_uri", "hyperparameters", "instance_type"}
    if training.get("managed_spot", True):
        names |= {"allow_no_checkpoint", "algorithm_checkpoints"}
        build: Callable[..., Any] = spot_request
    else:
        build = on_demand_request
    arguments = {name: value for name, value in training.items() if name in names}
    checked_request(partial(build, known=is_rendered, **arguments), config, TRAINING_JOBS, known=is_rendered)


def _check_space(space: Mapping[str, Any], config: Mapping[str, Any], training: Mapping[str, Any]) -> None:
    """A hyperparameter is searched, or it is given."""
    given = {*(config.get("HyperParameters") or ()), *(training.get("hyperparameters") or ())}
    if both := sorted(given & set(space)):
        raise InvalidSpotRequest(
            [
                (
                    f"{both} are in the search space, and have a value besides: in config's HyperParameters or in "
                    "hyperparameters=. Take them out of one of the two."
                )
            ]
        )


class _StudyOperator(BaseOperator):
    """A task about the study.

    :param settings: of the sweep, as JSON.
    :param study: its name (templated).
    :param storage: of the study (templated).
    """

    template_fields: Sequence[str] = ("study", "storage")

    def __init__(self, *, settings: Mapping[str, Any], study: str, storage: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.settings = settings
        self.study = study
        self.storage = storage

    def _sweep(self) -> SweepSettings:
        return SweepSettings.from_json({**self.settings, "study": self.study, "storage": self.storage})


class _Prepare(_StudyOperator):
    """Make the study, or refuse the one that is there."""

    custom_operator_name = "Prepare the study"

    def execute(self, context: Context) -> str:
        log_through_airflow()
        sweep = self._sweep()
        create_study(sweep)
        self.log.info("The study is %s.", self.study)
        # The slots' results come one by one: whoever shows them has to know which is better.
        context["ti"].xcom_push(
            key=OBJECTIVES_KEY, value={"metrics": list(sweep.metrics), "modes": list(sweep.modes)}
        )
        return self.study


class _Results(_StudyOperator):
    """Sum up, however the slots ended."""

    custom_operator_name = "Results of the sweep"

    def __init__(self, *, budget: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.budget = budget

    def execute(self, context: Context) -> dict[str, Any]:
        sweep = self._sweep()
        trials = Trials(sweep, run_key(context["ti"]))
        given_up = trials.give_up()
        results = trials.results()
        best = trials.best()
        summary = {
            **savings_of(results.values()),
            "study": self.study,
            "metrics": list(sweep.metrics),
            "modes": list(sweep.modes),
            "best": [
                {
                    "number": trial.number,
                    "values": trial.values,
                    "hyperparameters": trial.params,
                    "job_name": results[trial.number].job_name,
                    "model_artifacts": results[trial.number].model_artifacts,
                }
                for trial in best[:5]
            ],
            "states": {
                state.name: len(trials.all(state))
                for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
            },
            "given_up": given_up,
            "why_it_ended": trials.spent().is_all(SweepBudget.of(self.budget)),
        }
        self.log.info("The sweep came to: %s", summary)
        if not best:
            raise SpotTrainingError(
                f"No trial of the study {self.study!r} completed ({summary['states']}); the logs of the slots say why."
            )
        tell_events(context, self.outlets or (), results[best[0].number])
        return summary
