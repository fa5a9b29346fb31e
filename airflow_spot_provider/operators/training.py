"""The training operator: submit a spot training job, wait for it without a worker, publish how it went."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.amazon.aws.utils.mixins import aws_template_fields

from airflow_spot_provider.aws.kinds import TRAINING_JOBS, Description
from airflow_spot_provider.links.sagemaker import (
    SageMakerTrainingJobLink,
    SageMakerTrainingLogsLink,
)
from airflow_spot_provider.operators._account import tell
from airflow_spot_provider.operators._checking import checked_request
from airflow_spot_provider.operators._checkpoints import (
    Resumption,
    find_writer,
    look_under,
    warn_of_shared_prefix,
)
from airflow_spot_provider.operators._job import SpotJobOperator
from airflow_spot_provider.operators._members import reads_map_index, with_own_checkpoints
from airflow_spot_provider.operators._metrics import measure
from airflow_spot_provider.operators._outcomes import checked_outcomes, is_accepted
from airflow_spot_provider.operators._rendering import is_rendered
from airflow_spot_provider.operators._results import results_of_training
from airflow_spot_provider.operators._spot_tasks import spot_tasks_upstream_of
from airflow_spot_provider.operators._submission import Submitted
from airflow_spot_provider.operators._while_waiting import (
    checked_care,
    checkpoints_seen,
    repeat_log_and_publish_curves,
)
from airflow_spot_provider.training import (
    Attempt,
    InvalidSpotRequest,
    Outcome,
    SpotTrainingResult,
    TaskIdentity,
    job_name,
    on_demand_request,
    progress_of,
    spot_request,
)
from airflow_spot_provider.training.alerts import SpotAlert
from airflow_spot_provider.training.exceptions import unaccepted
from airflow_spot_provider.training.progress import Checkpoints
from airflow_spot_provider.training.request import everything_is_known
from airflow_spot_provider.training.rules import Known, member_of
from airflow_spot_provider.triggers.training import SageMakerSpotTrainingTrigger

if TYPE_CHECKING:
    import jinja2
    from airflow.sdk import Context


class SageMakerSpotTrainingOperator(SpotJobOperator):
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
    :param publish_hyperparameters: names of hyperparameters to have in the result; they may be secrets, so none is unasked.
    :param print_log: whether the newest 200 lines of the training log are repeated in the task log.
    :param resume_from_checkpoint: go on from whatever lies under the checkpoint prefix, whoever wrote it. Without it a job goes on from
        the checkpoints of its own task, and of trainings upstream of it in the same DAG run, that did not complete; where another run's are
        there, it trains into ``<prefix>/<job name>``.
    :param separate_members: whether each member of a mapped task has checkpoints of its own: ``/<map index>`` is added to the
        prefix, unless its template reads the map index itself. All tasks of a mapped task group that are given the same prefix
        share it member by member. False leaves the prefix as it is.
    :param checkpoint_interval: how often the script is expected to write a checkpoint, seconds or a timedelta. While the job
        trains, the newest checkpoint is looked at now and then (s3:ListBucket), and a warning is logged when it is older than two
        intervals. None does not look.
    :param alerts: what is to be called while the job runs, and when: a list of
        :class:`~airflow_spot_provider.training.SpotAlert`.
    :param deferrable: False waits in the worker, without ``checkpoint_interval`` and ``alerts``.
    :raises InvalidSpotRequest: the request is one that SageMaker would refuse, or that would do harm; at DAG parse for
        literals, in the task for what is templated, and before anything is submitted.
    :raises MaxWaitTimeExceeded, MaxRuntimeExceeded, TrainingJobStopped, TrainingJobFailed: the job ended so, and
        ``accept`` does not name it.
    """

    kind = TRAINING_JOBS
    links = (SageMakerTrainingJobLink, SageMakerTrainingLogsLink)
    masked_arguments = ("hyperparameters",)
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
    _checkpoints_seen: Checkpoints | None = None
    _checkpoint_s3_uri: str | None = None

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
        publish_hyperparameters: Collection[str] = (),
        print_log: bool = True,
        separate_members: bool = True,
        resume_from_checkpoint: bool = False,
        checkpoint_interval: float | timedelta | None = None,
        alerts: Sequence[SpotAlert] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(config=config, **kwargs)
        self.managed_spot = managed_spot
        self.max_wait = max_wait
        self.checkpoint_s3_uri = checkpoint_s3_uri
        self.hyperparameters = hyperparameters
        self.instance_type = instance_type
        self.allow_no_checkpoint = allow_no_checkpoint
        self.algorithm_checkpoints = algorithm_checkpoints
        self.accept = checked_outcomes(accept)
        self.publish_hyperparameters = _checked_names(publish_hyperparameters)
        self.print_log = print_log
        self.separate_members = separate_members
        self.resume_from_checkpoint = resume_from_checkpoint
        self.alerts = alerts
        self.checkpoint_interval, self._conditions = checked_care(
            checkpoint_interval, alerts, deferrable=self.deferrable
        )
        self._reads_map_index = False
        if is_rendered(config):
            self._request(known=is_rendered)

    def _request(self, *, known: Known | None = None) -> dict[str, Any]:
        """The CreateTrainingJob request.

        :param known: at DAG parse, what can be looked at already.
        """
        arguments: dict[str, Any] = {
            "max_wait": self.max_wait,
            "checkpoint_s3_uri": self.checkpoint_s3_uri,
            "hyperparameters": self._value("hyperparameters"),
            "instance_type": self.instance_type,
        }
        if known is not None:
            arguments["known"] = known
        build = on_demand_request
        if self.managed_spot:
            build = partial(
                spot_request,
                allow_no_checkpoint=self.allow_no_checkpoint,
                algorithm_checkpoints=self.algorithm_checkpoints,
            )
        request = checked_request(partial(build, **arguments), self._value("config"), self.kind, known=known)
        uri = member_of(request, "CheckpointConfig", "S3Uri", known=known or everything_is_known)
        if self.checkpoint_interval is not None and uri is None:
            raise InvalidSpotRequest(
                [
                    (
                        "checkpoint_interval is given and the job has no checkpoints: pass checkpoint_s3_uri='s3://bucket/prefix', or "
                        "leave it out."
                    )
                ]
            )
        return self._separate(request)

    def _separate(self, request: dict[str, Any]) -> dict[str, Any]:
        """A member's request, with a checkpoint prefix of its own."""
        if (
            self._task is None
            or self._task.map_index < 0
            or not self.separate_members
            or self._reads_map_index
        ):
            return request
        return with_own_checkpoints(request, self._task.map_index)

    def _submit(self, context: Context, request: Mapping[str, Any]) -> Submitted:
        submitted = super()._submit(context, request)
        self._checkpoint_s3_uri = submitted.checkpoint_s3_uri
        if submitted.checkpoint_s3_uri is not None:
            self.log.info("Its checkpoints: %s", submitted.checkpoint_s3_uri)
        return submitted

    def _prepare(
        self, context: Context, request: Mapping[str, Any], job_name: str, earlier: Sequence[Description]
    ) -> Mapping[str, Any]:
        resumption = Resumption(
            resumes=self.resume_from_checkpoint,
            relatives=self._relatives(context),
            look=look_under(self.hook),
            writer=find_writer(self.hook),
            log=self.log,
        )
        return resumption.prepare(request, job_name, earlier)

    def _relatives(self, context: Context) -> list[SpotTrainingResult]:
        """The trainings of this run that this one follows: it may be there to go on from their checkpoints."""
        if not self.has_dag():
            return []
        return [
            result
            for task_id in sorted(spot_tasks_upstream_of(self))
            for result in results_of_training(context, task_id)
        ]

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        if parent is self:
            self._reads_map_index = reads_map_index(self.checkpoint_s3_uri, self.config)
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)

    def resolve_template_files(self) -> None:
        """Look at what the DAG makes of this task: this is the one call that Airflow makes on each when the DAG is complete."""
        super().resolve_template_files()
        dag = self.get_dag()
        if dag is not None and not self.resume_from_checkpoint:
            warn_of_shared_prefix(self.task_id, self._checkpoint_template(), dag.schedule)

    def _checkpoint_template(self) -> Any:
        """The checkpoint prefix before it is rendered, as far as it can be told."""
        config = self.config if isinstance(self.config, Mapping) else {}
        return self.checkpoint_s3_uri or member_of(
            config, "CheckpointConfig", "S3Uri", known=everything_is_known
        )

    def _name(self, task: TaskIdentity, attempt: int, base: str | None) -> str:
        return job_name(task, attempt, base=base, unique=self.makes_names_unique)

    def _trigger(self, job_name: str) -> SageMakerSpotTrainingTrigger:
        return SageMakerSpotTrainingTrigger(job_name, **self._looked_after, **self._connection)

    @property
    def _looked_after(self) -> dict[str, Any]:
        """What the trigger does besides watching."""
        asked: dict[str, Any] = {"print_log": self.print_log}
        if self.checkpoint_interval is None and not self._conditions:
            return asked
        request = self._request()
        if self.checkpoint_interval is not None:
            asked["checkpoint_interval"] = self.checkpoint_interval
            asked["checkpoint_s3_uri"] = self._checkpoint_s3_uri or request["CheckpointConfig"]["S3Uri"]
        if self._conditions:
            asked["alerts"] = self._conditions
            asked["max_wait"] = request["StoppingCondition"].get("MaxWaitTimeInSeconds")
        return asked

    def _progress(self, description: Description, result: SpotTrainingResult | None = None) -> dict[str, Any]:
        return progress_of(description, facts=self._facts, result=result, checkpoints=self._checkpoints_seen)

    def _attempt(self, description: Description) -> dict[str, Any]:
        return Attempt.of(description).model_dump(mode="json")

    def _finish(
        self, context: Context, description: Description, earlier: Iterable[Mapping[str, Any]]
    ) -> dict[str, Any]:
        result = SpotTrainingResult.of(
            description,
            earlier=[Attempt.model_validate(each) for each in earlier],
            published_hyperparameters=self.publish_hyperparameters,
            resumed_from=self._jobs.resumed_from(description),
        )
        result = result.priced(self.hook.price_of(result.instance_type))
        if self.checkpoint_interval is not None:
            self._checkpoints_seen = checkpoints_seen(context, self.log, result.job_name)
        self._publish(context, description, result)
        accepted = self._accepts(result)
        self._release(context, result.job_arn, accepted=accepted)
        measure(self.log, context, result, instance_type=result.instance_type)
        tell(self.log, description, result, spot_wanted=self.managed_spot)
        self._repeat_training_log(context, description)
        if not accepted:
            raise unaccepted(result)
        return self._returned(description, result)

    def _repeat_training_log(self, context: Context, description: Description) -> Sequence[tuple[int, str]]:
        if not self.print_log:
            return ()
        return repeat_log_and_publish_curves(
            context, self.log, self.hook, description, publishes=self.do_xcom_push
        )

    def _accepts(self, result: SpotTrainingResult) -> bool:
        """Whether the task succeeds."""
        return is_accepted(result, self.accept)


def _checked_names(names: Collection[str]) -> tuple[str, ...]:
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise InvalidSpotRequest(
            [f"publish_hyperparameters is {names!r}; it takes a list of hyperparameters' names."]
        )
    return tuple(names)
