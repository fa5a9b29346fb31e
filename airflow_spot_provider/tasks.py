"""Tasks that read the results of a fan-out: the plain functions of :mod:`airflow_spot_provider.training`, for a DAG.

Each runs when all members have ended, however they did (``trigger_rule="all_done"``): a member that failed has published its
result before it raised, and one that left none is said to be missing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from airflow.sdk import XComArg, get_current_context, task

from airflow_spot_provider._compat.runs import previous_run_id
from airflow_spot_provider.training import SpotTrainingError, comparison
from airflow_spot_provider.training import hyperparameter_budget as _hyperparameter_budget

log = logging.getLogger(__name__)

Published = Iterable[Mapping[str, Any] | None]


@task(task_id="best_of", trigger_rule="all_done", multiple_outputs=False)
def _best_of(results: Published, metric: str, mode: comparison.Mode) -> dict[str, Any]:
    best = comparison.best_of(results, metric, mode)
    log.info("The best %s is %s, of %s.", metric, best.metrics[metric], best.job_name)
    return best.to_json()


@task(task_id="savings_of", trigger_rule="all_done", multiple_outputs=False)
def _savings_of(results: Published) -> dict[str, Any]:
    savings = comparison.savings_of(results)
    log.info("Saved together: %s", savings)
    return savings


@task(task_id="hyperparameter_budget", trigger_rule="all_done", multiple_outputs=False)
def _budget(
    results: Published | None, previous_run: str | None, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    published = _of_previous_run(previous_run) if previous_run is not None else results
    budget = _hyperparameter_budget(published or (), **arguments)
    log.info("%s", budget.why)
    return budget.to_json()


def best_of(results: Any, *, metric: str, mode: comparison.Mode, **task_arguments: Any) -> XComArg:
    """A task: the result with the best value of a metric; see :func:`airflow_spot_provider.training.best_of`.

    :param results: output of the (mapped) training task.
    :param task_arguments: of the task, such as ``task_id``.
    :return: the best result, as the training task published it.
    :raises InvalidSpotRequest: at DAG parse: an unknown mode.
    """
    comparison.checked_mode(mode)
    return _best_of.override(**task_arguments)(results, metric, mode)


def savings_of(results: Any, **task_arguments: Any) -> XComArg:
    """A task: what trainings saved together; see :func:`airflow_spot_provider.training.savings_of`.

    :param results: output of the (mapped) training task.
    :param task_arguments: of the task, such as ``task_id``.
    """
    return _savings_of.override(**task_arguments)(results)


def hyperparameter_budget(
    results: Any = None,
    *,
    previous_run_of: str | None = None,
    billable_seconds: float | None = None,
    money: float | None = None,
    price_per_hour: float | None = None,
    first_jobs: int | None = None,
    min_jobs: int = 1,
    max_jobs: int | None = None,
    **task_arguments: Any,
) -> XComArg:
    """A task: how many trainings a budget allows; see :func:`airflow_spot_provider.training.hyperparameter_budget`.

    :param results: output of the earlier round's training task, in the same DAG run.
    :param previous_run_of: instead, the id of a training task whose results in the DAG run before this one are read.
    :param billable_seconds: the budget; or ``money`` with ``price_per_hour``.
    :param money: the budget in the currency of ``price_per_hour``.
    :param price_per_hour: on-demand price of an instance.
    :param first_jobs: the width when there is nothing to learn from.
    :param min_jobs: at least so many, whatever they cost.
    :param max_jobs: at most so many.
    :param task_arguments: of the task, such as ``task_id``.
    :return: ``jobs``, ``why`` and what was observed; ``["jobs"]`` is the number.
    :raises SpotTrainingError: at DAG parse: results of this run and of the one before, or of neither.
    :raises InvalidSpotRequest: at DAG parse: a budget of zero, two budgets, bounds that contradict one another.
    """
    if (results is None) == (previous_run_of is None):
        raise SpotTrainingError(
            "hyperparameter_budget reads the results of one earlier round: pass the output of a training task, or "
            "previous_run_of= with the id of one."
        )
    budget: dict[str, Any] = {
        "billable_seconds": billable_seconds,
        "money": money,
        "price_per_hour": price_per_hour,
        "first_jobs": first_jobs,
        "min_jobs": min_jobs,
        "max_jobs": max_jobs,
    }
    # With nothing to learn from, all that can be wrong with the budget itself is found.
    _hyperparameter_budget((), **{**budget, "first_jobs": 1 if first_jobs is None else first_jobs})
    return _budget.override(**task_arguments)(results, previous_run_of, budget)


def _of_previous_run(task_id: str) -> Published:
    """What a task left in the last DAG run before this one; nothing if there is none."""
    ti: Any = get_current_context()["ti"]
    run_id = previous_run_id(ti)
    if run_id is None:
        return ()
    pulled = ti.xcom_pull(task_ids=task_id, run_id=run_id)
    if pulled is None:
        return ()
    return [pulled] if isinstance(pulled, Mapping) else pulled
