"""The branch operator: go on by how a training job ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow.providers.common.compat.sdk import BaseBranchOperator

from airflow_spot_provider.operators._results import pull_results
from airflow_spot_provider.training import (
    InvalidSpotRequest,
    Outcome,
    SpotTrainingError,
    SpotTrainingResult,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

Branch = str | Sequence[str] | None
MappedOutcome = Literal["same", "best", "worst"]

_BEST_FIRST = (
    Outcome.COMPLETED,
    Outcome.MAX_RUNTIME_EXCEEDED,
    Outcome.MAX_WAIT_TIME_EXCEEDED,
    Outcome.STOPPED,
    Outcome.FAILED,
)


class SageMakerSpotBranchOperator(BaseBranchOperator):
    """Choose what runs next by the outcome of a training task.

    Each ``on_...`` takes the id of a task or task group directly downstream of this one, a list of them, or None to skip
    all that is downstream. Runs whether the training task succeeded or failed (``trigger_rule="all_done"``): its result is
    published either way.

    :param training_task_id: id of the :class:`~airflow_spot_provider.operators.training.SageMakerSpotTrainingOperator`
        task, with its task groups.
    :param on_completed: where to go when the job completed.
    :param on_max_wait_time_exceeded: where to go when MaxWait was over: spot capacity did not suffice.
    :param on_max_runtime_exceeded: where to go when MaxRuntime was over.
    :param on_stopped: where to go when somebody stopped the job.
    :param on_failed: where to go when the training failed.
    :param mapped_outcome: which outcome counts when the training task is mapped. ``same``: all must agree; ``best`` or
        ``worst`` of them, in the order Completed, MaxRuntimeExceeded, MaxWaitTimeExceeded, Stopped, Failed.
    :raises InvalidSpotRequest: at DAG parse: an unknown ``mapped_outcome``, a target of another type, or one that is not
        directly downstream.
    :raises SpotTrainingError: the training task left no result, or mapped ones disagree with ``same``.
    """

    ui_color = "#56b4e9"

    def __init__(
        self,
        *,
        training_task_id: str,
        on_completed: Branch = None,
        on_max_wait_time_exceeded: Branch = None,
        on_max_runtime_exceeded: Branch = None,
        on_stopped: Branch = None,
        on_failed: Branch = None,
        mapped_outcome: MappedOutcome = "same",
        **kwargs: Any,
    ) -> None:
        if unknown := sorted(
            key for key in kwargs if key.startswith("on_") and not key.endswith("_callback")
        ):
            allowed = [f"on_{name}" for name in ("completed", *_ARGUMENTS)]
            raise InvalidSpotRequest(
                [f"{', '.join(unknown)} is no outcome to branch on; there are {allowed}."]
            )
        kwargs.setdefault("trigger_rule", "all_done")
        super().__init__(**kwargs)
        self.training_task_id = training_task_id
        self.on_completed = on_completed
        self.on_max_wait_time_exceeded = on_max_wait_time_exceeded
        self.on_max_runtime_exceeded = on_max_runtime_exceeded
        self.on_stopped = on_stopped
        self.on_failed = on_failed
        self.mapped_outcome = mapped_outcome
        if mapped_outcome not in get_args(MappedOutcome):
            raise InvalidSpotRequest(
                [f"mapped_outcome is {mapped_outcome!r}; it takes one of {list(get_args(MappedOutcome))}."]
            )
        for outcome, branch in self._branches.items():
            if not all(isinstance(target, str) for target in _listed(branch)):
                raise InvalidSpotRequest(
                    [
                        f"The branch for {outcome} is {branch!r}; it takes a task id, a list of task ids, or None."
                    ]
                )

    def choose_branch(self, context: Context) -> str | Iterable[str] | None:
        """The task ids to go on with."""
        outcome = self._outcome(context)
        branch = self._branches[outcome]
        self.log.info(
            "%s ended as %s: %s",
            self.training_task_id,
            outcome,
            branch or "nothing follows",
        )
        return branch if branch is None or isinstance(branch, str) else list(branch)

    def resolve_template_files(self) -> None:
        """Check the targets: this is the one call that Airflow makes on each task when the DAG is complete.

        :raises InvalidSpotRequest: a target is not directly downstream, so that choosing it would skip it.
        """
        super().resolve_template_files()
        downstream = set(self.downstream_task_ids)
        groups = self.dag.task_group_dict
        for outcome, branch in self._branches.items():
            for target in _listed(branch):
                group = groups.get(target)
                wanted = {root.task_id for root in group.get_roots()} if group else {target}
                if not wanted <= downstream:
                    raise InvalidSpotRequest([_not_downstream(self.task_id, target, outcome, downstream)])

    @property
    def _branches(self) -> dict[Outcome, Branch]:
        return {
            Outcome.COMPLETED: self.on_completed,
            Outcome.MAX_WAIT_TIME_EXCEEDED: self.on_max_wait_time_exceeded,
            Outcome.MAX_RUNTIME_EXCEEDED: self.on_max_runtime_exceeded,
            Outcome.STOPPED: self.on_stopped,
            Outcome.FAILED: self.on_failed,
        }

    def _outcome(self, context: Context) -> Outcome:
        outcomes = [result.outcome for result in self._results(context)]
        counts = Counter(outcomes)
        if len(counts) == 1 or self.mapped_outcome != "same":
            return (max if self.mapped_outcome == "worst" else min)(outcomes, key=_BEST_FIRST.index)
        listed = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
        raise SpotTrainingError(
            f"The mapped tasks of {self.training_task_id} do not agree on an outcome ({listed}). Choose which counts with "
            "mapped_outcome='best' or 'worst', or branch inside a mapped task group."
        )

    def _results(self, context: Context) -> list[SpotTrainingResult]:
        results = pull_results(context, self.training_task_id)
        if not results:
            raise SpotTrainingError(
                f"{self.training_task_id} left no result to branch on: it failed before its job ended, was marked or "
                "skipped by hand, or has do_xcom_push=False. Its log says which; clear it to train again."
            )
        return results


_ARGUMENTS = ("max_wait_time_exceeded", "max_runtime_exceeded", "stopped", "failed")


def _listed(branch: Any) -> Iterator[Any]:
    if branch is None:
        return iter(())
    return iter([branch] if isinstance(branch, str) or not isinstance(branch, Iterable) else branch)


def _not_downstream(task_id: str, target: str, outcome: Outcome, downstream: set[str]) -> str:
    return (
        f"{task_id} branches to {target!r} on {outcome}, which is not directly downstream of it; downstream are "
        f"{sorted(downstream) or 'no tasks'}. Set {task_id} >> {target}, with the ids of its task groups."
    )
