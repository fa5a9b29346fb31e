"""Sweeps: a task group that asks an Optuna study for trials, trains them as spot jobs, and tells the study what came out."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("optuna") is None:
    raise ImportError(
        "Sweeps take Optuna, which is not installed: pip install 'airflow-spot-provider[optuna]' where DAGs are parsed, where "
        "tasks run, and (for prune=) where the triggerer runs."
    )

from airflow_spot_provider.sweeps.group import SpotSweepGroup, spot_sweep

__all__ = ["SpotSweepGroup", "spot_sweep"]
