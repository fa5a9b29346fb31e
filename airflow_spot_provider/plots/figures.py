"""Which plots there are of a search, and why one is left out. Optuna draws them."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
import optuna
from matplotlib import pyplot as plt
from optuna import visualization
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState
from optuna.visualization import matplotlib as in_matplotlib

from airflow_spot_provider.plots.searched import Searched

_MAX_PARETO = 3
"""Optuna shows a Pareto front in two or three dimensions."""
_PNG_DPI = 120


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot, not drawn yet.

    :param name: of its files, without their endings.
    :param page: Optuna's function that draws it with plotly.
    :param picture: Optuna's function that draws it with matplotlib.
    :param study: what both are given.
    :param arguments: what both are given besides.
    :param title: instead of Optuna's own.
    """

    name: str
    page: Callable[..., Any]
    picture: Callable[..., Any]
    study: optuna.Study
    arguments: Mapping[str, Any] = field(default_factory=dict)
    title: str | None = None

    def html(self) -> str:
        """A page with plotly inside, which takes nothing from the network."""
        figure = self.page(self.study, **self.arguments)
        if self.title is not None:
            figure.update_layout(title=self.title)
        page: str = figure.to_html(include_plotlyjs=True, full_html=True, div_id=self.name)
        return page

    def png(self) -> bytes:
        """A picture."""
        # A dollar sign in a hyperparameter is no formula. Formulas are how a logarithmic axis writes its powers of ten.
        texts = str([self.arguments, *(trial.params for trial in self.study.get_trials(deepcopy=False))])
        drawn = io.BytesIO()
        plt.switch_backend("agg")  # no screen, no window
        with mpl.rc_context({"text.parse_math": "$" not in texts}), warnings.catch_warnings():
            # Optuna calls its pictures experimental; matplotlib widens an axis of one value, and has no glyph for some scripts.
            warnings.simplefilter("ignore", ExperimentalWarning)
            warnings.simplefilter("ignore", UserWarning)
            axes = self.picture(self.study, **self.arguments)
            if self.title is not None:
                axes.set_title(self.title)
            axes.figure.savefig(drawn, format="png", dpi=_PNG_DPI, bbox_inches="tight")
            plt.close(axes.figure)
        return drawn.getvalue()


@dataclass(frozen=True, slots=True)
class Figures:
    """The plots of a search.

    :param plots: that can be drawn.
    :param left_out: what cannot, and why.
    :param importances: how much of each objective each hyperparameter decided, as shares of 1.
    :param pareto: numbers of the trials of which no other is both cheaper and better, for each objective.
    """

    plots: list[Plot] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    importances: dict[str, dict[str, float]] = field(default_factory=dict)
    pareto: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, searched: Searched) -> Figures:
        """Find out which plots there can be."""
        figures = cls()
        for index in range(len(searched.metrics)):
            figures._add_objective(searched, index)
        if len(searched.metrics) > 1:
            figures._add_front(searched)
        figures._add_intermediate_values(searched)
        return figures

    def _add_objective(self, searched: Searched, index: int) -> None:
        metric = searched.metrics[index]
        study = searched.of_objective(index)
        completed = _completed(study)
        ending = f"_of_{_in_a_file_name(metric)}" if len(searched.metrics) > 1 else ""
        history, parallel, importance, cost = (
            f"{name}{ending}"
            for name in (
                "optimization_history",
                "parallel_coordinate",
                "param_importances",
                "cost_against_objective",
            )
        )
        if not completed:
            why = _no_trial(searched, f"completed with {metric}")
            self.left_out.update(dict.fromkeys((history, parallel, importance, cost), why))
            return
        self.plots.append(
            Plot(
                history,
                visualization.plot_optimization_history,
                in_matplotlib.plot_optimization_history,
                study,
                {"target_name": metric},
            )
        )
        self._add_hyperparameters((parallel, importance), study, completed, metric)
        self._add_cost(cost, searched, index)

    def _add_hyperparameters(
        self, names: tuple[str, str], study: optuna.Study, completed: list[FrozenTrial], metric: str
    ) -> None:
        """What hyperparameters did: of those that every completed trial has."""
        parallel, importance = names
        shared = set.intersection(*(set(trial.params) for trial in completed))
        others = {param for trial in completed for param in trial.params} - shared
        if others:
            self.left_out["hyperparameters"] = f"Not every completed trial has {', '.join(sorted(others))}."
        if not shared:
            why = "No hyperparameter is in every completed trial." if others else _NO_HYPERPARAMETERS
            self.left_out.update(dict.fromkeys(names, why))
            return
        self.plots.append(
            Plot(
                parallel,
                visualization.plot_parallel_coordinate,
                in_matplotlib.plot_parallel_coordinate,
                study,
                {"target_name": metric, "params": sorted(shared)},
            )
        )
        tried = sorted(param for param in shared if len({trial.params[param] for trial in completed}) > 1)
        values = {trial.value for trial in completed}
        if not tried:
            self.left_out[importance] = "Each hyperparameter has been tried with one value only."
        elif len(values) < 2:
            self.left_out[importance] = f"{metric} is {values.pop()} in each completed trial."
        else:
            self.importances[metric] = optuna.importance.get_param_importances(study, params=tried)
            self.plots.append(
                Plot(
                    importance,
                    visualization.plot_param_importances,
                    in_matplotlib.plot_param_importances,
                    study,
                    {"target_name": metric, "params": tried},
                )
            )

    def _add_cost(self, name: str, searched: Searched, index: int) -> None:
        metric = searched.metrics[index]
        study = searched.of_cost_and(index)
        if not _completed(study):
            self.left_out[name] = "Of no completed trial it is known what its training job billed."
            return
        self.pareto[metric] = sorted(trial.number for trial in study.best_trials)
        self.plots.append(
            Plot(
                name,
                visualization.plot_pareto_front,
                in_matplotlib.plot_pareto_front,
                study,
                {"target_names": [searched.cost_unit, metric]},
                title=f"{searched.cost_unit.capitalize()} against {metric}",
            )
        )

    def _add_front(self, searched: Searched) -> None:
        name = "pareto_front"
        study = searched.of_all_objectives()
        if len(searched.metrics) > _MAX_PARETO:
            self.left_out[name] = (
                f"There are {len(searched.metrics)} objectives, and it can show {_MAX_PARETO}."
            )
        elif not _completed(study):
            self.left_out[name] = _no_trial(searched, "completed with all objectives")
        else:
            self.plots.append(
                Plot(
                    name,
                    visualization.plot_pareto_front,
                    in_matplotlib.plot_pareto_front,
                    study,
                    {"target_names": list(searched.metrics)},
                )
            )

    def _add_intermediate_values(self, searched: Searched) -> None:
        """Of a study that prunes; any other has none, and nobody misses them."""
        if len(searched.metrics) == 1 and any(trial.intermediate_values for trial in searched.trials):
            self.plots.append(
                Plot(
                    "intermediate_values",
                    visualization.plot_intermediate_values,
                    in_matplotlib.plot_intermediate_values,
                    searched.of_all_objectives(),
                )
            )


_NO_HYPERPARAMETERS = (
    "No completed trial has hyperparameters. Of a fan-out, those named in the training operator's publish_hyperparameters= are "
    "there."
)


def _completed(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _no_trial(searched: Searched, what: str) -> str:
    return f"None of {len(searched.trials)} trials has {what}."


def _in_a_file_name(metric: str) -> str:
    """SageMaker's metric names may hold what a path or a URL would take for something else."""
    return "".join(_characters(metric))


def _characters(metric: str) -> Iterator[str]:
    for character in metric:
        yield character if character.isascii() and (character.isalnum() or character in "-_.") else "-"
