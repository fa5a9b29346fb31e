"""Plots of a search: what is drawn, what is left out and why, and that nothing on a page leads elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from airflow_spot_provider.plots import plot_results, plot_results_task, plot_study, plot_study_task
from airflow_spot_provider.plots.figures import Figures
from airflow_spot_provider.plots.searched import Searched, study_of_results
from airflow_spot_provider.sweeps.trials import RESULT, SURPLUS
from airflow_spot_provider.training import InvalidSpotRequest, Outcome, SpotTrainingError, SpotTrainingResult

FOUR = ("optimization_history", "parallel_coordinate", "param_importances", "cost_against_objective")
RATE = FloatDistribution(1e-4, 1.0, log=True)
PNG = b"\x89PNG\r\n"


@pytest.fixture(autouse=True)
def _quiet_optuna() -> Any:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(verbosity)


def a_result(
    number: int = 0,
    outcome: Outcome = Outcome.COMPLETED,
    *,
    billable: int | None = 60,
    accuracy: float | None = 0.9,
    **hyperparameters: str,
) -> SpotTrainingResult:
    return SpotTrainingResult(
        job_name=f"job-{number}",
        job_arn=f"arn:aws:sagemaker:us-east-1:123456789012:training-job/job-{number}",
        outcome=outcome,
        instance_count=2,
        training_seconds=None if billable is None else 2 * billable,
        billable_seconds=billable,
        savings_percent=None if billable is None else 50.0,
        metrics={} if accuracy is None else {"accuracy": accuracy},
        hyperparameters=hyperparameters,
    )


def a_study(*directions: str, trials: int = 6, **user_attributes: str) -> optuna.Study:
    study = optuna.create_study(directions=directions or ("maximize",))
    for number in range(trials):
        study.add_trial(
            create_trial(
                values=[number / 10 + index for index in range(len(study.directions))],
                params={"rate": 10.0 ** -(number % 4)},
                distributions={"rate": RATE},
                user_attrs=user_attributes,
            )
        )
    return study


def the_data(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / "data.json").read_text())
    return data


def results_of_a_fan_out() -> list[SpotTrainingResult]:
    return [
        a_result(0, billable=100, accuracy=0.90, rate="0.001", model="mlp"),
        a_result(1, billable=300, accuracy=0.95, rate="0.01", model="mlp"),
        a_result(2, billable=400, accuracy=0.85, rate="0.1", model="linear"),
        a_result(3, Outcome.MAX_WAIT_TIME_EXCEEDED, accuracy=None, rate="1.0", model="linear"),
    ]


def test_fan_out_is_drawn_as_pages_and_pictures_with_its_data(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "here"

    told = plot_results(results_of_a_fan_out(), str(folder), metric="accuracy", mode="max")

    assert sorted(told["files"]) == sorted(
        ["data.json", *(f"{name}.{ending}" for name in FOUR for ending in ("html", "png"))]
    )
    assert sorted(told["files"]) == sorted(path.name for path in folder.iterdir())
    assert (told["trials"], told["completed"], told["left_out"]) == (4, 3, {})
    assert all((folder / f"{name}.png").read_bytes().startswith(PNG) for name in FOUR)
    data = the_data(folder)
    assert data["objectives"] == [{"metric": "accuracy", "direction": "maximize"}]
    assert [trial["state"] for trial in data["trials"]] == ["complete"] * 3 + ["fail"]
    assert data["trials"][1] == {
        "number": 1,
        "state": "complete",
        "hyperparameters": {"rate": 0.01, "model": "mlp"},
        "values": [0.95],
        "intermediate_values": {},
        "cost": 600.0,
        "job_name": "job-1",
        "outcome": "Completed",
        "savings_percent": 50.0,
        "interruptions": 0,
    }
    # The third costs more than both others, and is worse.
    assert data["pareto_of_cost"] == {"accuracy": [0, 1]}
    assert set(data["param_importances"]["accuracy"]) == {"rate", "model"}


def test_pages_take_nothing_from_the_network(tmp_path: Path) -> None:
    plot_results(results_of_a_fan_out(), str(tmp_path), metric="accuracy", mode="max")

    for name in FOUR:
        page = (tmp_path / f"{name}.html").read_text()
        assert len(page) > 1_000_000  # plotly is inside
        assert not re.search(r"<(script|link|img)[^>]+(src|href)=", page)


def test_hostile_names_and_values_stay_text(tmp_path: Path) -> None:
    hostile = ["<script>alert(1)</script>", r"$\frac{", "</script>", "日本"]
    results = [
        a_result(number, accuracy=number / 10, billable=10 + number, **{"<b>$x^": value})
        for number, value in enumerate(hostile)
    ]

    told = plot_results(results, str(tmp_path), metric="accuracy", mode="max")

    assert told["left_out"] == {}
    for name in FOUR:
        assert "<script>alert" not in (tmp_path / f"{name}.html").read_text()
        assert (tmp_path / f"{name}.png").read_bytes().startswith(PNG)


def test_published_result_itself_is_not_on_the_pages(tmp_path: Path) -> None:
    plot_results(results_of_a_fan_out(), str(tmp_path), metric="accuracy", mode="max")

    assert (
        "training_seconds"
        not in (tmp_path / "cost_against_objective.html").read_text().split("</script>")[-2]
    )
    assert "job-1" in (tmp_path / "cost_against_objective.html").read_text()


def test_same_search_is_drawn_to_the_same_pages(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        plot_results(results_of_a_fan_out(), str(tmp_path / folder), metric="accuracy", mode="max")

    for name in FOUR:
        assert (tmp_path / "one" / f"{name}.html").read_text() == (
            tmp_path / "two" / f"{name}.html"
        ).read_text()


@pytest.mark.parametrize("results", [[], [None], [a_result(outcome=Outcome.FAILED, accuracy=None)]])
def test_search_with_no_completed_training_says_that_nothing_can_be_drawn(
    results: Sequence[Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = plot_results(results, str(tmp_path), metric="accuracy", mode="max")

    assert told["files"] == ["data.json"]
    trials = sum(result is not None for result in results)
    assert told["left_out"] == dict.fromkeys(FOUR, f"None of {trials} trials has completed with accuracy.")
    assert "Not drawn: param_importances. None of" in caplog.text


def test_metric_that_no_training_published_is_an_error_that_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(SpotTrainingError, match=r"'loss'.*accuracy"):
        plot_results([a_result()], str(tmp_path), metric="loss", mode="min")
    assert list(tmp_path.iterdir()) == []


def test_results_without_hyperparameters_say_how_to_publish_them(tmp_path: Path) -> None:
    told = plot_results(
        [a_result(0, accuracy=0.1), a_result(1, accuracy=0.2)], str(tmp_path), metric="accuracy", mode="max"
    )

    assert set(told["left_out"]) == {"parallel_coordinate", "param_importances"}
    assert "publish_hyperparameters=" in told["left_out"]["param_importances"]
    assert (tmp_path / "cost_against_objective.png").exists()


def test_cost_that_is_not_known_is_left_out_and_not_taken_for_nothing(tmp_path: Path) -> None:
    results = [a_result(0, billable=None, rate="1"), a_result(1, billable=None, accuracy=0.8, rate="2")]

    told = plot_results(results, str(tmp_path / "none"), metric="accuracy", mode="max")
    plot_results([*results, a_result(2, rate="3")], str(tmp_path / "one"), metric="accuracy", mode="max")

    assert told["left_out"] == {
        "cost_against_objective": "Of no completed trial it is known what its training job billed."
    }
    assert [trial["cost"] for trial in the_data(tmp_path / "one")["trials"]] == [None, None, 120.0]
    assert the_data(tmp_path / "one")["pareto_of_cost"] == {"accuracy": [2]}


@pytest.mark.parametrize(
    ("results", "why"),
    [
        (
            [a_result(0, accuracy=0.5, rate="1"), a_result(1, accuracy=0.5, rate="2")],
            "accuracy is 0.5 in each",
        ),
        ([a_result(0, accuracy=0.5, rate="1"), a_result(1, accuracy=0.6, rate="1")], "one value only"),
        ([a_result(0, accuracy=0.5, rate="1")], "one value only"),
    ],
)
def test_importance_is_left_out_where_there_is_nothing_to_tell_it_from(
    results: list[SpotTrainingResult], why: str, tmp_path: Path
) -> None:
    told = plot_results(results, str(tmp_path), metric="accuracy", mode="max")

    assert list(told["left_out"]) == ["param_importances"]
    assert why in told["left_out"]["param_importances"]


def test_hyperparameters_of_some_trainings_only_are_left_out(
    tmp_path: Path,
) -> None:
    results = [
        a_result(0, accuracy=0.5, rate="1", hidden="64"),
        a_result(1, accuracy=0.6, rate="2"),
        a_result(2, accuracy=0.7, rate="3", hidden="32"),
    ]

    told = plot_results(results, str(tmp_path / "some"), metric="accuracy", mode="max")
    none_shared = [a_result(0, accuracy=0.5, hidden="64"), a_result(1, accuracy=0.6, rate="2")]
    others = plot_results(none_shared, str(tmp_path / "none"), metric="accuracy", mode="max")

    assert told["left_out"] == {"hyperparameters": "Not every completed trial has hidden."}
    assert others["left_out"]["hyperparameters"] == "Not every completed trial has hidden, rate."
    assert set(others["left_out"]) == {"hyperparameters", "parallel_coordinate", "param_importances"}


@pytest.mark.parametrize(
    ("texts", "kind", "log"),
    [
        (["1", "2", "3"], "IntDistribution", False),
        (["8", "1024"], "IntDistribution", True),
        (["0.001", "1"], "FloatDistribution", True),
        (["0.5", "1"], "FloatDistribution", False),
        (["-1", "0.5"], "FloatDistribution", False),
        (["adam", "1"], "CategoricalDistribution", None),
        (["nan", "1"], "CategoricalDistribution", None),
        (["1e999", "1"], "CategoricalDistribution", None),
    ],
)
def test_hyperparameters_of_a_fan_out_are_read_as_the_numbers_that_they_are(
    texts: list[str], kind: str, log: bool | None
) -> None:
    results = [a_result(number, x=text) for number, text in enumerate(texts)]

    study = study_of_results(results, "accuracy", "max")

    distribution = study.trials[0].distributions["x"]
    assert type(distribution).__name__ == kind
    assert getattr(distribution, "log", None) is log
    read = [trial.params["x"] for trial in study.trials]
    assert read == (texts if kind == "CategoricalDistribution" else [float(text) for text in texts])


def test_study_of_several_objectives_has_plots_of_each_and_their_front(tmp_path: Path) -> None:
    study = a_study("maximize", "minimize", **{RESULT: a_result().model_dump_json()})

    told = plot_study(study, str(tmp_path), metrics=["accuracy", "size/MB"])

    drawn = {name.removesuffix(".html") for name in told["files"] if name.endswith(".html")}
    assert drawn == {
        "pareto_front",
        *(f"{name}_of_accuracy" for name in FOUR),
        *(f"{name}_of_size-MB" for name in FOUR),
    }
    assert told["left_out"] == {}


def test_front_of_more_objectives_than_can_be_shown_is_left_out() -> None:
    searched = Searched.of(a_study(*["minimize"] * 4))
    assert searched.metrics == tuple(f"objective {number}" for number in (1, 2, 3, 4))
    assert "There are 4 objectives" in Figures.of(searched).left_out["pareto_front"]


def test_study_that_prunes_shows_its_intermediate_values_and_partial_costs(tmp_path: Path) -> None:
    study = a_study("maximize")
    study.add_trial(
        create_trial(
            state=TrialState.PRUNED,
            params={"rate": 0.1},
            distributions={"rate": RATE},
            intermediate_values={1: 0.1, 2: float("nan")},
            user_attrs={RESULT: a_result(6, Outcome.STOPPED, accuracy=None).model_dump_json()},
        )
    )

    told = plot_study(study, str(tmp_path))

    assert "intermediate_values.png" in told["files"]
    pruned = the_data(tmp_path)["trials"][6]
    assert pruned["intermediate_values"] == {"1": 0.1, "2": None}
    assert (pruned["state"], pruned["values"], pruned["cost"]) == ("pruned", [], 120.0)


def test_trial_that_optuna_has_pruned_is_no_hindrance_to_the_costs_of_others(tmp_path: Path) -> None:
    study = a_study("maximize", **{RESULT: a_result().model_dump_json()})
    pruned = study.ask({"rate": RATE})
    pruned.report(0.2, 1)
    study.tell(pruned, state=TrialState.PRUNED)
    assert study.trials[6].values == [0.2]

    told = plot_study(study, str(tmp_path))

    assert told["left_out"] == {}
    assert "cost_against_objective.png" in told["files"]


def test_study_with_infinite_values_running_trials_and_attributes_of_others_is_drawn(tmp_path: Path) -> None:
    study = a_study("minimize", **{RESULT: '{"no": "result"}'})
    study.add_trial(create_trial(value=float("inf"), params={"rate": 0.1}, distributions={"rate": RATE}))
    study.ask({"rate": RATE})

    told = plot_study(study, str(tmp_path))

    assert set(told["left_out"]) == {"cost_against_objective"}
    assert the_data(tmp_path)["trials"][6]["values"] == [None]
    assert [trial["state"] for trial in the_data(tmp_path)["trials"][6:]] == ["complete", "running"]


def test_costs_are_shown_in_money_where_a_price_is_given(tmp_path: Path) -> None:
    plot_results([a_result(rate="1")], str(tmp_path), metric="accuracy", mode="max", price_per_hour=3.6)

    assert the_data(tmp_path)["cost_unit"] == "cost"
    assert the_data(tmp_path)["trials"][0]["cost"] == pytest.approx(0.12)


@pytest.mark.parametrize("price", [0, -1, float("nan"), float("inf")])
def test_price_that_is_none_is_refused(price: float, tmp_path: Path) -> None:
    with pytest.raises(InvalidSpotRequest, match="price_per_hour"):
        plot_study(a_study(), str(tmp_path), price_per_hour=price)


@pytest.mark.parametrize("metrics", [["one", "two"], ["same"] * 2])
def test_names_that_are_not_one_for_each_objective_are_refused(metrics: list[str], tmp_path: Path) -> None:
    with pytest.raises(InvalidSpotRequest, match="metrics"):
        plot_study(a_study(*["minimize"] * (3 - len(set(metrics)))), str(tmp_path), metrics=metrics)


def test_study_that_names_its_metrics_is_asked_for_them() -> None:
    study = a_study()
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        study.set_metric_names(["f1"])

    assert Searched.of(study).metrics == ("f1",)


def test_trial_that_a_sweep_did_not_train_is_not_in_the_data(tmp_path: Path) -> None:
    study = a_study()
    study.add_trial(create_trial(state=TrialState.FAIL, user_attrs={SURPLUS: "one more than the budget"}))

    plot_study(study, str(tmp_path))

    assert [trial["number"] for trial in the_data(tmp_path)["trials"]] == [0, 1, 2, 3, 4, 5]


def test_file_that_is_there_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text("old")

    plot_study(a_study(), str(tmp_path))

    assert the_data(tmp_path)["study"]


def test_path_may_be_any_that_fsspec_writes(tmp_path: Path) -> None:
    assert plot_study(a_study(), (tmp_path / "url").as_uri())["files"]
    assert (tmp_path / "url" / "data.json").exists()


def test_local_folder_has_the_very_name_that_was_given(tmp_path: Path) -> None:
    folder = tmp_path / "manual__2026-11-25T12:00:00+00:00"
    assert plot_study(a_study(), str(folder))["folder"] == f"file://{folder}"
    assert (folder / "data.json").exists()


def test_wrong_arguments_of_the_tasks_fail_at_dag_parse() -> None:
    with pytest.raises(InvalidSpotRequest, match="mode is 'best'"):
        plot_results_task([], path="/tmp/plots", metric="accuracy", mode="best")  # type: ignore[arg-type]
    with pytest.raises(InvalidSpotRequest, match="path"):
        plot_study_task("study", storage="sqlite:///study.db", path="")


def test_choice_of_a_space_that_is_categorical_is_drawn(tmp_path: Path) -> None:
    study = optuna.create_study()
    space = {"model": CategoricalDistribution(("mlp", "linear"))}
    for number, model in enumerate(("mlp", "linear", "mlp")):
        study.add_trial(create_trial(value=number, params={"model": model}, distributions=space))

    assert "parallel_coordinate.html" in plot_study(study, str(tmp_path))["files"]
