"""The sensor for training jobs that something else has started."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.utils.mixins import aws_template_fields

from airflow_spot_provider.aws.kinds import TRAINING_JOBS, Description
from airflow_spot_provider.links.sagemaker import SageMakerTrainingJobLink, SageMakerTrainingLogsLink
from airflow_spot_provider.operators._account import tell
from airflow_spot_provider.operators._metrics import measure
from airflow_spot_provider.operators._outcomes import checked_outcomes, is_accepted
from airflow_spot_provider.operators._submission import checkpoint_uri
from airflow_spot_provider.operators._while_waiting import (
    checked_care,
    checkpoints_seen,
    repeat_log_and_publish_curves,
)
from airflow_spot_provider.sensors._job import SpotJobSensor
from airflow_spot_provider.training import InvalidSpotRequest, Outcome, SpotTrainingResult, progress_of
from airflow_spot_provider.training.alerts import SpotAlert
from airflow_spot_provider.training.exceptions import unaccepted
from airflow_spot_provider.triggers.training import SageMakerSpotTrainingTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context


class SageMakerSpotTrainingSensor(SpotJobSensor):
    """Wait for a training job that something else has started: a notebook, a pipeline, a tuning job.

    It publishes what :class:`~airflow_spot_provider.operators.training.SageMakerSpotTrainingOperator` publishes (``return_value``,
    ``savings_percent``, and ``spot_progress`` while it waits), before it raises for an outcome that is not accepted. It never stops the
    job, whatever becomes of the task.

    :param job_name: TrainingJobName (templated).
    :param accept: outcomes that let the task succeed; ``Completed`` is always one of them.
    :param print_log: whether the newest 200 lines of the training log are repeated in the task log, and the metric curves in it
        published as XCom ``spot_metrics``.
    :param checkpoint_interval: how often the script is expected to write a checkpoint, seconds or a timedelta; warns when it does not.
    :param alerts: what is called while the job runs.
    :param poke_interval: seconds or a timedelta; a change of the job is known within about two of them.
    :param timeout: seconds or a timedelta that the task waits at most; by default Airflow's ``[sensors] default_timeout``.
    :param soft_fail: skip the task instead of failing it.
    :param deferrable: False looks from the worker, as ``mode`` says.
    :raises TrainingJobNotFound: there is no such job.
    :raises MaxWaitTimeExceeded, MaxRuntimeExceeded, TrainingJobStopped, TrainingJobFailed: the job ended so, and
        ``accept`` does not name it.
    """

    kind = TRAINING_JOBS
    links = (SageMakerTrainingJobLink, SageMakerTrainingLogsLink)
    template_fields: Sequence[str] = aws_template_fields("job_name")
    operator_extra_links = (SageMakerTrainingJobLink(), SageMakerTrainingLogsLink())
    ui_color = "#cce5f6"

    def __init__(
        self,
        *,
        job_name: str,
        accept: Collection[str] = (Outcome.COMPLETED,),
        print_log: bool = True,
        checkpoint_interval: float | timedelta | None = None,
        alerts: Sequence[SpotAlert] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(job_name=job_name, **kwargs)
        self.alerts = alerts
        self.checkpoint_interval, self._conditions = checked_care(
            checkpoint_interval, alerts, deferrable=self.deferrable
        )
        self.accept = checked_outcomes(accept)
        self.print_log = print_log

    def _trigger(self, description: Description) -> SageMakerSpotTrainingTrigger:
        care: dict[str, Any] = {}
        if self.checkpoint_interval is not None:
            if (uri := checkpoint_uri(description)) is None:
                raise InvalidSpotRequest(
                    [
                        (
                            f"checkpoint_interval is given, and {self.job_name} has no checkpoints (CheckpointConfig): leave it out, or have the "
                            "job submitted with them."
                        )
                    ]
                )
            care |= {"checkpoint_interval": self.checkpoint_interval, "checkpoint_s3_uri": uri}
        if self._conditions:
            max_wait = (description.get("StoppingCondition") or {}).get("MaxWaitTimeInSeconds")
            care |= {"alerts": self._conditions, "max_wait": max_wait}
        return SageMakerSpotTrainingTrigger(
            self.job_name, print_log=self.print_log, **care, **self._connection
        )

    def _finish(self, context: Context, description: Description) -> dict[str, Any]:
        resumed_from = self.hook.jobs(self.kind).resumed_from(description)
        result = SpotTrainingResult.of(description, resumed_from=resumed_from)
        result = result.priced(self.hook.price_of(result.instance_type))
        seen = (
            None if self.checkpoint_interval is None else checkpoints_seen(context, self.log, result.job_name)
        )
        progress = progress_of(description, facts=self._facts, result=result, checkpoints=seen)
        self._publish(context, result, progress)
        measure(self.log, context, result, instance_type=result.instance_type)
        # Whether it was to run on spot is not known here: somebody else has asked for it.
        tell(self.log, description, result, spot_wanted=False)
        if self.print_log:
            repeat_log_and_publish_curves(
                context, self.log, self.hook, description, publishes=self.do_xcom_push
            )
        if not is_accepted(result, self.accept):
            self._refuse(unaccepted(result))
        return result.to_json()
