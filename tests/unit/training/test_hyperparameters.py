"""Grids and samples: complete, reproducible, within their bounds, and never wider than Airflow maps."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_spot_provider.training import (
    Categorical,
    Integers,
    InvalidSpotRequest,
    LogUniform,
    Uniform,
    hyperparameter_grid,
    hyperparameter_samples,
)
from airflow_spot_provider.training.hyperparameters import space_of

SPACE = {
    "rate": LogUniform(1e-4, 1e-1),
    "momentum": Uniform(0.5, 0.99),
    "layers": Integers(1, 4),
    "width": Integers(8, 512, log=True),
    "model": Categorical(("mlp", "linear")),
}


def test_grid_is_every_combination_with_the_last_changing_fastest() -> None:
    grid = hyperparameter_grid({"rate": [0.1, 0.01], "model": ("mlp", "linear")}, fixed={"epochs": 5})
    assert grid == [
        {"epochs": 5, "rate": 0.1, "model": "mlp"},
        {"epochs": 5, "rate": 0.1, "model": "linear"},
        {"epochs": 5, "rate": 0.01, "model": "mlp"},
        {"epochs": 5, "rate": 0.01, "model": "linear"},
    ]


def test_what_is_searched_and_fixed_is_refused() -> None:
    with pytest.raises(InvalidSpotRequest, match=r"\['a'\] are both searched and fixed"):
        hyperparameter_grid({"a": [1]}, fixed={"a": 2})
    with pytest.raises(InvalidSpotRequest, match=r"\['a'\] are both searched and fixed"):
        hyperparameter_samples({"a": Uniform(0, 1)}, 2, seed=1, fixed={"a": 2})


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        ({}, "at least one hyperparameter"),
        (["rate"], "at least one hyperparameter"),
        ({"rate": []}, "The values of 'rate' are none"),
        ({"model": "mlp"}, "it takes a list"),
        ({"rate": 0.1}, "it takes a list"),
        ({"rate": {"low": 1}}, "it takes a list"),
        ({"rate": [0.1, "0.1"]}, "each is to be there once"),
        ({"rate": [0.1, None]}, r"have \[None\] among them; it takes strings and numbers"),
    ],
)
def test_grid_that_is_none_says_what_it_takes(axes: Any, said: str) -> None:
    with pytest.raises(InvalidSpotRequest, match=said):
        hyperparameter_grid(axes)


def test_too_wide_a_grid_names_its_width_and_the_limit() -> None:
    axes = {"a": range(40), "b": range(40)}
    with pytest.raises(InvalidSpotRequest, match=r"1,600 mapped tasks.*max_map_length allows 1,024.*limit="):
        hyperparameter_grid(axes)
    assert len(hyperparameter_grid(axes, limit=1_600)) == 1_600


@pytest.mark.parametrize("method", ["random", "latin_hypercube", "sobol"])
def test_samples_are_the_same_for_the_same_seed_and_lie_in_the_space(method: Any) -> None:
    samples = hyperparameter_samples(SPACE, 20, seed=1, method=method, fixed={"epochs": 3})
    assert samples == hyperparameter_samples(SPACE, 20, seed=1, method=method, fixed={"epochs": 3})
    assert samples != hyperparameter_samples(SPACE, 20, seed=2, method=method, fixed={"epochs": 3})
    assert len(samples) == 20
    for sample in samples:
        assert list(sample) == ["epochs", *SPACE]
        assert 1e-4 <= sample["rate"] <= 1e-1
        assert 0.5 <= sample["momentum"] <= 0.99
        assert sample["layers"] in range(1, 5)
        assert sample["width"] in range(8, 513)
        assert sample["model"] in ("mlp", "linear")


@pytest.mark.parametrize("method", ["latin_hypercube", "sobol"])
def test_even_samples_have_one_in_each_of_as_many_slices(method: Any) -> None:
    samples = hyperparameter_samples({"x": Uniform(0, 8)}, 8, seed=3, method=method)
    assert sorted(int(sample["x"]) for sample in samples) == list(range(8))


def test_space_can_be_plain_json() -> None:
    space = {
        "rate": {"distribution": "log-uniform", "low": 1e-4, "high": 1e-1},
        "momentum": {"distribution": "uniform", "low": 0.5, "high": 0.99},
        "layers": {"distribution": "integer", "low": 1, "high": 4},
        "width": {"distribution": "integer", "low": 8, "high": 512, "log": True},
        "model": {"distribution": "categorical", "choices": ["mlp", "linear"]},
    }
    assert space_of(space) == SPACE


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({}, "at least one hyperparameter"),
        ("rate", "at least one hyperparameter"),
        ({"rate": 0.1}, r"distribution of 'rate' is 0\.1.*LogUniform"),
        ({"rate": {"distribution": "normal"}}, "'integer', 'log-uniform', 'uniform'"),
        ({"rate": {"distribution": "uniform", "lo": 1}}, r"has \['lo'\]; it takes \['low', 'high'\]"),
        (
            {"rate": {"distribution": "uniform", "low": 2, "high": 1}},
            "'rate': low of the uniform .* is 2 and high 1",
        ),
        (
            {"a": {"distribution": "categorical", "choices": []}, "b": 1},
            r"(?s)The choices are none.*distribution of 'b'",
        ),
    ],
)
def test_space_that_is_none_says_all_that_is_wrong(space: Any, said: str) -> None:
    with pytest.raises(InvalidSpotRequest, match=said):
        hyperparameter_samples(space, 1, seed=1)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Uniform(2, 1), "low may be at most high"),
        (lambda: Uniform(float("nan"), 1), "it takes a finite number"),
        (lambda: Uniform(0, float("inf")), "high of the uniform"),
        (lambda: Uniform("0", 1), "it takes a finite number"),  # type: ignore[arg-type]  # what a user may pass
        (lambda: Uniform(True, 1), "it takes a finite number"),
        (lambda: LogUniform(0, 1), "above 0"),
        (lambda: Integers(1, 2.5), "it takes a whole number"),  # type: ignore[arg-type]  # what a user may pass
        (lambda: Integers(0, 4, log=True), "above 0"),
        (lambda: Categorical(()), "The choices are none"),
        (lambda: Categorical((1, 1)), "each is to be there once"),
        (lambda: Categorical((True, "a")), r"have \[True\] among them; it takes strings and numbers"),
    ],
)
def test_distribution_that_is_none_says_why(make: Any, said: str) -> None:
    with pytest.raises(InvalidSpotRequest, match=said):
        make()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"count": 0, "seed": 1}, "count is 0"),
        ({"count": 2.0, "seed": 1}, r"count is 2\.0"),
        ({"count": 2, "seed": None}, "seed is None"),
        ({"count": 2, "seed": -1}, "seed is -1"),
        ({"count": 2_000, "seed": 1}, "samples would make 2,000 mapped tasks"),
        ({"count": 2, "seed": 1, "method": "halton"}, "'latin_hypercube', 'sobol'"),
    ],
)
def test_samples_that_cannot_be_say_why(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidSpotRequest, match=said):
        hyperparameter_samples(SPACE, **arguments)


def test_without_scipy_the_even_methods_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    assert hyperparameter_samples(SPACE, 2, seed=1)
    with pytest.raises(InvalidSpotRequest, match=r"airflow-spot-provider\[sampling\]"):
        hyperparameter_samples(SPACE, 2, seed=1, method="sobol")


@given(
    st.floats(0, 1, exclude_max=True),
    st.floats(1e-9, 1e9),
    st.floats(1e-9, 1e9),
    st.integers(1, 10**6),
    st.integers(1, 10**6),
)
def test_no_share_leads_out_of_the_bounds(share: float, a: float, b: float, i: int, j: int) -> None:
    low, high = sorted((a, b))
    least, most = sorted((i, j))
    assert low <= Uniform(low, high).at(share) <= high
    assert low <= LogUniform(low, high).at(share) <= high
    assert least <= Integers(least, most).at(share) <= most
    assert least <= Integers(least, most, log=True).at(share) <= most
    assert Categorical((1, 2, 3)).at(share) in (1, 2, 3)
