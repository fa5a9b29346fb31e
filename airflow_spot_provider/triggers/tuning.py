"""The trigger for tuning jobs: wait for automatic model tuning in the triggerer, watched as training jobs are."""

from __future__ import annotations

from airflow_spot_provider.aws.kinds import TUNING_JOBS
from airflow_spot_provider.aws.watching.subscription import Sighting
from airflow_spot_provider.training import tuning_progress_of
from airflow_spot_provider.triggers._job import JobTrigger
from airflow_spot_provider.triggers._progress import publisher_of_this_loop


class SageMakerSpotTuningTrigger(JobTrigger):
    """Watch a tuning job until it ends, however long that takes.

    It logs a line whenever the numbers of its training jobs change, publishes them with the best training job so far as XCom
    ``spot_progress``, and ends with one event: ``{"job_name", "status"}``, status
    being HyperParameterTuningJobStatus (``Completed``, ``Failed``, ``Stopped``), or ``{"job_name", "status": None, "error"}`` if
    the job cannot be watched any more.

    :param job_name: HyperParameterTuningJobName.
    :param cancel_on_kill: whether a user's kill of the task stops the job.
    :param try_number: the try of the task that waits; a kill leaves a job alone that a later try has taken over.
    :param connection: ``aws_conn_id``, ``region_name``, ``verify``, ``botocore_config`` and ``poll_interval`` (seconds; a change
        is known within about two of them), as the operators take them.
    """

    kind = TUNING_JOBS
    how_it_ended = "status"

    def tell(self, sighting: Sighting, told: int) -> tuple[int, str | None]:
        """Log how the numbers of its training jobs have changed, and have them published."""
        description = sighting.description
        for line in TUNING_JOBS.sentences(description, told):
            self.logger().info("%s", line)
        ended = TUNING_JOBS.has_ended(description)
        # A summary does not tell the best training job; what a job ends with, the task publishes itself.
        if sighting.whole and not ended and self.task_instance is not None:
            publisher_of_this_loop().publish(
                self.task_instance, tuning_progress_of(description, facts=self.told_facts())
            )
        return told, str(description[TUNING_JOBS.status]) if ended else None
