"""The tuning operator: automatic model tuning on spot, waited for without a worker, with the best job and the savings of all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.amazon.aws.utils.mixins import aws_template_fields

from airflow_spot_provider.aws.kinds import TUNING_JOBS, Description
from airflow_spot_provider.hooks._members import members_of
from airflow_spot_provider.links.sagemaker import SageMakerTuningJobLink, SageMakerTuningLogsLink
from airflow_spot_provider.operators._account import tell_tuning
from airflow_spot_provider.operators._checking import checked_request
from airflow_spot_provider.operators._job import SpotJobOperator
from airflow_spot_provider.operators._metrics import measure
from airflow_spot_provider.operators._outcomes import ACCEPTED_OF_TUNING, checked_tuning_outcomes
from airflow_spot_provider.operators._rendering import is_rendered
from airflow_spot_provider.training import (
    SpotTuningResult,
    TaskIdentity,
    on_demand_tuning_request,
    spot_tuning_request,
    tuning_job_name,
    tuning_progress_of,
)
from airflow_spot_provider.training.exceptions import unaccepted_tuning
from airflow_spot_provider.training.rules import Known
from airflow_spot_provider.training.tuning_progress import instance_type_of
from airflow_spot_provider.training.warm_start import IDENTICAL
from airflow_spot_provider.triggers.tuning import SageMakerSpotTuningTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context


class SageMakerSpotTuningOperator(SpotJobOperator):
    """Tune hyperparameters with Amazon SageMaker automatic model tuning, its training jobs on managed spot capacity.

    The task submits a tuning job, defers until it ends, and publishes a
    :class:`~airflow_spot_provider.training.SpotTuningResult` as JSON to XCom (``return_value``, and the figure over all training jobs
    ``savings_percent`` under that key) **before** it raises for an outcome that is not accepted. The job's name is derived from
    the task instance, so a retry after a crash takes up the job that is there instead of starting a second one.

    .. seealso:: `Automatic model tuning
        <https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning.html>`_

    :param config: members of CreateHyperParameterTuningJob (templated). EnableManagedSpotTraining is put into every definition of training
        jobs; HyperParameterTuningJobName may be left out. Arguments below win over it.
    :param managed_spot: False trains on demand instead, with nothing else changed.
    :param max_wait: MaxWaitTimeInSeconds of every definition, waiting plus running of one training job: seconds or a timedelta (templated).
    :param checkpoint_s3_uri: CheckpointConfig.S3Uri of every definition, ``s3://bucket/prefix`` (templated).
    :param warm_start: tuning jobs to go on from: the output of an earlier tuning task, a tuning job's name, or a list of them
        (templated). None goes on from none.
    :param warm_start_type: ``IdenticalDataAndAlgorithm``, or ``TransferLearning`` where data, image or names of hyperparameters differ.
    :param allow_no_checkpoint: accept a MaxRuntime of more than an hour without checkpoints.
    :param algorithm_checkpoints: whether the algorithm writes checkpoints; None asks the training image's name.
    :param accept: outcomes that let the task succeed; ``Completed`` is always one of them. By default also those that SageMaker itself calls
        Completed and that have a best training job: ``CompletedWithMaxWaitTimeExceeded`` and ``MaxRuntimeExceeded``.
    :param poll_interval: seconds, from 1 to a day; a change of the job is known within about two of them.
    :param cancel_on_kill: whether clearing, failing or succeeding the waiting task stops the job, and with it its training jobs.
    :param deferrable: False waits in the worker.
    :raises InvalidSpotRequest: the request is one that SageMaker would refuse, or that would do harm; at DAG parse for
        literals, in the task for what is templated, and before anything is submitted.
    :raises NoTrainingJobSucceeded, TuningJobStopped, TuningJobFailed, TuningMaxWaitTimeExceeded, TuningMaxRuntimeExceeded: the job
        ended so, and ``accept`` does not name it.
    """

    kind = TUNING_JOBS
    links = (SageMakerTuningJobLink, SageMakerTuningLogsLink)
    template_fields: Sequence[str] = aws_template_fields(
        "config", "max_wait", "checkpoint_s3_uri", "warm_start", "warm_start_type"
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"config": "json", "warm_start": "json"}
    operator_extra_links = (SageMakerTuningJobLink(), SageMakerTuningLogsLink())
    ui_color = "#009e73"
    ui_fgcolor = "#ffffff"

    def __init__(
        self,
        *,
        config: dict[str, Any],
        managed_spot: bool = True,
        max_wait: float | str | timedelta | None = None,
        checkpoint_s3_uri: str | None = None,
        warm_start: Any = None,
        warm_start_type: str = IDENTICAL,
        allow_no_checkpoint: bool = False,
        algorithm_checkpoints: bool | None = None,
        accept: Collection[str] = ACCEPTED_OF_TUNING,
        **kwargs: Any,
    ) -> None:
        super().__init__(config=config, **kwargs)
        self.managed_spot = managed_spot
        self.max_wait = max_wait
        self.checkpoint_s3_uri = checkpoint_s3_uri
        self.warm_start = warm_start
        self.warm_start_type = warm_start_type
        self.allow_no_checkpoint = allow_no_checkpoint
        self.algorithm_checkpoints = algorithm_checkpoints
        self.accept = checked_tuning_outcomes(accept)
        if is_rendered(config):
            self._request(known=is_rendered)

    def _request(self, *, known: Known | None = None) -> dict[str, Any]:
        """The CreateHyperParameterTuningJob request.

        :param known: at DAG parse, what can be looked at already.
        """
        arguments: dict[str, Any] = {
            "max_wait": self.max_wait,
            "checkpoint_s3_uri": self.checkpoint_s3_uri,
            "warm_start": self.warm_start,
            "warm_start_type": self.warm_start_type,
        }
        if known is not None:
            arguments["known"] = known
        build = on_demand_tuning_request
        if self.managed_spot:
            build = partial(
                spot_tuning_request,
                allow_no_checkpoint=self.allow_no_checkpoint,
                algorithm_checkpoints=self.algorithm_checkpoints,
            )
        return checked_request(partial(build, **arguments), self._value("config"), self.kind, known=known)

    def _name(self, task: TaskIdentity, attempt: int, base: str | None) -> str:
        return tuning_job_name(task, attempt, base=base, unique=self.makes_names_unique)

    def _trigger(self, job_name: str) -> SageMakerSpotTuningTrigger:
        return SageMakerSpotTuningTrigger(job_name, **self._connection)

    def _progress(self, description: Description, result: SpotTuningResult | None = None) -> dict[str, Any]:
        return tuning_progress_of(description, facts=self._facts, result=result)

    def _attempt(self, description: Description) -> dict[str, Any]:
        return {"job_name": description[TUNING_JOBS.name], "status": description[TUNING_JOBS.status]}

    def _finish(
        self, context: Context, description: Description, earlier: Iterable[Mapping[str, Any]]
    ) -> dict[str, Any]:
        result = SpotTuningResult.of(
            description,
            members_of(self.hook, description[TUNING_JOBS.name]),
            earlier=[(each["job_name"], each["status"]) for each in earlier],
        )
        self._publish(context, description, result)
        accepted = result.outcome in self.accept
        self._release(context, result.job_arn, accepted=accepted)
        measure(self.log, context, result, instance_type=instance_type_of(description))
        tell_tuning(self.log, result, spot_wanted=self.managed_spot)
        if not accepted:
            raise unaccepted_tuning(result)
        return self._returned(description, result)
