"""The study in Optuna's storage: opened, and held against what the sweep was asked for."""

from __future__ import annotations

import json
import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from weakref import WeakValueDictionary

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial
from sqlalchemy.engine import URL

from airflow_spot_provider._compat.sdk import BaseHook
from airflow_spot_provider.sweeps.settings import SweepSettings, storage_problems
from airflow_spot_provider.training import InvalidSpotRequest
from airflow_spot_provider.training.hyperparameters import (
    Categorical,
    Integers,
    LogUniform,
    hyperparameter_samples,
    space_of,
)

_SPACE, METRICS = "airflow-spot:space", "airflow-spot:metrics"
_DRIVERS = {"postgres": "postgresql", "mysql": "mysql", "sqlite": "sqlite"}
_STARTING_POINTS = 8
"""A power of two: only so many of Sobol's points are balanced."""

_storages: WeakValueDictionary[str, optuna.storages.BaseStorage] = WeakValueDictionary()
_making = threading.Lock()


def log_through_airflow() -> None:
    """What Optuna says goes to the task's log as what it is; by itself it writes to standard error, which Airflow logs as errors."""
    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()


def create_study(settings: SweepSettings) -> optuna.Study:
    """Open the study, made anew if it is not there.

    :raises InvalidSpotRequest: there is one of this name with other objectives or another space; the sampler or the pruner cannot
        be made, for want of a package say.
    """
    _sampler(settings, settings.seed)
    _pruner(settings.pruner)
    study = optuna.create_study(
        study_name=settings.study,
        storage=storage_of(settings.storage),
        directions=_directions(settings),
        sampler=optuna.samplers.RandomSampler(seed=settings.seed),
        load_if_exists=True,
    )
    wanted = {_SPACE: json.dumps(settings.space, sort_keys=True), METRICS: json.dumps(settings.metrics)}
    there = {key: study.user_attrs.get(key, value) for key, value in wanted.items()}
    problems = []
    if [direction.name.lower() for direction in study.directions] != _directions(settings):
        problems.append(
            f"The study {settings.study!r} exists and goes for {[each.name.lower() for each in study.directions]}; this sweep "
            f"wants {_directions(settings)}."
        )
    problems += [
        f"The study {settings.study!r} exists with the {what} {there[key]}; this sweep has {wanted[key]}."
        for key, what in ((METRICS, "metrics"), (_SPACE, "search space"))
        if there[key] != wanted[key]
    ]
    if problems:
        raise InvalidSpotRequest([*problems, "Choose another study_name, or delete that study."])
    for key, value in wanted.items():
        study.set_user_attr(key, value)
    return study


def open_study(settings: SweepSettings, *, seed: int | None = None) -> optuna.Study:
    """Open a study that is there.

    :param seed: with which its sampler is to choose; None for a study that is asked nothing.
    :raises KeyError: there is none of this name.
    """
    return optuna.load_study(
        study_name=settings.study,
        storage=storage_of(settings.storage),
        sampler=optuna.samplers.RandomSampler() if seed is None else _sampler(settings, seed),
        pruner=_pruner(settings.pruner),
    )


def storage_of(storage: str) -> optuna.storages.BaseStorage:
    """The storage of studies: one for each database and process, with one pool of connections.

    It is there as long as somebody holds a study in it, or itself, and then closes its connections. Optuna's cache in front of it
    reads finished trials once.

    :param storage: its URL, or the id of an Airflow connection to a database.
    :raises InvalidSpotRequest: the connection is not one to a database.
    """
    url = url_of(storage)
    with _making:
        shared = _storages.get(url)
        if shared is None:
            # A connection that idled between two epochs may have been closed at the other end.
            database = optuna.storages.RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
            shared = optuna.storages.get_storage(database)
            weakref.finalize(shared, database.engine.dispose)
            _storages[url] = shared
    return shared


def distributions_of(space: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    """Optuna's distributions of a search space."""
    found: dict[str, BaseDistribution] = {}
    for name, each in space_of(space).items():
        if isinstance(each, Categorical):
            found[name] = CategoricalDistribution(each.choices)
        elif isinstance(each, Integers):
            found[name] = IntDistribution(each.low, each.high, log=each.log)
        else:
            found[name] = FloatDistribution(each.low, each.high, log=isinstance(each, LogUniform))
    return found


def _directions(settings: SweepSettings) -> list[Literal["minimize", "maximize"]]:
    return ["minimize" if mode == "min" else "maximize" for mode in settings.modes]


def _sampler(settings: SweepSettings, seed: int) -> optuna.samplers.BaseSampler:
    samplers = optuna.samplers
    makers: dict[str, Any] = {
        "tpe": lambda: _SpreadTPESampler(
            hyperparameter_samples(settings.space, _STARTING_POINTS, seed=settings.seed, method="sobol"), seed
        ),
        "random": lambda: samplers.RandomSampler(seed=seed),
        "gp": lambda: samplers.GPSampler(seed=seed),
        "cmaes": lambda: samplers.CmaEsSampler(seed=seed),
        "nsgaii": lambda: samplers.NSGAIISampler(seed=seed),
        # Its points come in one order: all slots have to have the same seed.
        "qmc": lambda: samplers.QMCSampler(seed=settings.seed),
    }
    try:
        sampler: optuna.samplers.BaseSampler = makers[settings.sampler]()
    except ImportError as error:
        raise InvalidSpotRequest(
            [
                (
                    f"Optuna's sampler {settings.sampler!r} takes a package that is not installed here ({error}). Install it "
                    "where tasks run, or choose another sampler."
                )
            ]
        ) from error
    return sampler


class _SpreadTPESampler(optuna.samplers.TPESampler):
    """TPE whose first trials are spread over the space, where Optuna's are drawn at random.

    Slots that start together then look in different places, whichever of them asks first. Later on TPE takes running trials for
    bad ones (constant liar), to the same end.

    :param points: of the first trials, by their number.
    """

    def __init__(self, points: Sequence[Mapping[str, Any]], seed: int) -> None:
        super().__init__(seed=seed, n_startup_trials=len(points), constant_liar=True)
        self._points = points

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """What is chosen together."""
        if trial.number < len(self._points):
            return {}
        return super().infer_relative_search_space(study, trial)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """What is chosen by itself."""
        if trial.number < len(self._points):
            return self._points[trial.number][param_name]
        return super().sample_independent(study, trial, param_name, param_distribution)


def _pruner(pruner: Mapping[str, Any] | None) -> optuna.pruners.BasePruner:
    if pruner is None:
        return optuna.pruners.NopPruner()
    makers = {
        "median": optuna.pruners.MedianPruner,
        "percentile": optuna.pruners.PercentilePruner,
        "asha": optuna.pruners.SuccessiveHalvingPruner,
        "hyperband": optuna.pruners.HyperbandPruner,
    }
    arguments = {key: value for key, value in pruner.items() if key != "pruner"}
    if pruner["pruner"] == "percentile":
        arguments.setdefault("percentile", 25.0)
    try:
        made: optuna.pruners.BasePruner = makers[pruner["pruner"]](**arguments)
    except (TypeError, ValueError) as error:
        raise InvalidSpotRequest([f"Optuna does not take prune={dict(pruner)!r}: {error}"]) from error
    return made


check_pruner = _pruner


def url_of(storage: str) -> str:
    """The URL of a storage, by itself or from an Airflow connection.

    :raises InvalidSpotRequest: the connection is not one to a database.
    """
    if problems := storage_problems(storage):
        raise InvalidSpotRequest(problems)
    if "://" in storage:
        return storage
    connection: Any = BaseHook.get_connection(storage)
    if connection.conn_type not in _DRIVERS:
        raise InvalidSpotRequest(
            [
                (
                    f"The connection {storage!r} is of type {connection.conn_type!r}; a study is stored in a database: "
                    f"{sorted(_DRIVERS)}."
                )
            ]
        )
    url = URL.create(
        _DRIVERS[connection.conn_type],
        username=connection.login or None,
        password=connection.password or None,
        host=connection.host or None,
        port=connection.port,
        database=connection.schema or None,
    )
    return url.render_as_string(hide_password=False)
