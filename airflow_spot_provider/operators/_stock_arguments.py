"""The arguments of Amazon's SageMakerTrainingOperator and SageMakerTuningOperator, and what they come to here.

Source: `airflow.providers.amazon.aws.operators.sagemaker
<https://airflow.apache.org/docs/apache-airflow-providers-amazon/stable/_api/airflow/providers/amazon/aws/operators/sagemaker/index.html>`_.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from airflow_spot_provider.training import InvalidSpotRequest

DEFAULT_POLL_INTERVAL = 30.0
_ACTIONS = ("timestamp", "fail")


@dataclass(frozen=True, slots=True)
class StockArguments:
    """What a DAG that used the stock operator passes.

    :param wait_for_completion: True; the operator publishes how the job ended, and so it has to wait.
    :param check_interval: seconds: poll_interval.
    :param max_attempts: with check_interval, for how long the task waits at most: execution_timeout.
    :param max_ingestion_time: seconds that the task waits at most: execution_timeout.
    :param check_if_job_exists: whether ``action_if_job_exists`` is looked at.
    :param action_if_job_exists: ``timestamp`` makes a name that is given unique, ``fail`` takes it as it is.
    :raises InvalidSpotRequest: one has no meaning here, or a value that it does not take; with what replaces it.
    """

    wait_for_completion: bool = True
    check_interval: float | None = None
    max_attempts: int | None = None
    max_ingestion_time: float | None = None
    check_if_job_exists: bool = True
    action_if_job_exists: str | None = None

    def __post_init__(self) -> None:
        if problems := list(self._problems()):
            raise InvalidSpotRequest(problems)

    @property
    def makes_names_unique(self) -> bool:
        """Whether a name that the user gives gets a suffix of the task instance's own."""
        return self.check_if_job_exists and self.action_if_job_exists == "timestamp"

    def poll_interval(self, given: float) -> float:
        """Seconds between two looks at the job.

        :param given: the operator's own argument.
        """
        if self.check_interval is None:
            return given
        if given not in (DEFAULT_POLL_INTERVAL, self.check_interval):
            raise InvalidSpotRequest(
                [
                    (
                        f"check_interval is {self.check_interval!r} and poll_interval {given!r}, which mean the same; leave check_interval "
                        "out."
                    )
                ]
            )
        return self.check_interval

    def execution_timeout(self, given: timedelta | None) -> timedelta | None:
        """For how long the task may wait: the shortest of what is said.

        :param given: the operator's own argument.
        """
        limits = [given] if given is not None else []
        if self.max_ingestion_time is not None:
            limits.append(timedelta(seconds=self.max_ingestion_time))
        if self.max_attempts is not None:
            limits.append(
                timedelta(seconds=self.max_attempts * (self.check_interval or DEFAULT_POLL_INTERVAL))
            )
        return min(limits, default=None)

    def _problems(self) -> Iterator[str]:
        if self.wait_for_completion is not True:
            yield (
                f"wait_for_completion is {self.wait_for_completion!r}; this operator takes True alone, as it publishes how the job ended. "
                "It waits without a worker (deferrable=True): leave the argument out, and have no task downstream wait for this one."
            )
        for name, least in (("max_attempts", 1), ("max_ingestion_time", 1), ("check_interval", 1)):
            value = getattr(self, name)
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, int | float) or value < least
            ):
                yield (
                    f"{name} is {value!r}; it takes a number, {least} or more. Leave it out: "
                    f"{'poll_interval' if name == 'check_interval' else 'execution_timeout'} replaces it."
                )
        if self.check_if_job_exists not in (True, False):
            yield f"check_if_job_exists is {self.check_if_job_exists!r}; it takes True or False. Leave it out."
        if self.action_if_job_exists is not None and self.action_if_job_exists not in _ACTIONS:
            yield (
                f"action_if_job_exists is {self.action_if_job_exists!r}; it takes 'timestamp' (a name that is given gets a suffix of "
                "the task instance's own) or 'fail' (it is used as it is). Leave it out for the latter."
            )
