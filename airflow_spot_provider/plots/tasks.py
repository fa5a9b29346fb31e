"""Plots as tasks of a DAG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg, task

from airflow_spot_provider.hooks._folders import path_problem
from airflow_spot_provider.training import InvalidSpotRequest, comparison

if TYPE_CHECKING:
    from airflow_spot_provider.sweeps import SpotSweepGroup


@task(task_id="plot_results", trigger_rule="all_done", multiple_outputs=False)
def _plot_results(results: comparison.Results, path: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    from airflow_spot_provider.plots import drawing

    return drawing.plot_results(results, path, **arguments)


@task(task_id="plot_study", trigger_rule="all_done", multiple_outputs=False)
def _plot_study(study_name: str, storage: str, path: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    import optuna

    from airflow_spot_provider.plots import drawing
    from airflow_spot_provider.sweeps.study import storage_of

    study = optuna.load_study(study_name=study_name, storage=storage_of(storage))
    return drawing.plot_study(study, path, **arguments)


def plot_results_task(
    results: Any,
    *,
    path: str,
    metric: str,
    mode: comparison.Mode,
    price_per_hour: float | None = None,
    conn_id: str | None = None,
    **task_arguments: Any,
) -> XComArg:
    """A task: plot the trainings of a fan-out, however they ended; see :func:`airflow_spot_provider.plots.plot_results`.

    :param results: output of the (mapped) training task.
    :param path: a folder (templated), such as ``s3://{{ var.value.bucket }}/plots/{{ run_id }}``.
    :param metric: the objective, by its name in MetricDefinitions.
    :param mode: ``min`` or ``max``.
    :param price_per_hour: on-demand price of an instance, to show costs in money.
    :param conn_id: Airflow connection for the path.
    :param task_arguments: of the task, such as ``task_id``.
    :return: where the plots are, and what could not be drawn.
    :raises InvalidSpotRequest: at DAG parse: an unknown mode, or no path.
    """
    comparison.checked_mode(mode)
    _check_path(path)
    arguments = {"metric": metric, "mode": mode, "price_per_hour": price_per_hour, "conn_id": conn_id}
    return _plot_results.override(**task_arguments)(results, path, arguments)


def plot_study_task(
    study_name: Any,
    *,
    storage: str,
    path: str,
    metrics: Sequence[str] | None = None,
    price_per_hour: float | None = None,
    conn_id: str | None = None,
    **task_arguments: Any,
) -> XComArg:
    """A task: plot an Optuna study; see :func:`airflow_spot_provider.plots.plot_study`.

    :param study_name: of the study (templated), or the output of a task.
    :param storage: of the study: an Optuna URL, or the id of an Airflow connection to a database (templated).
    :param path: a folder (templated).
    :param metrics: what the study's objectives are called.
    :param price_per_hour: on-demand price of an instance, to show costs in money.
    :param conn_id: Airflow connection for the path.
    :param task_arguments: of the task, such as ``task_id``.
    :return: where the plots are, and what could not be drawn.
    :raises InvalidSpotRequest: at DAG parse: no path, or a storage URL with a password.
    """
    from airflow_spot_provider.sweeps.settings import storage_problems

    _check_path(path)
    if problems := storage_problems(storage):
        raise InvalidSpotRequest(problems)
    arguments = {"metrics": metrics, "price_per_hour": price_per_hour, "conn_id": conn_id}
    return _plot_study.override(**task_arguments)(study_name, storage, path, arguments)


def plot_sweep_task(
    sweep: SpotSweepGroup,
    *,
    path: str,
    price_per_hour: float | None = None,
    conn_id: str | None = None,
    **task_arguments: Any,
) -> XComArg:
    """A task: plot the study of a sweep once the sweep is over; see :func:`airflow_spot_provider.plots.plot_study`.

    :param sweep: what :func:`~airflow_spot_provider.sweeps.spot_sweep` returned.
    :param path: a folder (templated).
    :param price_per_hour: on-demand price of an instance, to show costs in money.
    :param conn_id: Airflow connection for the path.
    :param task_arguments: of the task, such as ``task_id``.
    :return: where the plots are, and what could not be drawn.
    :raises InvalidSpotRequest: at DAG parse: no path, or no sweep.
    """
    from airflow_spot_provider.sweeps import SpotSweepGroup

    if not isinstance(sweep, SpotSweepGroup):
        raise InvalidSpotRequest(
            [
                f"plot_sweep_task got a {type(sweep).__name__}; it takes what spot_sweep(...) returned, not its output."
            ]
        )
    results: Any = sweep.result
    plots = plot_study_task(
        results.study,
        storage=results.storage,
        path=path,
        price_per_hour=price_per_hour,
        conn_id=conn_id,
        **task_arguments,
    )
    plots.set_upstream(results)
    return plots


def _check_path(path: object) -> None:
    if not isinstance(path, XComArg) and (problem := path_problem(path)):
        raise InvalidSpotRequest([problem])
