"""Task groups: the usual shapes of spot training in one call."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from airflow.sdk import BaseOperator, Context, Label, TaskGroup, XComArg

from airflow_spot_provider._compat.sdk import AirflowSkipException
from airflow_spot_provider.aws.ownership import is_stopped_for_next_rung
from airflow_spot_provider.operators._results import pull_results
from airflow_spot_provider.operators.branch import SageMakerSpotBranchOperator
from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.training import (
    InvalidSpotRequest,
    Outcome,
    SpotTrainingError,
    SpotTrainingResult,
)
from airflow_spot_provider.training.progress import Facts
from airflow_spot_provider.training.request import without_spot

Fallback = Literal["on_demand"] | None


class SpotTrainingGroup(TaskGroup):
    """A task group that trains once, on spot or on demand; made by :func:`spot_training_group`."""

    result: BaseOperator

    @property
    def output(self) -> XComArg:
        """The result (SpotTrainingResult as JSON) of whichever training ran."""
        return XComArg(self.result)


def spot_training_group(
    group_id: str,
    config: dict[str, Any],
    *,
    fallback: Fallback = "on_demand",
    max_wait: float | str | timedelta | None = None,
    checkpoint_s3_uri: str | None = None,
    **training: Any,
) -> SpotTrainingGroup:
    """Train on spot, and if MaxWait is over before that is done, finish the same training on demand.

    The tasks are ``train_on_spot``, ``how_it_ended`` (the branch), ``train_on_demand`` and ``result`` (the join). Both
    trainings share the checkpoint prefix, so the second goes on where the first had to stop. Whoever does not want to wait for
    MaxWait can go on with it at once, from the task's page in the Airflow UI.

    :param group_id: id of the task group.
    :param config: members of CreateTrainingJob (templated), for both trainings.
    :param fallback: ``"on_demand"``, or None to fail the group when spot capacity did not suffice.
    :param max_wait: MaxWaitTimeInSeconds of the spot training: seconds or a timedelta.
    :param checkpoint_s3_uri: ``s3://`` prefix of the checkpoints, for both.
    :param training: further arguments of
        :class:`~airflow_spot_provider.operators.training.SageMakerSpotTrainingOperator`, for both.
    :return: the group; ``.output`` is the result of whichever training ran.
    :raises InvalidSpotRequest: an unknown fallback, or what the operator refuses.
    """
    if fallback not in ("on_demand", None):
        raise InvalidSpotRequest([f"fallback is {fallback!r}; it takes 'on_demand' or None."])
    both = {"config": config, "checkpoint_s3_uri": checkpoint_s3_uri, **training}
    group = SpotTrainingGroup(group_id=group_id)
    with group:
        if fallback is None:
            on_spot = SageMakerSpotTrainingOperator(task_id="train_on_spot", max_wait=max_wait, **both)
            group.result = _TrainingResult(task_id="result", training_task_ids=[on_spot.task_id])
            on_spot >> group.result
            return group
        on_spot = _TrainOnSpot(
            task_id="train_on_spot",
            next_rung=group.child_id("train_on_demand"),
            max_wait=max_wait,
            accept=(Outcome.COMPLETED, Outcome.MAX_WAIT_TIME_EXCEEDED),
            **both,
        )
        on_demand = _TrainOnDemand(task_id="train_on_demand", spot_task_id=on_spot.task_id, **both)
        group.result = _TrainingResult(
            task_id="result",
            training_task_ids=[on_spot.task_id, on_demand.task_id],
            # Up to 3.3.1, Airflow skips none_failed_min_one_success in a mapped group before it expands (apache/airflow#69377).
            trigger_rule="none_failed",
        )
        how_it_ended = SageMakerSpotBranchOperator(
            task_id="how_it_ended",
            training_task_id=on_spot.task_id,
            on_completed=group.result.task_id,
            on_max_wait_time_exceeded=on_demand.task_id,
            on_stopped=on_demand.task_id,  # the training succeeds as Stopped only where that was asked for
            trigger_rule="all_success",
        )
        on_spot >> how_it_ended
        how_it_ended >> Label(Outcome.COMPLETED) >> group.result
        how_it_ended >> Label(Outcome.MAX_WAIT_TIME_EXCEEDED) >> on_demand >> group.result
    return group


class _TrainOnSpot(SageMakerSpotTrainingOperator):
    """The training on spot. A user who does not want to wait any longer can have the next task go on from its checkpoint.

    :param next_rung: id of the task that goes on.
    """

    def __init__(self, *, next_rung: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.next_rung = next_rung

    @property
    def _facts(self) -> Facts:
        return super()._facts.model_copy(update={"next_rung": self.next_rung})

    def _accepts(self, result: SpotTrainingResult) -> bool:
        if super()._accepts(result):
            return True
        if result.outcome is not Outcome.STOPPED or not is_stopped_for_next_rung(self._jobs, result.job_arn):
            return False
        self.log.info("The job was stopped for %s to go on from its checkpoint.", self.next_rung)
        return True


class _TrainOnDemand(SageMakerSpotTrainingOperator):
    """The same training on demand, from the config of the spot training.

    :param spot_task_id: id of the spot training. Where that has completed, this one is skipped, whatever Airflow made of the branch:
        it does not follow a branch's skips in a mapped group (apache/airflow#65745).
    """

    custom_operator_name = "Training on demand"
    ui_color = "#e69f00"
    ui_fgcolor = "#000000"

    def __init__(self, *, spot_task_id: str, config: dict[str, Any], **kwargs: Any) -> None:
        kwargs["managed_spot"] = False
        super().__init__(
            config=without_spot(config) if isinstance(config, dict) else config,
            **kwargs,
        )
        self.spot_task_id = spot_task_id

    def _checkpoint_template(self) -> None:
        """It is the spot training's, which says what there is to say about it."""

    def execute(self, context: Context) -> dict[str, Any]:
        for result in pull_results(context, self.spot_task_id):
            if result.outcome is Outcome.COMPLETED:
                raise AirflowSkipException(f"{self.spot_task_id} completed: there is nothing left to train.")
        # A config that was a template is known only now.
        if "config" in self._unmasked:
            self._unmasked["config"] = _on_demand(self._unmasked["config"])
        return super().execute(context)


class _TrainingResult(BaseOperator):
    """Pass on the result of the training that was done.

    :param training_task_ids: the trainings, in the order in which they were tried.
    """

    custom_operator_name = "Training result"

    def __init__(self, *, training_task_ids: list[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.training_task_ids = training_task_ids

    def execute(self, context: Context) -> dict[str, Any]:
        # The first that completed, not the newest XCom: a cleared group may hold one of an earlier round.
        results = [result for task_id in self.training_task_ids for result in pull_results(context, task_id)]
        for result in results:
            if result.outcome is Outcome.COMPLETED:
                return result.to_json()
        if not results:
            raise AirflowSkipException(f"None of {self.training_task_ids} trained: they were skipped.")
        raise SpotTrainingError(f"None of {self.training_task_ids} completed; their logs say why.")


def _on_demand(config: Any) -> Any:
    return without_spot(config) if isinstance(config, dict) else config
