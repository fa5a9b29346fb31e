"""When a job may end: at MaxWait, at MaxRuntime, or as others of its group did."""

from __future__ import annotations

from airflow_spot_provider.aws.kinds import Description, Kind
from airflow_spot_provider.aws.watching.pace import Durations, Pace
from airflow_spot_provider.training.lifecycle import instant


class Expectations:
    """Tells the pace when jobs of a kind may end.

    :param kind: training jobs or tuning jobs.
    :param pace: gets quick around an expected end.
    """

    def __init__(self, kind: Kind, pace: Pace) -> None:
        self._kind = kind
        self._pace = pace
        self._durations = Durations()

    def learn(self, description: Description, group: str | None, now: float) -> None:
        """Learn how long jobs of this group take, and when this one may end; by differences of SageMaker's own times.

        :param description: a Describe answer.
        :param group: jobs of one group are alike.
        :param now: seconds on the pace's clock.
        """
        created, modified = (instant(description.get(f"{name}Time")) for name in ("Creation", "LastModified"))
        if created is None or modified is None:
            return
        age = (modified - created).total_seconds()
        if self._kind.has_ended(description):
            if group is not None and description.get(self._kind.status) == "Completed":
                self._durations.took(group, age)
            return
        limits = description.get("StoppingCondition") or {}
        left = [limits["MaxWaitTimeInSeconds"] - age] if limits.get("MaxWaitTimeInSeconds") else []
        if limits.get("MaxRuntimeInSeconds") and description.get("SecondaryStatus") == "Training":
            left.append(limits["MaxRuntimeInSeconds"] - (description.get("TrainingTimeInSeconds") or 0))
        if (usual := self._durations.expected(group)) is not None:
            left.append(usual - age)
        for seconds in left:
            if seconds > 0:
                self._pace.expect_end(now + seconds)
