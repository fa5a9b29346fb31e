"""What the operators of training jobs and of tuning jobs share: submit, wait without a worker, publish, never leave a job behind."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from botocore.exceptions import ClientError

from airflow_spot_provider._compat.runs import push_xcom
from airflow_spot_provider._compat.sdk import TaskDeferralError, TaskDeferralTimeout, conf, mask_secret
from airflow_spot_provider.assets import tell_events
from airflow_spot_provider.aws.kinds import Description, Kind
from airflow_spot_provider.aws.ownership import release
from airflow_spot_provider.hooks._jobs import SageMakerJobs
from airflow_spot_provider.operators._as_stock import checked_xcom, prepared, stock_xcom
from airflow_spot_provider.operators._rendering import is_rendered
from airflow_spot_provider.operators._stock_arguments import DEFAULT_POLL_INTERVAL, StockArguments
from airflow_spot_provider.operators._stopping import stop_in_haste, stop_waited_for
from airflow_spot_provider.operators._submission import Found, Names, Submitted, submit
from airflow_spot_provider.operators._turn import TurnTakingOperator
from airflow_spot_provider.training import (
    InvalidSpotRequest,
    MustWaitItsTurn,
    SpotTrainingError,
    SpotTrainingResult,
    SpotTuningResult,
    TaskIdentity,
    WatchFailed,
)
from airflow_spot_provider.training.free_text import container_of
from airflow_spot_provider.training.progress import Facts
from airflow_spot_provider.training.secrets import masked_request, masked_values, secret_mappings
from airflow_spot_provider.triggers._progress import PROGRESS_KEY

if TYPE_CHECKING:
    import jinja2
    from airflow.providers.amazon.aws.links.base_aws import BaseAwsLink
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

    from airflow_spot_provider.triggers._watching import WatchingTrigger

RESULT_KEY = "return_value"
SAVINGS_KEY = "savings_percent"
_LONGEST_INTERVAL = 86_400


class SpotJobOperator(TurnTakingOperator):
    """Submit a job, defer until it ends, publish how it went.

    The job's name is derived from the task instance, so a retry after a crash takes up the job that is there instead of
    starting a second one. Where SageMaker takes no more jobs just now (a quota is used up, or they come too quickly), the task
    waits its turn.

    :param config: members of the Create operation (templated).
    :param poll_interval: seconds, from 1 to a day; a change of the job is known within about two of them.
    :param cancel_on_kill: whether clearing, failing or succeeding the waiting task stops the job.
    :param deferrable: False waits in the worker.
    :param xcom: ``result``, or ``stock`` to have the description in it too, where Amazon's operators put it.
    :param wait_for_completion, check_interval, max_attempts, max_ingestion_time, check_if_job_exists, action_if_job_exists: of
        Amazon's operators; see :class:`~._stock_arguments.StockArguments`.
    """

    kind: ClassVar[Kind]
    links: ClassVar[tuple[type[BaseAwsLink], ...]]
    masked_arguments: ClassVar[tuple[str, ...]] = ()
    """Template fields besides ``config`` whose values may be secrets."""

    def __init__(
        self,
        *,
        config: dict[str, Any],
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        cancel_on_kill: bool = True,
        deferrable: bool = True,
        xcom: str = "result",
        wait_for_completion: bool = True,
        check_interval: float | None = None,
        max_attempts: int | None = None,
        max_ingestion_time: float | None = None,
        check_if_job_exists: bool = True,
        action_if_job_exists: str | None = None,
        **kwargs: Any,
    ) -> None:
        stock = StockArguments(
            wait_for_completion=wait_for_completion,
            check_interval=check_interval,
            max_attempts=max_attempts,
            max_ingestion_time=max_ingestion_time,
            check_if_job_exists=check_if_job_exists,
            action_if_job_exists=action_if_job_exists,
        )
        if (limit := stock.execution_timeout(kwargs.get("execution_timeout"))) is not None:
            kwargs["execution_timeout"] = limit
        super().__init__(**kwargs)
        self.config = config
        self.poll_interval = checked_interval(stock.poll_interval(poll_interval))
        self.makes_names_unique = stock.makes_names_unique
        self.publishes_description = checked_xcom(xcom)
        self.cancel_on_kill = cancel_on_kill
        self.deferrable = deferrable
        self._unmasked: dict[str, Any] = {}
        self._task: TaskIdentity | None = None
        self._job_name: str | None = None
        self._ended: tuple[Description, SpotTrainingResult | SpotTuningResult] | None = None
        self._try_number = 0
        self._killed = False

    # What the kinds of job differ in

    @abstractmethod
    def _request(self) -> dict[str, Any]:
        """The checked request."""

    @abstractmethod
    def _name(self, task: TaskIdentity, attempt: int, base: str | None) -> str:
        """The name of one attempt's job."""

    @abstractmethod
    def _trigger(self, job_name: str) -> WatchingTrigger:
        """What waits for the job."""

    @abstractmethod
    def _progress(self, description: Description, result: Any = None) -> dict[str, Any]:
        """What is published from the submit on.

        :param description: of the job; at the submit, the request.
        :param result: how it ended, once it has.
        """

    @abstractmethod
    def _attempt(self, description: Description) -> dict[str, Any]:
        """What is remembered of an earlier attempt; plain JSON."""

    @abstractmethod
    def _finish(
        self, context: Context, description: Description, earlier: Iterable[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Publish first, then say that it was published, then judge."""

    # The life of the task

    def execute(self, context: Context) -> dict[str, Any]:
        """Submit the job, or take up the one that is there; then wait for it, deferred unless told otherwise."""
        self._identify(context)
        request = prepared(self._request(), self._value("config"), hook=self.hook, log=self.log)
        while True:
            try:
                submitted = self._submit(context, request)
            except MustWaitItsTurn as refusal:
                progress = self._progress({**request, self.kind.name: self._job_name})
                self._job_name = None  # there is none, and nothing for a kill to stop
                self._await_turn(context, refusal, progress)
                continue
            earlier = [self._attempt(description) for description in submitted.earlier]
            killed = submitted.found is Found.KILLED_JOB
            if self.do_xcom_push:
                begun = self._progress({**request, **self._begun(submitted)})
                context["ti"].xcom_push(key=PROGRESS_KEY, value=begun)
            # Airflow's scheduler fails a task that resumes at once: a job that has ended is not deferred for.
            if self.deferrable and submitted.found is not Found.ENDED_JOB:
                self.defer(
                    trigger=self._trigger(submitted.job_name),
                    method_name=self.submit_again.__name__ if killed else self.execute_complete.__name__,
                    kwargs=None if killed else {"earlier": earlier},
                    timeout=self._time_left(),
                )
            description = self._jobs.watch(
                submitted.job_name,
                poll_interval=self.poll_interval,
                log=self.log,
                just_created=submitted.found is Found.NOTHING,
            )
            if not killed:
                self._waits_since = None
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
        return self._finish(context, self._jobs.watch(job_name, poll_interval=2.0), earlier)

    def _publish(
        self, context: Context, description: Description, result: SpotTrainingResult | SpotTuningResult
    ) -> None:
        """Publish how the job ended. What the trigger has published as progress is from before its end."""
        if self.do_xcom_push:
            context["ti"].xcom_push(key=RESULT_KEY, value=self._returned(description, result))
            push_xcom(context["ti"], SAVINGS_KEY, result.savings_percent)
            context["ti"].xcom_push(key=PROGRESS_KEY, value=self._progress(description, result))
        self._ended = description, result
        tell_events(context, self.outlets or (), result)

    def _returned(
        self, description: Description, result: SpotTrainingResult | SpotTuningResult
    ) -> dict[str, Any]:
        """What goes into XCom as the task's result."""
        more = stock_xcom(self.kind, description, result.failure_reason) if self.publishes_description else {}
        return {**result.to_json(), **more}

    def _begun(self, submitted: Submitted) -> dict[str, Any]:
        """What a new job's description will tell, before anybody has seen it: a job may wait for hours with nothing to see."""
        begun: dict[str, Any] = {self.kind.name: submitted.job_name}
        if submitted.created_at is not None:
            begun["CreationTime"] = submitted.created_at
        if submitted.checkpoint_s3_uri is not None:
            begun["CheckpointConfig"] = {"S3Uri": submitted.checkpoint_s3_uri}
        return begun

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:  # noqa: ARG002 - OpenLineage's signature
        """What the job read, wrote and came to; asked by the OpenLineage provider, where it is installed."""
        from airflow.providers.openlineage.extractors import OperatorLineage

        from airflow_spot_provider.lineage import lineage_of

        return OperatorLineage() if self._ended is None else lineage_of(*self._ended)

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """The same of a job whose outcome was not accepted."""
        return self.get_openlineage_facets_on_complete(task_instance)

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
        """Stop the job when the task is killed while a worker has it: at once, for the worker itself is ended in a moment."""
        self._killed = True
        if self._job_name is None or not self.cancel_on_kill:
            return
        self.log.info("The task was killed: stopping %s, so that it bills no more.", self._job_name)
        self._stop_killed(self._job_name)

    def _stop_killed(self, job_name: str) -> None:
        stop_in_haste(
            self.hook, self.kind, job_name, try_number=self._try_number, task=self._task, log=self.log
        )

    @property
    def _jobs(self) -> SageMakerJobs:
        return self.hook.jobs(self.kind)

    def _submit(self, context: Context, request: Mapping[str, Any]) -> Submitted:
        submitted = submit(
            self._jobs,
            request,
            task := self._identify(context),
            names=self._names(task, request),
            try_number=self._try_number,
            max_tries=context["ti"].max_tries,
            about_to_create=self._set_job_name,
            prepare=partial(self._prepare, context),
        )
        if self._killed and self.cancel_on_kill:
            # The kill came in the middle of the call, and may have found no job yet.
            self._stop_killed(submitted.job_name)
            raise self._was_killed()
        noun = self.kind.noun
        messages = {
            Found.NOTHING: f"Submitted {noun} %s.",
            Found.OWN_JOB: f"{noun.capitalize()} %s of this task is there already, from an earlier try: taking it up.",
            Found.ENDED_JOB: f"{noun.capitalize()} %s of this task has ended already, unseen by an earlier try.",
            Found.KILLED_JOB: f"{noun.capitalize()} %s was killed and is still ending; a new one follows when it has.",
        }
        self.log.info(messages[submitted.found], submitted.job_name)
        for link in self.links:
            link.persist(
                context=context,
                operator=self,
                region_name=self.hook.conn_region_name,
                aws_partition=self.hook.conn_partition,
                job_name=submitted.job_name,
            )
        return submitted

    def _prepare(
        self,
        context: Context,  # noqa: ARG002 - what relatives are found by
        request: Mapping[str, Any],
        job_name: str,  # noqa: ARG002
        earlier: Sequence[Description],  # noqa: ARG002
    ) -> Mapping[str, Any]:
        """The request of the job of this name, which follows these attempts."""
        return request

    def _names(self, task: TaskIdentity, request: Mapping[str, Any]) -> Names:
        return partial(self._name, task, base=request.get(self.kind.name))

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
        if self._killed:
            raise self._was_killed()
        self._job_name = job_name

    def _was_killed(self) -> SpotTrainingError:
        return SpotTrainingError(
            f"The task was killed while it submitted its {self.kind.noun}, and does not go on. Clear it to have another."
        )

    @property
    def _connection(self) -> dict[str, Any]:
        """What a job's trigger needs to know of this operator."""
        return {
            **self._settings,
            "cancel_on_kill": self.cancel_on_kill,
            "try_number": self._try_number,
            "facts": self._facts.model_dump(mode="json", exclude_defaults=True),
        }

    @property
    def _facts(self) -> Facts:
        """What goes into every progress besides what SageMaker tells."""
        return Facts(aws_conn_id=self.aws_conn_id, region=self.hook.conn_region_name)

    def _ended_job(self, context: Context, event: dict[str, Any] | None) -> str:
        if event is None:
            raise WatchFailed(
                "The trigger ended without an event. Retry the task: it takes up the job that is there."
            )
        if error := event.get("error"):
            self._stop_if_last_try(context)
            raise WatchFailed(error)
        return str(event["job_name"])

    def _release(self, context: Context, job_arn: str, *, accepted: bool) -> None:
        """Say that the result was published.

        :param accepted: whether the task succeeds with it.
        """
        try:
            release(self._jobs, job_arn, done_at=context["ti"].max_tries if accepted else None)
        except ClientError as error:
            self.log.warning(
                "The job could not be tagged (%s): clearing this task would take up this result again instead of "
                "training anew. Grant sagemaker:AddTags.",
                error,
            )

    def _stop_if_last_try(self, context: Context) -> None:
        """A retry takes the job up again; without one, nobody would wait for it any more."""
        if context["ti"].try_number > context["ti"].max_tries:
            self._stop_waited_for(context, "Nobody waits for it any more, and no retry is left")

    def _stop_waited_for(self, context: Context, why: str) -> None:
        if not self.cancel_on_kill:
            return
        task = self._identify(context)
        names = self._names(task, self._request())
        stop_waited_for(self._jobs, names, try_number=self._try_number, task=task, why=why, log=self.log)

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
        self._unmasked = {name: getattr(self, name) for name in ("config", *self.masked_arguments)}
        config = container_of(self.config, Mapping)  # a template may have rendered it to text
        for member in secret_mappings(config):
            # A script may print them: Airflow masks in the task's log what is secret by its name.
            mask_secret(dict(member))
        self.config = masked_values(self.config) if config is None else masked_request(config)
        for name in self.masked_arguments:
            setattr(self, name, masked_values(getattr(self, name)))

    def render_template(self, content: Any, *args: Any, **kwargs: Any) -> Any:
        """Text without a template is what its author wrote: with ``render_template_as_native_obj`` "1e5" would come back as 100000.0."""
        if isinstance(content, str) and is_rendered(content):
            return content
        return super().render_template(content, *args, **kwargs)

    def _value(self, argument: str) -> Any:
        """An argument as it was rendered, before it was masked."""
        return self._unmasked.get(argument, getattr(self, argument))


def checked_interval(poll_interval: float) -> float:
    """A poll_interval that can be kept.

    :raises InvalidSpotRequest: it cannot.
    """
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
