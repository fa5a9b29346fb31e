"""The example DAGs: they import, quickly, and have the shape that their text promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

from tests.airflow_versions import AssetOrTimeSchedule, ByAsset, DagBag

# Airflow's own reading of .airflowignore uses an old name of pathspec.
pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")

DAGS = Path(__file__).parents[2] / "dags"
GROUPS = ("uninterrupted", "interrupted_once", "interrupted_twice_then_max_wait", "never_launched")


@pytest.fixture(scope="module")
def dags() -> dict[str, DAG]:
    """Read as the DAG processor does: with the folder on the path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DAGS)
        bag = DagBag(DAGS)
    assert bag.import_errors == {}
    return bag.dags


def test_folder_holds_documented_dags(dags: dict[str, DAG]) -> None:
    assert set(dags) == {
        "automatic_model_tuning",
        "deployment_gate",
        "hyperparameter_fan_out",
        "hyperparameter_sweep",
        "recurring_retraining",
        "spot_training_branching",
    }
    assert all(dag.doc_md and dag.tags for dag in dags.values())


def test_reading_the_dags_imports_nothing_heavy() -> None:
    heavy = ("boto3", "moto", "numpy", "pandas", "sklearn")
    program = (
        f"import sys, digits.config, digits.package; print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=DAGS, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("group", GROUPS)
def test_branching_trains_each_lifecycle_between_upload_and_report(dags: dict[str, DAG], group: str) -> None:
    dag = dags["spot_training_branching"]
    on_spot = dag.get_task(f"{group}.train_on_spot")

    assert on_spot.upstream_task_ids == {"upload"}
    assert on_spot.config["Tags"] == [{"Key": "emulator:lifecycle", "Value": group.replace("_", "-")}]
    assert dag.get_task(f"{group}.how_it_ended").downstream_task_ids == {
        f"{group}.train_on_demand",
        f"{group}.result",
    }
    assert dag.get_task(f"{group}.result").downstream_task_ids == {"report"}


def test_lifecycles_have_checkpoints_of_their_own_which_the_fallback_shares(dags: dict[str, DAG]) -> None:
    dag = dags["spot_training_branching"]
    prefixes = {
        group: {dag.get_task(f"{group}.train_on_{kind}").checkpoint_s3_uri for kind in ("spot", "demand")}
        for group in GROUPS
    }

    assert all(len(shared) == 1 for shared in prefixes.values())
    assert len({prefix for shared in prefixes.values() for prefix in shared}) == len(GROUPS)
    assert all("run_id" in prefix for shared in prefixes.values() for prefix in shared)


def test_retraining_is_weekly_or_on_new_data_one_at_a_time_and_reported(dags: dict[str, DAG]) -> None:
    dag = dags["recurring_retraining"]

    assert isinstance(dag.schedule, AssetOrTimeSchedule)
    assert (dag.catchup, dag.max_active_runs) == (False, 1)
    edges = {task_id: task.downstream_task_ids for task_id, task in dag.task_dict.items()}
    assert edges == {"upload": {"train"}, "train": {"report"}, "report": set()}
    assert dag.get_task("train").checkpoint_s3_uri
    assert [asset.name for asset in dag.get_task("train").outlets] == ["digits_classifier"]


def _event(**members: Any) -> Any:
    told = {"job_name": "j", "outcome": "Completed", "model_artifacts": "s3://b/model.tar.gz", **members}
    return SimpleNamespace(extra={"airflow_spot": told})


def test_gate_lets_a_good_model_through_and_fails_a_poor_one(dags: dict[str, DAG]) -> None:
    gate = dags["deployment_gate"].get_task("is_good_enough").python_callable
    [model] = dags["recurring_retraining"].get_task("train").outlets

    def _judge(*events: Any) -> Any:
        return gate(triggering_asset_events=ByAsset((model, list(events))))

    poor, good = _event(metrics={"accuracy": 0.5}), _event(metrics={"accuracy": 0.9})
    assert _judge(poor, good) == "s3://b/model.tar.gz"
    with pytest.raises(ValueError, match=r"accuracy is 0\.500; 0\.85 or more is let through"):
        _judge(good, poor)
    for diverged in ({}, {"accuracy": float("nan")}):
        with pytest.raises(ValueError, match="no accuracy that can be judged"):
            _judge(_event(metrics=diverged))
    with pytest.raises(ValueError, match="created by hand"):
        _judge(SimpleNamespace(extra={}))


def test_tuning_goes_on_from_a_first_search_and_reports_both(dags: dict[str, DAG]) -> None:
    dag = dags["automatic_model_tuning"]
    edges = {task_id: task.downstream_task_ids for task_id, task in dag.task_dict.items()}
    assert edges == {
        "upload": {"explore"},
        "explore": {"refine", "report"},
        "refine": {"report"},
        "report": set(),
    }
    for task_id in ("explore", "refine"):
        definitions = dag.get_task(task_id).config["TrainingJobDefinitions"]
        assert [each["DefinitionName"] for each in definitions] == ["mlp", "linear"]
        assert all("HyperParameters" not in each for each in definitions)


def test_report_of_tuning_weighs_savings_and_tells_the_best_of_both(dags: dict[str, DAG]) -> None:
    report = dags["automatic_model_tuning"].get_task("report").python_callable

    def _tuned(name: str, value: float, trained: float, billed: float) -> dict[str, object]:
        return {
            "job_name": name,
            "job_arn": "arn",
            "outcome": "Completed",
            "status": "Completed",
            "best": {"job_name": f"{name}-001", "metric": "accuracy", "value": value},
            "jobs": 2,
            "interruptions": 1,
            "savings_unknown": 1,
            "training_instance_seconds": trained,
            "billable_instance_seconds": billed,
        }

    told = report([_tuned("explore", 0.9, 300, 30), _tuned("refine", 0.95, 100, 50)])

    assert told["savings_percent"] == pytest.approx(80)
    assert (told["savings_unknown"], told["jobs"], told["interruptions"]) == (2, 4, 2)
    assert told["best"]["job_name"] == "refine-001"


def test_fan_out_trains_two_rounds_and_the_first_decides_on_the_second(dags: dict[str, DAG]) -> None:
    dag = dags["hyperparameter_fan_out"]

    edges = {task_id: task.downstream_task_ids for task_id, task in dag.task_dict.items()}
    assert edges == {
        "upload": {"first_round"},
        "first_round": {"width", "best_so_far", "best_of", "savings_of", "plots"},
        "width": {"around_the_best", "report"},
        "best_so_far": {"around_the_best"},
        "around_the_best": {"second_round"},
        "second_round": {"best_of", "savings_of", "plots"},
        "plots": set(),
        "best_of": {"report"},
        "savings_of": {"report"},
        "report": set(),
    }
    rounds = [dag.get_task(task_id) for task_id in ("first_round", "second_round")]
    assert len({task.partial_kwargs["checkpoint_s3_uri"] for task in rounds}) == 2


def test_second_round_samples_around_the_best_as_often_as_the_budget_allows(dags: dict[str, DAG]) -> None:
    around = dags["hyperparameter_fan_out"].get_task("around_the_best").python_callable

    samples = around({"hyperparameters": {"model": "mlp", "learning-rate": "0.01"}}, {"jobs": 3})

    assert len(samples) == 3
    assert all(sample["model"] == "mlp" and 0.0025 <= sample["learning-rate"] <= 0.04 for sample in samples)
