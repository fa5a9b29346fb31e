"""The strategies as pure rules."""

from __future__ import annotations

from statistics import median

import pytest

from airflow_spot_provider.emulator.exceptions import ValidationException
from airflow_spot_provider.emulator.tuning.ranges import CategoricalRange, NumericRange
from airflow_spot_provider.emulator.tuning.stopping import is_behind
from airflow_spot_provider.emulator.tuning.strategies.bayesian import BayesianSearch
from airflow_spot_provider.emulator.tuning.strategies.grid import GridSearch
from airflow_spot_provider.emulator.tuning.strategies.hyperband import Hyperband
from airflow_spot_provider.emulator.tuning.strategies.random_search import RandomSearch
from airflow_spot_provider.emulator.tuning.strategies.strategy import Strategy
from airflow_spot_provider.emulator.tuning.trial import Trial

X = NumericRange("x", 0.0, 1.0, "Linear", integer=False)
C = CategoricalRange("c", ("a", "b", "c"))


def _loss(values: dict[str, str]) -> float:
    return abs(float(values["x"]) - 0.7) + {"a": 0.3, "b": 0.0, "c": 0.5}[values["c"]]


def _search(strategy: Strategy, count: int, parallel: int = 3) -> list[Trial]:
    """Trials of which so many run at a time."""
    trials: list[Trial] = []
    for number in range(1, count + 1):
        done = [
            Trial(trial.number, trial.values, [_loss(dict(trial.values))], True, True)
            for trial in trials[:-parallel]
        ]
        trials.append(Trial(number, strategy.suggest(number, [*done, *trials[-parallel:]])))
    return trials


@pytest.mark.parametrize("kind", [RandomSearch, BayesianSearch])
def test_the_same_seed_gives_the_same_trials_and_another_gives_others(kind: type) -> None:
    first, again, other = (_search(kind([X, C], seed), 15) for seed in ("1", "1", "2"))
    assert first == again
    assert first != other


def test_bayesian_search_comes_nearer_than_random_search() -> None:
    def _late(kind: type) -> float:
        losses = [
            _loss(dict(trial.values)) for seed in "1234" for trial in _search(kind([X, C], seed), 40)[20:]
        ]
        return median(losses)

    assert _late(BayesianSearch) < _late(RandomSearch) / 2


def test_bayesian_search_keeps_away_from_where_trials_run() -> None:
    done = [
        Trial(number, {"x": str(number / 20)}, [abs(number / 20 - 0.5)], True, True)
        for number in range(1, 20)
    ]
    running = [Trial(number, {"x": "0.5"}) for number in range(20, 24)]
    alone = [float(BayesianSearch([X], str(seed)).suggest(30, done)["x"]) for seed in range(20)]
    beside = [float(BayesianSearch([X], str(seed)).suggest(30, [*done, *running])["x"]) for seed in range(20)]
    assert median(abs(x - 0.5) for x in beside) > median(abs(x - 0.5) for x in alone)


def test_bayesian_search_makes_nothing_of_what_failed_or_is_outside_its_ranges() -> None:
    odd = [
        Trial(1, {"x": "0.5", "c": "a"}, [], True, False),
        Trial(0, {"x": "7", "c": "a"}, [0.0], True, True),
        Trial(0, {"x": "0.5", "c": "z"}, [0.0], True, True),
        Trial(0, {"c": "a"}, [0.0], True, True),
    ]
    search = BayesianSearch([X, C], "1")
    assert search.suggest(5, odd) == search.suggest(5, [])


def test_grid_search_has_each_combination_once() -> None:
    grid = GridSearch([C, CategoricalRange("d", ("1", "2"))])
    assert grid.size == 6
    found = [tuple(grid.suggest(number, []).values()) for number in range(1, 7)]
    assert found == [(c, d) for c in "abc" for d in "12"]


def test_grid_search_refuses_numbers() -> None:
    with pytest.raises(ValidationException, match="categorical hyperparameters only; x"):
        GridSearch([X])


def _bracket_of_all_rungs(strategy: Hyperband, count: int) -> list[int]:
    """Numbers of trials that are judged at the first rung."""
    good = Trial(10_000, {}, [0.0])
    return [
        number
        for number in range(1, count)
        if strategy.is_to_stop(
            Trial(number, {}, [9.0]),
            [
                Trial(number, {}, [9.0]),
                *(Trial(other, {}, [0.0]) for other in range(1, count) if other != number),
                good,
            ],
        )
    ]


def test_hyperband_lets_the_better_third_go_on_from_a_rung() -> None:
    strategy = Hyperband([X], "1", min_resource=1, max_resource=9)
    judged = _bracket_of_all_rungs(strategy, 200)
    assert 20 < len(judged) < 199
    trials = [Trial(number, {}, [float(place)]) for place, number in enumerate(judged[:9])]
    stopped = [strategy.is_to_stop(trial, trials) for trial in trials]
    assert stopped == [False] * 3 + [True] * 6


def test_hyperband_waits_for_enough_trials_and_for_the_least_resource() -> None:
    strategy = Hyperband([X], "1", min_resource=2, max_resource=20)
    trials = [Trial(number, {}, [float(number)]) for number in range(1, 100)]
    assert not any(strategy.is_to_stop(trial, trials) for trial in trials)
    two = [Trial(number, {}, [float(number)] * 2) for number in (1, 2)]
    assert not any(strategy.is_to_stop(trial, two) for trial in two)


def test_hyperband_stops_what_goes_on_after_its_last_epoch() -> None:
    strategy = Hyperband([X], "1", min_resource=1, max_resource=3)
    assert not strategy.is_to_stop(Trial(1, {}, [0.1] * 3), [])
    assert strategy.is_to_stop(Trial(1, {}, [0.1] * 4), [])


def test_a_trial_is_behind_when_it_is_worse_than_the_median_of_running_averages_up_to_its_epoch() -> None:
    before = [
        Trial(number, {}, [loss, loss / 2, 0.0], True, True) for number, loss in enumerate((4.0, 6.0, 8.0))
    ]
    # Running averages up to the second epoch: 3, 4.5, 6.
    assert is_behind(Trial(9, {}, [1.0, 4.6]), before)
    assert not is_behind(Trial(9, {}, [9.0, 4.4]), before)
    assert not is_behind(Trial(9, {}, [9.0, 9.0]), before[:2]), "two are no majority"
    assert not is_behind(Trial(9, {}, []), before)
