"""The trigger: wait for a training job in the triggerer, holding no worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow_spot_provider.aws.kinds import TRAINING_JOBS
from airflow_spot_provider.aws.watching.subscription import Sighting
from airflow_spot_provider.training import outcome_of, progress_of
from airflow_spot_provider.training.metric_curves import Curves
from airflow_spot_provider.training.narration import sentences_of, sentences_of_summary
from airflow_spot_provider.triggers._job import JobTrigger
from airflow_spot_provider.triggers._looking_after import LookingAfter
from airflow_spot_provider.triggers._progress import METRICS_KEY, publisher_of_this_loop
from airflow_spot_provider.triggers._training_log import TrainingLog


class SageMakerSpotTrainingTrigger(JobTrigger):
    """Watch a training job until it ends, however long that takes.

    It starts again from its arguments at any moment: after a restart, a crash, or in another triggerer. It logs one
    line for each transition and ends with one event: ``{"job_name", "outcome"}``, or ``{"job_name", "outcome": None,
    "error"}`` if the job cannot be watched any more. When a user clears, fails or succeeds the deferred task, it stops the
    job; when the triggerer goes away, it does not.

    :param job_name: TrainingJobName.
    :param cancel_on_kill: whether a user's kill of the task stops the job.
    :param try_number: the try of the task that waits; a kill leaves a job alone that a later try has taken over.
    :param print_log: whether the training log's new lines are repeated in the task's log at each transition, and the metric
        curves in them published as XCom ``spot_metrics``.
    :param checkpoint_interval: seconds between two checkpoints of the script: the checkpoints are looked at while it trains.
    :param checkpoint_s3_uri: where they are, as long as SageMaker has not described the job.
    :param alerts: conditions of :func:`~airflow_spot_provider.training.alerts.checked_alerts`.
    :param max_wait: MaxWaitTimeInSeconds, for alerts, as long as SageMaker has not described the job.
    :param connection: ``aws_conn_id``, ``region_name``, ``verify``, ``botocore_config`` and ``poll_interval`` (seconds; a change
        is known within about two of them), as the operator takes them.
    """

    kind = TRAINING_JOBS
    how_it_ended = "outcome"

    # Thousands wait, and most look after nothing: what they do not have is not kept for each of them.
    checkpoint_interval: float | None = None
    checkpoint_s3_uri: str | None = None
    alerts: Sequence[Mapping[str, Any]] = ()
    max_wait: float | None = None
    _training_log: TrainingLog | None = None
    _looking_after: LookingAfter | None = None
    _latest: dict[str, Any] | None = None
    """What was published last, while there is something to come that is put into it."""

    def __init__(
        self,
        job_name: str,
        *,
        print_log: bool = False,
        checkpoint_interval: float | None = None,
        checkpoint_s3_uri: str | None = None,
        alerts: Sequence[Mapping[str, Any]] = (),
        max_wait: float | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(job_name, **settings)
        self.print_log = print_log
        if checkpoint_interval is not None:
            self.checkpoint_interval = checkpoint_interval
            self.checkpoint_s3_uri = checkpoint_s3_uri
        if alerts:
            self.alerts = alerts
            self.max_wait = max_wait

    def arguments(self) -> dict[str, Any]:
        """The arguments that are this trigger's own."""
        arguments = {**super().arguments(), "print_log": self.print_log}
        if self.checkpoint_interval is not None:
            arguments["checkpoint_interval"] = self.checkpoint_interval
            arguments["checkpoint_s3_uri"] = self.checkpoint_s3_uri
        if self.alerts:
            arguments["alerts"] = list(self.alerts)
            arguments["max_wait"] = self.max_wait
        return arguments

    def tell(self, sighting: Sighting, told: int) -> tuple[int, str | None]:
        """Log what is new, and have it published."""
        description = sighting.description
        outcome = outcome_of(description)
        lines = sentences_of(description, told=told) if sighting.whole else sentences_of_summary(description)
        for line in lines:
            self.logger().info("%s", line)
        if outcome is None:
            # What a job ends with, the task tells and publishes itself.
            self._on_its_way(sighting, first=not told)
        if sighting.whole:
            told += len(lines)
        elif TRAINING_JOBS.is_at_its_beginning(description):
            told = 1
        return told, None if outcome is None else str(outcome)

    def stopped(self) -> None:
        """The trigger waits no more."""
        if self._training_log is not None:
            self._training_log.stop()
        if self._looking_after is not None:
            self._looking_after.stop()

    @property
    def has_published(self) -> bool:
        """Whether there is something that :meth:`publish_also` adds to."""
        return self._latest is not None

    def publish_also(self, earlier: dict[str, Any] | None = None, **news: Any) -> None:
        """Have what was published last published once more, with what is known besides now.

        :param earlier: what was published by a trigger before this one; this one's own counts more.
        """
        latest = self._latest or earlier
        if latest is not None:
            self._latest = {**latest, **news}
            self._publish(self._latest)

    def _on_its_way(self, sighting: Sighting, *, first: bool) -> None:
        description, looking_after = sighting.description, self._looking_after
        if looking_after is None and (self.checkpoint_interval is not None or self.alerts):
            looking_after = self._looking_after = LookingAfter(self)
        if sighting.whole:
            training_log = self._training_log
            progress = progress_of(
                description,
                facts=self.told_facts(),
                checkpoints=None if looking_after is None else looking_after.checkpoints,
                metrics=None if training_log is None else training_log.newest,
            )
            self._latest = progress if looking_after is not None or self._latest is not None else None
            self._publish(progress)
            if self.print_log and not first:
                self._latest = progress
                self._read_on(description)
        if looking_after is not None:
            looking_after.saw(sighting, self._latest, self._now_at_aws())

    def _publish(self, progress: dict[str, Any]) -> None:
        if self.task_instance is not None:
            publisher_of_this_loop().publish(self.task_instance, progress)

    def training_log(self) -> TrainingLog:
        """The one reader of the job's training log, for all that this trigger does with it."""
        if self._training_log is None:
            self._training_log = TrainingLog(self.watcher(), self.job_name, pause=self.poll_interval)
        return self._training_log

    def _read_on(self, description: Mapping[str, Any]) -> None:
        """Repeat the new lines of the training log."""
        training_log = self.training_log()

        def _found(curves: Curves | None) -> None:
            if curves is not None:
                if self.task_instance is not None:
                    publisher_of_this_loop().publish(self.task_instance, curves, METRICS_KEY)
                self.publish_also(metrics=training_log.newest)
            elif self._looking_after is None:
                self._latest = None

        training_log.repeat(self.logger(), description, _found)

    def _now_at_aws(self) -> datetime | None:
        """When AWS answered last; this machine's clock may say something else."""
        return self.watcher().line("sagemaker").told_at
