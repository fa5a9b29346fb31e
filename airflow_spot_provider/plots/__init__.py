"""Plots of a search: its history, what mattered, and what better results cost, as HTML, PNG and JSON at any path.

They are Optuna's own, drawn by plotly for HTML pages that need nothing from the network, and by matplotlib for PNGs that need no
browser.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if missing := [name for name in ("optuna", "plotly", "matplotlib") if find_spec(name) is None]:
    raise ImportError(
        f"Plots take {', '.join(missing)}, not installed here: pip install 'airflow-spot-provider[plots]' where tasks run "
        "and where DAGs are parsed."
    )

if TYPE_CHECKING:
    from airflow_spot_provider.plots.drawing import plot_results, plot_study

from airflow_spot_provider.plots.tasks import plot_results_task, plot_study_task, plot_sweep_task

__all__ = ["plot_results", "plot_results_task", "plot_study", "plot_study_task", "plot_sweep_task"]


def __getattr__(name: str) -> Any:
    """What draws comes with the libraries that it takes, seconds of imports: a DAG that only names the tasks does without."""
    if name in ("plot_results", "plot_study"):
        from airflow_spot_provider.plots import drawing

        return getattr(drawing, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
