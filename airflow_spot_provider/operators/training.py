"""The training operator: submit a spot training job, wait for it without a worker, publish how it went."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.providers.common.compat.sdk import conf
from botocore.exceptions import ClientError

from airflow_spot_provider._compat import TaskDeferralError, TaskDeferralTimeout
from airflow_spot_provider.aws.ownership import release, stop_unless_taken_over
from airflow_spot_provider.aws.watch import Log, Watch, watch_blocking
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.links.sagemaker import (
    SageMakerTrainingJobLink,
    SageMakerTrainingLogsLink,
)
from airflow_spot_provider.operators._account import repeat_training_log, tell
from airflow_spot_provider.operators._rendering import (
    is_rendered,
    masked_config,
    masked_values,
)
from airflow_spot_provider.operators._submission import (
    Found,
    Submitted,
    newest_job,
    submit,
)
from airflow_spot_provider.training import (
    Attempt,
    InvalidSpotRequest,
    Outcome,
    SpotTrainingResult,
    TaskIdentity,
    WatchFailed,
    on_demand_request,
    progress_of,
    spot_request,
)
from airflow_spot_provider.training.exceptions import unaccepted
from airflow_spot_provider.training.rules import Known
from airflow_spot_provider.triggers._progress import PROGRESS_KEY
from airflow_spot_provider.triggers.training import SageMakerSpotTrainingTrigger

if TYPE_CHECKING:
    import jinja2
    from airflow.sdk import Context

RESULT_KEY = "return_value"
SAVINGS_KEY = "savings_percent"
_LONGEST_INTERVAL = 86_400


class SageMakerSpotTrainingOperator(AwsBaseOperator[SageMakerSpotHook]):
    """Train on Amazon SageMaker managed spot capacity.

    The task submits a training job, defers until it ends, and publishes a
    :class:`~airflow_spot_provider.training.SpotTrainingResult` as JSON to XCom (``return_value``, and the figure
    ``savings_percent`` under that key) **before** it raises for an outcome that is not accepted. The job's name is derived from
    the task instance, so a retry after a crash takes up the job that is there instead of starting a second one.

    .. seealso:: `Managed Spot Training
        <https://docs.aws.amazon.com/sagemaker/latest/dg/model-managed-spot-training.html>`_

    :param config: members of CreateTrainingJob (templated). EnableManagedSpotTraining is put in; TrainingJobName
        may be left out. Arguments below win over it.
    :param managed_spot: False trains on demand instead, with nothing else changed.
    :param max_wait: MaxWaitTimeInSeconds, waiting plus running: seconds or a timedelta (templated).
    :param checkpoint_s3_uri: CheckpointConfig.S3Uri, ``s3://bucket/prefix`` (templated).
    :param hyperparameters: merged into HyperParameters; numbers become strings (templated).
    :param instance_type: ResourceConfig.InstanceType (templated).
    :param allow_no_checkpoint: accept a MaxRuntime of more than an hour without checkpoints.
    :param algorithm_checkpoints: whether the algorithm writes checkpoints; None asks the training image's name.
    :param accept: outcomes that let the task succeed; ``Completed`` is always one of them.
    :param poll_interval: seconds, from 1 to a day; a change of the job is known within about two of them.
    :param cancel_on_kill: whether clearing, failing or succeeding the waiting task stops the job.
    :param print_log: whether the newest 200 lines of the training log are repeated in the task log.
    :param deferrable: False waits in the worker.
    :raises InvalidSpotRequest: the request is one that SageMaker would refuse, or that would do harm; at DAG parse for
        literals, in the task for what is templated, and before anything is submitted.
    :raises MaxWaitTimeExceeded, MaxRuntimeExceeded, TrainingJobStopped, TrainingJobFailed: the job ended so, and
        ``accept`` does not name it.
    """

    aws_hook_class = SageMakerSpotHook
    template_fields: Sequence[str] = aws_template_fields(
        "config", "hyperparameters", "max_wait", "checkpoint_s3_uri", "instance_type"
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "config": "json",
        "hyperparameters": "json",
    }
    operator_extra_links = (SageMakerTrainingJobLink(), SageMakerTrainingLogsLink())
    ui_color = "#0072b2"
    ui_fgcolor = "#ffffff"

    def __init__(
        self,
        *,
        config: dict[str, Any],
        managed_spot: bool = True,
        max_wait: float | str | timedelta | None = None,
        checkpoint_s3_uri: str | None = None,
        hyperparameters: dict[str, Any] | None = None,
        instance_type: str | None = None,
        allow_no_checkpoint: bool = False,
        algorithm_checkpoints: bool | None = None,
        accept: Collection[str] = (Outcome.COMPLETED,),
        poll_interval: float = 30.0,
        cancel_on_kill: bool = True,
        print_log: bool = True,
        deferrable: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.managed_spot = managed_spot
        self.max_wait = max_wait
        self.checkpoint_s3_uri = checkpoint_s3_uri
        self.hyperparameters = hyperparameters
        self.instance_type = instance_type
        self.allow_no_checkpoint = allow_no_checkpoint
        self.algorithm_checkpoints = algorithm_checkpoints
        self.accept = _checked_outcomes(accept)
        self.poll_interval = _checked_interval(poll_interval)
        self.cancel_on_kill = cancel_on_kill
        self.print_log = print_log
        self.deferrable = deferrable
        self._unmasked: dict[str, Any] = {}
        self._task: TaskIdentity | None = None
        self._job_name: str | None = None
        self._try_number = 0
        if is_rendered(config):
            self._request(known=is_rendered)

    def execute(self, context: Context) -> dict[str, Any]:
        """Submit the job, or take up the one that is there; then wait for it, deferred unless told otherwise."""
        request = self._request()
        while True:
            submitted = self._submit(context, request)
            earlier = [attempt.model_dump(mode="json") for attempt in submitted.earlier]
            killed = submitted.found is Found.KILLED_JOB
            # Airflow's scheduler fails a task that resumes at once: a job that has ended is not deferred for.
            if self.deferrable and submitted.found is not Found.ENDED_JOB:
                if self.do_xcom_push:
                    begun = {"TrainingJobName": submitted.job_name}
                    context["ti"].xcom_push(key=PROGRESS_KEY, value=progress_of(begun))
                self.defer(
                    trigger=self._trigger(submitted.job_name),
                    method_name=self.submit_again.__name__ if killed else self.execute_complete.__name__,
                    kwargs=None if killed else {"earlier": earlier},
                    timeout=self.execution_timeout,
                )
            description = self._watch(submitted.job_name, self.poll_interval, self.log)
            if not killed:
                return self._finish(context, description, earlier)

    def execute_complete(
        self,
        context: Context,
        event: dict[str, Any] | None = None,
        earlier: Iterable[Mapping[str, Any]] = (),
    ) -> dict[str, Any]:
        """Publish how the job went, and accept it or raise. The trigger's event says which job ended.

        :raises WatchFailed: the trigger had to give up watching.
        """
        job_name = self._ended_job(context, event)
        # The event came from another process: this one sees for itself, in case SageMaker's answer lags behind it.
        return self._finish(context, self._watch(job_name, 2.0, None), earlier)

    def submit_again(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Go on once a job that a user had killed has ended: only now may this task have another."""
        self._ended_job(context, event)
        return self.execute(context)

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context
    ) -> dict[str, Any]:
        """Airflow's entry after a deferral. Whoever stops waiting for a job stops the job."""
        try:
            result: dict[str, Any] = super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            self._stop_waited_for(context, "The task's execution_timeout is over")
            raise
        except TaskDeferralError:
            self._stop_if_last_try(context)
            raise
        return result

    def on_kill(self) -> None:
        """Stop the job when the task is killed while a worker has it."""
        if self._job_name is None or not self.cancel_on_kill:
            return
        self.log.info(
            "The task was killed: stopping %s, so that it bills no more.",
            self._job_name,
        )
        stop_unless_taken_over(self.hook, self._job_name, try_number=self._try_number, task=self._task)

    def _request(self, *, known: Known | None = None) -> dict[str, Any]:
        """The CreateTrainingJob request.

        :param known: at DAG parse, what can be looked at already.
        """
        values = {
            name: self._unmasked.get(name, getattr(self, name)) for name in ("config", "hyperparameters")
        }
        arguments: dict[str, Any] = {
            "max_wait": self.max_wait,
            "checkpoint_s3_uri": self.checkpoint_s3_uri,
            "hyperparameters": values["hyperparameters"],
            "instance_type": self.instance_type,
        }
        if known is not None:
            arguments["known"] = known
        if not self.managed_spot:
            return on_demand_request(values["config"], **arguments)
        return spot_request(
            values["config"],
            allow_no_checkpoint=self.allow_no_checkpoint,
            algorithm_checkpoints=self.algorithm_checkpoints,
            **arguments,
        )

    def _submit(self, context: Context, request: Mapping[str, Any]) -> Submitted:
        self._identify(context)
        assert self._task is not None
        submitted = submit(
            self.hook,
            request,
            self._task,
            try_number=self._try_number,
            about_to_create=self._set_job_name,
        )
        messages = {
            Found.NOTHING: "Submitted training job %s.",
            Found.OWN_JOB: "Training job %s of this task is there already, from an earlier try: taking it up.",
            Found.ENDED_JOB: "Training job %s of this task has ended already, unseen by an earlier try.",
            Found.KILLED_JOB: "Training job %s was killed and is still ending; a new one follows when it has.",
        }
        self.log.info(messages[submitted.found], submitted.job_name)
        for link in (SageMakerTrainingJobLink, SageMakerTrainingLogsLink):
            link.persist(
                context=context,
                operator=self,
                region_name=self.hook.conn_region_name,
                aws_partition=self.hook.conn_partition,
                job_name=submitted.job_name,
            )
        return submitted

    def _identify(self, context: Context) -> TaskIdentity:
        """Whose job it is; kept for a kill, which comes without a context."""
        ti = context["ti"]
        self._try_number = ti.try_number
        self._task = TaskIdentity(
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            task_id=ti.task_id,
            map_index=ti.map_index if ti.map_index is not None else -1,
            deployment=conf.get("airflow_spot", "deployment", fallback=""),
        )
        return self._task

    def _set_job_name(self, job_name: str) -> None:
        self._job_name = job_name

    def _trigger(self, job_name: str) -> SageMakerSpotTrainingTrigger:
        return SageMakerSpotTrainingTrigger(
            job_name,
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name,
            verify=self.verify,
            botocore_config=self.botocore_config,
            poll_interval=self.poll_interval,
            cancel_on_kill=self.cancel_on_kill,
            try_number=self._try_number,
            print_log=self.print_log,
        )

    def _watch(self, job_name: str, poll_interval: float, log: Log | None) -> Mapping[str, Any]:
        jitter = random.Random()
        watch = Watch(job_name, poll_interval=poll_interval, log=log, jitter=jitter)
        return watch_blocking(watch, self.hook.describe_training_job, job_name)

    def _ended_job(self, context: Context, event: dict[str, Any] | None) -> str:
        if event is None:
            raise WatchFailed(
                "The trigger ended without an event. Retry the task: it takes up the job that is there."
            )
        if error := event.get("error"):
            self._stop_if_last_try(context)
            raise WatchFailed(error)
        return str(event["job_name"])

    def _finish(
        self,
        context: Context,
        description: Mapping[str, Any],
        earlier: Iterable[Mapping[str, Any]],
    ) -> dict[str, Any]:
        """Publish first, then say that it was published, then judge."""
        result = SpotTrainingResult.of(
            description, earlier=[Attempt.model_validate(each) for each in earlier]
        )
        if self.do_xcom_push:
            context["ti"].xcom_push(key=RESULT_KEY, value=result.to_json())
            context["ti"].xcom_push(key=SAVINGS_KEY, value=result.savings_percent)
        try:
            release(self.hook, result.job_arn, "published")
        except ClientError as error:
            self.log.warning(
                "The job could not be tagged (%s): clearing this task would take up this result again instead of "
                "training anew. Grant sagemaker:AddTags.",
                error,
            )
        tell(self.log, description, result, spot_wanted=self.managed_spot)
        if self.print_log:
            repeat_training_log(self.log, self.hook, result.job_name)
        if result.outcome not in self.accept:
            raise unaccepted(result)
        return result.to_json()

    def _stop_if_last_try(self, context: Context) -> None:
        """A retry takes the job up again; without one, nobody would wait for it any more."""
        if context["ti"].try_number > context["ti"].max_tries:
            self._stop_waited_for(context, "Nobody waits for it any more, and no retry is left")

    def _stop_waited_for(self, context: Context, why: str) -> None:
        if not self.cancel_on_kill:
            return
        task = self._identify(context)
        job_name = newest_job(self.hook, task, base=self._request().get("TrainingJobName"))
        if job_name and stop_unless_taken_over(
            self.hook, job_name, try_number=self._try_number, task=self._task
        ):
            self.log.warning("%s: stopping %s, so that it bills no more.", why, job_name)

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        """Render, then leave only names where Airflow would store and show values that may be secrets."""
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)
        if parent is not self:
            return
        self._unmasked = {
            "config": self.config,
            "hyperparameters": self.hyperparameters,
        }
        self.config = masked_config(self.config)
        self.hyperparameters = masked_values(self.hyperparameters)


def _checked_outcomes(accept: Collection[str]) -> frozenset[Outcome]:
    allowed = [str(outcome) for outcome in Outcome]
    given = [accept] if isinstance(accept, str) else list(accept)
    if unknown := [outcome for outcome in given if outcome not in allowed]:
        raise InvalidSpotRequest([f"accept names {unknown}; the outcomes are {allowed}."])
    return frozenset({Outcome.COMPLETED, *map(Outcome, given)})


def _checked_interval(poll_interval: float) -> float:
    if (
        isinstance(poll_interval, bool)
        or not isinstance(poll_interval, int | float)
        or not 1 <= poll_interval <= _LONGEST_INTERVAL
    ):
        raise InvalidSpotRequest(
            [
                f"poll_interval is {poll_interval!r}; it takes a number of seconds from 1 to {_LONGEST_INTERVAL:,}."
            ]
        )
    return poll_interval
