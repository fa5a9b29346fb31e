"""What the sensors of training jobs and of tuning jobs share: wait for a job that is somebody else's, and never stop it."""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.providers.amazon.aws.sensors.base_aws import AwsBaseSensor
from botocore.exceptions import ClientError

from airflow_spot_provider._compat.runs import push_xcom
from airflow_spot_provider._compat.sdk import AirflowSkipException, PokeReturnValue
from airflow_spot_provider.assets import tell_events
from airflow_spot_provider.aws.kinds import Description, Kind
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.operators._job import RESULT_KEY, SAVINGS_KEY
from airflow_spot_provider.training import (
    SpotTrainingResult,
    SpotTuningResult,
    UnacceptedOutcome,
    WatchFailed,
)
from airflow_spot_provider.training.progress import Facts
from airflow_spot_provider.triggers._progress import PROGRESS_KEY

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.links.base_aws import BaseAwsLink
    from airflow.sdk import Context

    from airflow_spot_provider.triggers._watching import WatchingTrigger


class SpotJobSensor(AwsBaseSensor[SageMakerSpotHook]):
    """Wait for a job that something else has started, publish how it went, and accept it or raise.

    It never stops the job, whatever becomes of the task, and puts no tag on it.

    :param job_name: the job's name (templated).
    :param poke_interval: seconds or a timedelta; a change of the job is known within about two of them.
    :param deferrable: False looks from the worker, as ``mode`` says.
    """

    kind: ClassVar[Kind]
    links: ClassVar[tuple[type[BaseAwsLink], ...]]

    aws_hook_class = SageMakerSpotHook

    def __init__(
        self,
        *,
        job_name: str,
        poke_interval: timedelta | float = 30.0,
        deferrable: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.job_name = job_name
        self.deferrable = deferrable
        self._seen = False
        self._described: Description = {}

    @abstractmethod
    def _trigger(self, description: Description) -> WatchingTrigger:
        """What waits for the job.

        :param description: of the job, which has not ended.
        """

    @abstractmethod
    def _finish(self, context: Context, description: Description) -> dict[str, Any]:
        """Publish how the job went, and judge."""

    def execute(self, context: Context) -> Any:
        """Wait for the job, deferred unless told otherwise."""
        for link in self.links:
            link.persist(
                context=context,
                operator=self,
                region_name=self.hook.conn_region_name,
                aws_partition=self.hook.conn_partition,
                job_name=self.job_name,
            )
        if not self.deferrable:
            return super().execute(context)
        # Airflow's scheduler fails a task that resumes at once: a job that has ended is not deferred for.
        looked = self.poke(context)
        if not looked:
            self.defer(
                trigger=self._trigger(self._described),
                method_name=self.execute_complete.__name__,
                timeout=timedelta(seconds=self.timeout),
            )
        return looked.xcom_value

    def poke(self, context: Context) -> PokeReturnValue:
        """Look whether the job has ended.

        :raises JobNotFound: there is no such job.
        :raises WatchFailed: it cannot be described, for a reason that waiting does not mend.
        """
        try:
            description = self.hook.jobs(self.kind).get(self.job_name, just_created=not self._seen)
        except ClientError as error:
            raise self.kind.not_watched(self.job_name, error) from error
        self._seen, self._described = True, description
        if not self.kind.has_ended(description):
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=self._finish(context, description))

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Publish how the job went, and accept it or raise.

        :raises WatchFailed: the trigger had to give up watching.
        """
        if event is None:
            raise WatchFailed("The trigger ended without an event. Retry the task: it goes on waiting.")
        if error := event.get("error"):
            raise WatchFailed(error)
        # The event came from another process: this one sees for itself, in case SageMaker's answer lags behind it.
        return self._finish(context, self.hook.jobs(self.kind).watch(self.job_name, poll_interval=2.0))

    @property
    def _connection(self) -> dict[str, Any]:
        """What a trigger needs to reach SageMaker as this sensor does."""
        return {
            "aws_conn_id": self.aws_conn_id,
            "region_name": self.region_name,
            "verify": self.verify,
            "botocore_config": self.botocore_config,
            "poll_interval": max(1.0, self.poke_interval),
            "cancel_on_kill": False,
            "facts": self._facts.model_dump(mode="json", exclude_defaults=True),
        }

    @property
    def _facts(self) -> Facts:
        return Facts(
            aws_conn_id=self.aws_conn_id,
            region=self.hook.conn_region_name,
            note="Something else has started this job; the task only waits for it.",
            observed=True,
        )

    def _publish(
        self, context: Context, result: SpotTrainingResult | SpotTuningResult, progress: dict[str, Any]
    ) -> None:
        if self.do_xcom_push:
            context["ti"].xcom_push(key=RESULT_KEY, value=result.to_json())
            push_xcom(context["ti"], SAVINGS_KEY, result.savings_percent)
            context["ti"].xcom_push(key=PROGRESS_KEY, value=progress)
        tell_events(context, self.outlets or (), result)

    def _refuse(self, error: UnacceptedOutcome) -> NoReturn:
        """Raise, or skip where the user has asked for that: Airflow itself does so for its own exceptions only."""
        if self.soft_fail or self.never_fail:
            raise AirflowSkipException(str(error)) from error
        raise error
