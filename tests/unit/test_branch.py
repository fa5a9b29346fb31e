"""The branch operators: which way by which outcome, and what they refuse."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, TaskGroup, task_group

from airflow_spot_provider.operators.branch import (
    SageMakerSpotBranchOperator,
    SageMakerSpotTuningBranchOperator,
)
from airflow_spot_provider.training import InvalidSpotRequest, SpotTrainingError
from tests.airflow_versions import AirflowSkipException

OUTCOMES = ("Completed", "MaxWaitTimeExceeded", "MaxRuntimeExceeded", "Stopped", "Failed")


class _TaskInstance:
    def __init__(self, xcom: Any, map_index: int = -1) -> None:
        self.map_index = map_index
        self._xcom = xcom

    def xcom_pull(self, task_ids: str, map_indexes: int | None = None) -> Any:
        assert task_ids == "train"
        return self._xcom if map_indexes is None else self._xcom[map_indexes]


def _result(outcome: str) -> dict[str, Any]:
    return {"job_name": "j", "job_arn": "arn", "outcome": outcome}


def _choice(xcom: Any, *, map_index: int = -1, **branches: Any) -> Any:
    branch = SageMakerSpotBranchOperator(task_id="branch", training_task_id="train", **branches)
    return branch.choose_branch({"ti": _TaskInstance(xcom, map_index)})  # type: ignore[typeddict-item]


EACH_WAY = {
    "on_completed": "a",
    "on_max_wait_time_exceeded": ["b", "c"],
    "on_max_runtime_exceeded": "d",
    "on_stopped": None,
    "on_failed": "e",
}


@pytest.mark.parametrize(
    ("outcome", "way"), list(zip(OUTCOMES, ["a", ["b", "c"], "d", None, "e"], strict=True))
)
def test_each_outcome_has_its_way(outcome: str, way: Any) -> None:
    assert _choice(_result(outcome), **EACH_WAY) == way


def test_mapped_outcomes_that_agree_decide() -> None:
    assert _choice([_result("Completed")] * 3, **EACH_WAY) == "a"


@pytest.mark.parametrize(("rule", "way"), [("best", "a"), ("worst", "e")])
def test_mapped_outcomes_that_differ_are_decided_by_the_users_rule(rule: str, way: str) -> None:
    results = [_result("MaxWaitTimeExceeded"), _result("Completed"), _result("Failed")]

    assert _choice(results, mapped_outcome=rule, **EACH_WAY) == way


def test_mapped_outcomes_that_differ_without_a_rule_are_an_error_that_counts_them() -> None:
    with pytest.raises(SpotTrainingError, match="2 Completed, 1 Failed"):
        _choice([_result("Completed"), _result("Failed"), _result("Completed")], **EACH_WAY)


def test_job_without_capacity_goes_the_way_of_max_wait() -> None:
    result = {**_result("Failed"), "failure_reason": "CapacityError: none left"}

    assert _choice(result, **EACH_WAY) == ["b", "c"]
    assert _choice({**result, "training_seconds": 60}, **EACH_WAY) == "e"


def test_branch_in_a_mapped_group_follows_its_own_member() -> None:
    assert _choice([_result("Completed"), _result("Failed")], map_index=1, **EACH_WAY) == "e"


@pytest.mark.parametrize("nothing", [None, []])
def test_missing_result_is_a_clear_error(nothing: Any) -> None:
    with pytest.raises(SpotTrainingError, match="train left no result to branch on"):
        _choice(nothing, **EACH_WAY)


@pytest.mark.parametrize(
    "other", ["text", {"outcome": "Completed"}, {"job_name": "j", "job_arn": "", "outcome": "x"}, [None]]
)
def test_xcom_of_something_else_is_a_clear_error(other: Any) -> None:
    with pytest.raises(SpotTrainingError, match="is not a training result"):
        _choice(other, **EACH_WAY)


def test_unknown_outcome_is_refused() -> None:
    with pytest.raises(InvalidSpotRequest, match="on_timeout is no outcome to branch on"):
        SageMakerSpotBranchOperator(task_id="branch", training_task_id="train", on_timeout="a")


def test_unknown_rule_for_mapped_outcomes_is_refused() -> None:
    with pytest.raises(InvalidSpotRequest, match="'same', 'best', 'worst'"):
        SageMakerSpotBranchOperator(task_id="branch", training_task_id="train", mapped_outcome="any")  # type: ignore[arg-type]


def test_target_that_is_no_task_id_is_refused() -> None:
    with pytest.raises(InvalidSpotRequest, match="a task id, a list of task ids, or None"):
        SageMakerSpotBranchOperator(task_id="branch", training_task_id="train", on_failed=[1])  # type: ignore[list-item]


def test_target_that_is_not_downstream_fails_the_dag_at_parse() -> None:
    with DAG("d", schedule=None) as dag:
        branch = SageMakerSpotBranchOperator(
            task_id="branch", training_task_id="train", on_completed="elsewhere"
        )
        branch >> BaseOperator(task_id="next")
        BaseOperator(task_id="elsewhere")

    with pytest.raises(InvalidSpotRequest, match=r"downstream are \['next'\].*branch >> elsewhere"):
        dag.resolve_template_files()


def test_targets_may_be_task_groups() -> None:
    with DAG("d", schedule=None) as dag:
        branch = SageMakerSpotBranchOperator(task_id="branch", training_task_id="train", on_completed="group")
        with TaskGroup("group") as group:
            BaseOperator(task_id="first") >> BaseOperator(task_id="second")
        branch >> group

    dag.resolve_template_files()


EACH_WAY_OF_TUNING = {
    "on_completed": "a",
    "on_completed_with_max_wait_time_exceeded": ["b", "c"],
    "on_max_runtime_exceeded": "d",
    "on_no_job_succeeded": "e",
    "on_stopped": None,
    "on_failed": "f",
}
TUNING_OUTCOMES = (
    "Completed",
    "CompletedWithMaxWaitTimeExceeded",
    "MaxRuntimeExceeded",
    "NoJobSucceeded",
    "Stopped",
    "Failed",
)


def _tuning_result(outcome: str) -> dict[str, Any]:
    return {**_result(outcome), "status": "Completed"}


def _tuning_choice(xcom: Any, *, map_index: int = -1, **branches: Any) -> Any:
    branch = SageMakerSpotTuningBranchOperator(task_id="branch", tuning_task_id="train", **branches)
    return branch.choose_branch({"ti": _TaskInstance(xcom, map_index)})  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("outcome", "way"), list(zip(TUNING_OUTCOMES, ["a", ["b", "c"], "d", "e", None, "f"], strict=True))
)
def test_each_outcome_of_tuning_has_its_way(outcome: str, way: Any) -> None:
    assert _tuning_choice(_tuning_result(outcome), **EACH_WAY_OF_TUNING) == way


@pytest.mark.parametrize(("rule", "way"), [("best", "d"), ("worst", "e")])
def test_mapped_outcomes_of_tuning_are_decided_by_the_users_rule(rule: str, way: str) -> None:
    results = [_tuning_result(each) for each in ("NoJobSucceeded", "MaxRuntimeExceeded", "Stopped")]

    assert _tuning_choice(results, mapped_outcome=rule, **EACH_WAY_OF_TUNING) == way


def test_result_of_a_training_job_is_no_tuning_result() -> None:
    with pytest.raises(
        SpotTrainingError, match=r"is not a tuning result. It takes the id of a SageMakerSpotTuning"
    ):
        _tuning_choice(_result("Completed"), **EACH_WAY_OF_TUNING)


def test_unknown_outcome_of_tuning_is_refused() -> None:
    with pytest.raises(
        InvalidSpotRequest, match=r"on_max_wait_time_exceeded is no outcome .*on_no_job_succeeded"
    ):
        SageMakerSpotTuningBranchOperator(
            task_id="branch", tuning_task_id="train", on_max_wait_time_exceeded="a"
        )


class _Member:
    """A task instance of a mapped group, whose branch left what it chose."""

    map_index = 2

    def __init__(self, task_id: str, choice: Any) -> None:
        self.task_id = task_id
        self._choice = choice

    def xcom_pull(self, *, task_ids: str, key: str, map_indexes: int) -> Any:
        assert (task_ids, key, map_indexes) == ("group.branch", "skipmixin_key", 2)
        return self._choice


class _Deploy(BaseOperator):
    before = 0

    def pre_execute(self, context: Any) -> None:  # noqa: ARG002 - Airflow's signature
        self.before += 1


def _mapped_dag() -> DAG:
    with DAG("d", schedule=None) as dag:

        @task_group
        def group(number: int) -> None:  # noqa: ARG001 - what it is mapped over
            branch = SageMakerSpotBranchOperator(
                task_id="branch", training_task_id="train", on_completed="group.deploy"
            )
            branch >> [_Deploy(task_id="deploy"), BaseOperator(task_id="demand")]

        group.expand(number=[1, 2, 3])
    dag.resolve_template_files()
    return dag


@pytest.mark.parametrize(("task_id", "runs"), [("group.deploy", True), ("group.demand", False)])
def test_what_is_downstream_in_a_mapped_group_follows_its_own_members_choice(
    task_id: str, runs: bool
) -> None:
    task: Any = _mapped_dag().get_task(task_id)
    context = {"ti": _Member(task_id, {"followed": ["group.deploy"]})}

    with nullcontext() if runs else pytest.raises(AirflowSkipException, match=r"chose group\.deploy"):
        task.pre_execute(context)


@pytest.mark.parametrize("choice", [None, {"skipped": []}, "text"])
def test_without_a_choice_airflow_decides_and_an_operators_own_preparation_is_made(choice: Any) -> None:
    task: Any = _mapped_dag().get_task("group.deploy")

    task.pre_execute({"ti": _Member("group.deploy", choice)})

    assert task.before == 1


def test_outside_of_mapped_groups_tasks_are_left_alone() -> None:
    with DAG("d", schedule=None) as dag:
        branch = SageMakerSpotBranchOperator(task_id="branch", training_task_id="train", on_completed="next")
        branch >> BaseOperator(task_id="next")
    dag.resolve_template_files()

    assert "pre_execute" not in vars(dag.get_task("next"))
