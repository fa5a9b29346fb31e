"""Draw the plots of a search, and write them to a folder anywhere that fsspec writes."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import optuna

from airflow_spot_provider.hooks._folders import write_files
from airflow_spot_provider.plots.searched import Searched, result_of, study_of_results
from airflow_spot_provider.sweeps.trials import SURPLUS
from airflow_spot_provider.training.comparison import Mode, Results

if TYPE_CHECKING:
    from airflow_spot_provider.plots.figures import Figures

log = logging.getLogger(__name__)

DATA = "data.json"


def plot_study(
    study: optuna.Study,
    path: str,
    *,
    metrics: Sequence[str] | None = None,
    price_per_hour: float | None = None,
    conn_id: str | None = None,
) -> dict[str, Any]:
    """Plot a study: each plot as an HTML page and a PNG, and the data as JSON.

    :param study: an Optuna study; of a sweep, or of anything else.
    :param path: a folder: a local path, or a URL such as ``s3://bucket/plots``. Files that are there are replaced.
    :param metrics: what the study's objectives are called (default: as the sweep or the study says, or "objective").
    :param price_per_hour: on-demand price of an instance, to show costs in money (default: in billable instance-seconds).
    :param conn_id: Airflow connection for the path (default: the one in the URL; for S3 ``aws_default``).
    :return: small, plain JSON: ``folder``, ``files``, ``trials``, ``completed``, and ``left_out``: what could not be drawn, and why.
    :raises InvalidSpotRequest: metrics that are not the study's, or a price that is none.
    :raises SpotTrainingError: the files cannot be written there.
    """
    from airflow_spot_provider.plots.figures import Figures  # a DAG is parsed without matplotlib

    searched = Searched.of(study, metrics=metrics, price_per_hour=price_per_hour)
    figures = Figures.of(searched)
    # All is drawn before any is written: what fails leaves the old files whole.
    files: dict[str, bytes] = {}
    for plot in figures.plots:
        files[f"{plot.name}.html"] = plot.html().encode()
        files[f"{plot.name}.png"] = plot.png()
    completed = sum(trial.state is optuna.trial.TrialState.COMPLETE for trial in searched.trials)
    files[DATA] = json.dumps(_data(searched, figures), indent=2, allow_nan=False).encode()
    folder = write_files(files, path, conn_id=conn_id)
    log.info(
        "%d trials, %d of them completed: %d plots are in %s",
        len(searched.trials),
        completed,
        len(figures.plots),
        folder,
    )
    for what, why in figures.left_out.items():
        log.warning("Not drawn: %s. %s", what, why)
    return {
        "folder": folder,
        "files": list(files),
        "trials": len(searched.trials),
        "completed": completed,
        "left_out": figures.left_out,
    }


def plot_results(
    results: Results,
    path: str,
    *,
    metric: str,
    mode: Mode,
    price_per_hour: float | None = None,
    conn_id: str | None = None,
) -> dict[str, Any]:
    """Plot the trainings of a fan-out as if they were the trials of a study; see :func:`plot_study`.

    :param results: what the training tasks published, with the hyperparameters named in ``publish_hyperparameters=``.
    :param path: a folder, as :func:`plot_study` takes it.
    :param metric: the objective, by its name in MetricDefinitions.
    :param mode: ``min`` or ``max``.
    :param price_per_hour: as :func:`plot_study` takes it.
    :param conn_id: as :func:`plot_study` takes it.
    :return: as :func:`plot_study` returns it.
    :raises InvalidSpotRequest: another mode, or a price that is none.
    :raises SpotTrainingError: trainings completed and none published the metric; with the metrics that there are.
    """
    study = study_of_results(results, metric, mode)
    return plot_study(study, path, price_per_hour=price_per_hour, conn_id=conn_id)


def _data(searched: Searched, figures: Figures) -> dict[str, Any]:
    """What the plots show, for who draws others."""
    return {
        "study": searched.name,
        "objectives": [
            {"metric": metric, "direction": direction.name.lower()}
            for metric, direction in zip(searched.metrics, searched.directions, strict=True)
        ],
        "cost_unit": searched.cost_unit,
        "trials": [_trial(searched, trial) for trial in searched.trials if SURPLUS not in trial.user_attrs],
        "param_importances": figures.importances,
        "pareto_of_cost": figures.pareto,
        "left_out": figures.left_out,
    }


def _trial(searched: Searched, trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    result = result_of(trial)
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "hyperparameters": trial.params,
        "values": [_finite(value) for value in trial.values or ()],
        "intermediate_values": {
            str(step): _finite(value) for step, value in sorted(trial.intermediate_values.items())
        },
        "cost": searched.cost_of(trial),
        "job_name": None if result is None else result.job_name,
        "outcome": None if result is None else str(result.outcome),
        "savings_percent": None if result is None else result.savings_percent,
        "interruptions": None if result is None else result.interruptions,
    }


def _finite(value: float) -> float | None:
    """JSON has no infinity and no NaN."""
    return value if math.isfinite(value) else None
