"""The trigger: wait for a training job in the triggerer, holding no worker."""

from __future__ import annotations

from typing import Any

from airflow_spot_provider.aws.kinds import TRAINING_JOBS
from airflow_spot_provider.aws.watching.subscription import Sighting
from airflow_spot_provider.training import outcome_of, progress_of
from airflow_spot_provider.training.narration import sentences_of, sentences_of_summary
from airflow_spot_provider.triggers._job import JobTrigger
from airflow_spot_provider.triggers._progress import publisher_of_this_loop
from airflow_spot_provider.triggers._training_log import NewLogLines


class SageMakerSpotTrainingTrigger(JobTrigger):
    """Watch a training job until it ends, however long that takes.

    It starts again from its arguments at any moment: after a restart, a crash, or in another triggerer. It logs one
    line for each transition and ends with one event: ``{"job_name", "outcome"}``, or ``{"job_name", "outcome": None,
    "error"}`` if the job cannot be watched any more. When a user clears, fails or succeeds the deferred task, it stops the
    job; when the triggerer goes away, it does not.

    :param job_name: TrainingJobName.
    :param cancel_on_kill: whether a user's kill of the task stops the job.
    :param try_number: the try of the task that waits; a kill leaves a job alone that a later try has taken over.
    :param print_log: whether the training log's new lines are repeated in the task's log at each transition.
    :param connection: ``aws_conn_id``, ``region_name``, ``verify``, ``botocore_config`` and ``poll_interval`` (seconds; a change
        is known within about two of them), as the operator takes them.
    """

    kind = TRAINING_JOBS
    how_it_ended = "outcome"

    def __init__(self, job_name: str, *, print_log: bool = False, **settings: Any) -> None:
        super().__init__(job_name, **settings)
        self.print_log = print_log
        self._training_log: NewLogLines | None = None

    def arguments(self) -> dict[str, Any]:
        """The arguments that are this trigger's own."""
        return {**super().arguments(), "print_log": self.print_log}

    def tell(self, sighting: Sighting, told: int) -> tuple[int, str | None]:
        """Log what is new, and have it published."""
        description = sighting.description
        outcome = outcome_of(description)
        lines = sentences_of(description, told=told) if sighting.whole else sentences_of_summary(description)
        for line in lines:
            self.logger().info("%s", line)
        if outcome is None and sighting.whole:
            # What a job ends with, the task tells and publishes itself.
            if self.print_log and told:
                if self._training_log is None:
                    self._training_log = NewLogLines(self.watcher(), self.job_name)
                self._training_log.repeat(self.logger())
            if self.task_instance is not None:
                publisher_of_this_loop().publish(
                    self.task_instance, progress_of(description, facts=self.told_facts())
                )
        if sighting.whole:
            told += len(lines)
        elif TRAINING_JOBS.is_at_its_beginning(description):
            told = 1
        return told, None if outcome is None else str(outcome)

    def stopped(self) -> None:
        """The trigger waits no more."""
        if self._training_log is not None:
            self._training_log.stop()
