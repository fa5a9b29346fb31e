"""The sensor for tuning jobs that something else has started."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.utils.mixins import aws_template_fields

from airflow_spot_provider.aws.kinds import TUNING_JOBS, Description
from airflow_spot_provider.hooks._members import members_of
from airflow_spot_provider.links.sagemaker import SageMakerTuningJobLink, SageMakerTuningLogsLink
from airflow_spot_provider.operators._account import tell_tuning
from airflow_spot_provider.operators._metrics import measure
from airflow_spot_provider.operators._outcomes import ACCEPTED_OF_TUNING, checked_tuning_outcomes
from airflow_spot_provider.sensors._job import SpotJobSensor
from airflow_spot_provider.training import SpotTuningResult, tuning_progress_of
from airflow_spot_provider.training.exceptions import unaccepted_tuning
from airflow_spot_provider.training.tuning_progress import instance_type_of
from airflow_spot_provider.triggers.tuning import SageMakerSpotTuningTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context


class SageMakerSpotTuningSensor(SpotJobSensor):
    """Wait for a tuning job that something else has started, such as the SageMaker SDK's HyperparameterTuner.

    It publishes what :class:`~airflow_spot_provider.operators.tuning.SageMakerSpotTuningOperator` publishes (``return_value``,
    ``savings_percent``, and ``spot_progress`` while it waits), before it raises for an outcome that is not accepted. It never stops the
    job, whatever becomes of the task.

    :param job_name: HyperParameterTuningJobName (templated).
    :param accept: outcomes that let the task succeed, as the operator takes them.
    :param poke_interval: seconds or a timedelta; a change of the job is known within about two of them.
    :param timeout: seconds or a timedelta that the task waits at most; by default Airflow's ``[sensors] default_timeout``.
    :param soft_fail: skip the task instead of failing it.
    :param deferrable: False looks from the worker, as ``mode`` says.
    :raises TuningJobNotFound: there is no such job.
    :raises NoTrainingJobSucceeded, TuningJobStopped, TuningJobFailed, TuningMaxWaitTimeExceeded, TuningMaxRuntimeExceeded: the job
        ended so, and ``accept`` does not name it.
    """

    kind = TUNING_JOBS
    links = (SageMakerTuningJobLink, SageMakerTuningLogsLink)
    template_fields: Sequence[str] = aws_template_fields("job_name")
    operator_extra_links = (SageMakerTuningJobLink(), SageMakerTuningLogsLink())
    ui_color = "#ccece3"

    def __init__(self, *, job_name: str, accept: Collection[str] = ACCEPTED_OF_TUNING, **kwargs: Any) -> None:
        super().__init__(job_name=job_name, **kwargs)
        self.accept = checked_tuning_outcomes(accept)

    def _trigger(self, description: Description) -> SageMakerSpotTuningTrigger:  # noqa: ARG002 - the name says it all
        return SageMakerSpotTuningTrigger(self.job_name, **self._connection)

    def _finish(self, context: Context, description: Description) -> dict[str, Any]:
        result = SpotTuningResult.of(description, members_of(self.hook, description[TUNING_JOBS.name]))
        self._publish(context, result, tuning_progress_of(description, facts=self._facts, result=result))
        measure(self.log, context, result, instance_type=instance_type_of(description))
        # Whether it was to run on spot is not known here: somebody else has asked for it.
        tell_tuning(self.log, result, spot_wanted=False)
        if result.outcome not in self.accept:
            self._refuse(unaccepted_tuning(result))
        return result.to_json()
