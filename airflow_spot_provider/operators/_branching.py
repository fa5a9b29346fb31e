"""What the branches on training tasks and on tuning tasks share: choose what runs next by an outcome."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from airflow_spot_provider._compat.sdk import AirflowSkipException, BaseBranchOperator
from airflow_spot_provider.training import InvalidSpotRequest, SpotTrainingError

if TYPE_CHECKING:
    from airflow.sdk import Context

Branch = str | Sequence[str] | None
MappedOutcome = Literal["same", "best", "worst"]
_CHOICE = "skipmixin_key"
"""The XCom in which a branch of Airflow's leaves what it chose, for the scheduler to skip what is cleared later:
``{"followed": [task ids]}``, of all that is directly downstream."""


class OutcomeBranchOperator(BaseBranchOperator):
    """Choose what runs next by how the job of another task ended.

    :param branches: where to go by outcome; the outcomes in order, the best first.
    :param job_task_id: id of the task whose job it is.
    :param mapped_outcome: which outcome counts when that task is mapped.
    """

    ui_color = "#56b4e9"
    arguments: ClassVar[tuple[str, ...]]
    """The arguments that say where to go."""

    def __init__(
        self,
        *,
        branches: Mapping[Any, Branch],
        job_task_id: str,
        mapped_outcome: MappedOutcome = "same",
        **kwargs: Any,
    ) -> None:
        if unknown := sorted(
            key for key in kwargs if key.startswith("on_") and not key.endswith("_callback")
        ):
            raise InvalidSpotRequest(
                [f"{', '.join(unknown)} is no outcome to branch on; there are {list(self.arguments)}."]
            )
        kwargs.setdefault("trigger_rule", "all_done")
        super().__init__(**kwargs)
        self.mapped_outcome = mapped_outcome
        self._branches = dict(branches)
        self._job_task_id = job_task_id
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

    @abstractmethod
    def outcomes(self, context: Context) -> list[Any]:
        """How the task's jobs ended: one, or one for each map index; none if it left no result."""

    def choose_branch(self, context: Context) -> str | Iterable[str] | None:
        """The task ids to go on with."""
        outcome = self._outcome(context)
        branch = self._branches[outcome]
        self.log.info("%s ended as %s: %s", self._job_task_id, outcome, branch or "nothing follows")
        return branch if branch is None or isinstance(branch, str) else list(branch)

    def resolve_template_files(self) -> None:
        """Check the targets, and see to it that a mapped task group follows the choice: this is the one call that Airflow makes on each
        task when the DAG is complete.

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
        if self.get_closest_mapped_task_group() is not None:
            for task in self.downstream_list:
                _follow(task, self.task_id)

    def _outcome(self, context: Context) -> Any:
        outcomes = self.outcomes(context)
        if not outcomes:
            raise SpotTrainingError(
                f"{self._job_task_id} left no result to branch on: it failed before its job ended, was marked or "
                "skipped by hand, or has do_xcom_push=False. Its log says which; clear it to start anew."
            )
        counts = Counter(outcomes)
        if len(counts) == 1 or self.mapped_outcome != "same":
            return (max if self.mapped_outcome == "worst" else min)(outcomes, key=list(self._branches).index)
        listed = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
        raise SpotTrainingError(
            f"The mapped tasks of {self._job_task_id} do not agree on an outcome ({listed}). Choose which counts with "
            "mapped_outcome='best' or 'worst', or branch inside a mapped task group."
        )


def _follow(task: Any, branch_task_id: str) -> None:
    """Have a task of a mapped task group skip itself where the branch of its own map index chose another way.

    Airflow leaves that to a check of its scheduler, which looks for the choice at another map index and does not find it (to 3.3.2
    at least: apache/airflow#39801, #65745, #67265), so that all that is downstream of the branch would run.
    """
    before = task.pre_execute

    def pre_execute(context: Context) -> None:
        ti = context["ti"]
        choice = ti.xcom_pull(task_ids=branch_task_id, key=_CHOICE, map_indexes=ti.map_index)
        followed = choice.get("followed") if isinstance(choice, Mapping) else None
        if followed is not None and ti.task_id not in followed:
            raise AirflowSkipException(
                f"{branch_task_id} chose {', '.join(followed) or 'none of what is downstream of it'}."
            )
        before(context)

    task.pre_execute = pre_execute


def _listed(branch: Any) -> Iterator[Any]:
    if branch is None:
        return iter(())
    return iter([branch] if isinstance(branch, str) or not isinstance(branch, Iterable) else branch)


def _not_downstream(task_id: str, target: str, outcome: str, downstream: set[str]) -> str:
    return (
        f"{task_id} branches to {target!r} on {outcome}, which is not directly downstream of it; downstream are "
        f"{sorted(downstream) or 'no tasks'}. Set {task_id} >> {target}, with the ids of its task groups."
    )
