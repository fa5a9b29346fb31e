"""Which checkpoints a training goes on from: its own task's and run's, and another run's only where it was told to.

SageMaker copies whatever lies under CheckpointConfig.S3Uri into the container before a job's first start, too (`Use checkpoints
<https://docs.aws.amazon.com/sagemaker/latest/dg/model-checkpoints.html>`_). Under a prefix that is the same for every run, a script would find
the finished checkpoint of the run before, train nothing, and write that run's model again under a new name.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from jinja2 import Environment, TemplateSyntaxError, meta

from airflow_spot_provider.aws.errors import code_of
from airflow_spot_provider.aws.kinds import Description
from airflow_spot_provider.aws.ownership import RESUMED_FROM, with_tag
from airflow_spot_provider.aws.watch import Log
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.operators._submission import checkpoint_uri
from airflow_spot_provider.training import Outcome, SharedCheckpointPrefix, SpotTrainingResult, outcome_of
from airflow_spot_provider.training.freshness import bucket_and_prefix

_SAME_FOR_EVERY_RUN = frozenset({"var", "conn", "dag", "task", "params", "inlets", "outlets"})
"""Names in templates that a schedule does not change."""
_BRIEF: dict[str, Any] = {"connect_timeout": 3, "read_timeout": 5, "retries": {"total_max_attempts": 2}}


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """What lies under a checkpoint prefix.

    :param written: when one of them was written.
    """

    written: datetime


Look = Callable[[str], Checkpoints | None]
"""What lies under a prefix; None if nothing does.

Raises ClientError or BotoCoreError: it cannot be seen."""
FindWriter = Callable[[str], str | None]
"""The newest job whose checkpoints are under a prefix; None if nobody can tell."""


@dataclass(frozen=True)
class Resumption:
    """Chooses the checkpoint prefix of each job of a task instance.

    :param resumes: whether the user said to go on from whatever lies under the prefix.
    :param relatives: results of the trainings of the same run that this one follows.
    :param look: what lies under a prefix.
    :param writer: whose checkpoints they are.
    :param log: where the choice is told.
    """

    resumes: bool
    relatives: Sequence[SpotTrainingResult]
    look: Look
    writer: FindWriter
    log: Log

    def prepare(
        self, request: Mapping[str, Any], job_name: str, earlier: Sequence[Description]
    ) -> Mapping[str, Any]:
        """The request with the prefix that its job is to have, and a tag for what it goes on from.

        :param request: as the user wrote it.
        :param job_name: what the job will be called.
        :param earlier: descriptions of the task instance's jobs before it.
        """
        wanted = checkpoint_uri(request)
        if wanted is None:
            return request
        uri, resumed_from = self._choose(wanted, job_name, earlier)
        chosen = {**request, "CheckpointConfig": {**request["CheckpointConfig"], "S3Uri": uri}}
        return chosen if resumed_from is None else with_tag(chosen, RESUMED_FROM, resumed_from)

    def _choose(self, wanted: str, job_name: str, earlier: Sequence[Description]) -> tuple[str, str | None]:
        """The prefix, and the job whose checkpoints there are gone on from (the prefix itself if the job is not known)."""
        own = f"{wanted.rstrip('/')}/{job_name}"
        if not self.resumes:
            last = next((each for each in reversed(earlier) if _is_under(checkpoint_uri(each), wanted)), None)
            if last is not None:
                if outcome_of(last) is not Outcome.COMPLETED:
                    return self._go_on(str(checkpoint_uri(last)), last["TrainingJobName"])
                self.log.info("%s completed: this job trains anew, into %s.", last["TrainingJobName"], own)
                return own, None
            for result in self.relatives:
                if _is_under(result.checkpoint_s3_uri, wanted) and result.outcome is not Outcome.COMPLETED:
                    return self._go_on(str(result.checkpoint_s3_uri), result.job_name)
        try:
            there = self.look(wanted)
        except (ClientError, BotoCoreError) as error:
            self.log.warning(
                "Whether checkpoints of another run lie under %s cannot be seen (%s): a script would go on from them. Grant "
                "s3:ListBucket, or make the prefix differ from run to run, as with {{ run_id }}.",
                wanted,
                code_of(error),
            )
            return wanted, None
        if there is None:
            return wanted, None
        job = self.writer(wanted)
        whose = f"of training job {job}" if job else f"written {there.written:%Y-%m-%d %H:%M} UTC"
        if self.resumes:
            self.log.info("Going on from the checkpoints under %s (%s).", wanted, whose)
            return wanted, job or wanted
        self.log.warning(
            "Under %s are checkpoints already (%s). This job trains into %s, so that it does not take the model of another run for its "
            "own. To go on from them, pass resume_from_checkpoint=True; to have a prefix for each run, put {{ run_id }} into it.",
            wanted,
            whose,
            own,
        )
        return own, None

    def _go_on(self, uri: str, job_name: str) -> tuple[str, str | None]:
        """Where a job of the same run left off; it may have written no checkpoint."""
        with suppress(ClientError, BotoCoreError):
            if self.look(uri) is None:
                return uri, None
        self.log.info("Going on from the checkpoints of %s, under %s.", job_name, uri)
        return uri, job_name


def warn_of_shared_prefix(task_id: str, uri: object, schedule: object) -> None:
    """Warn where a DAG runs again and again, and its checkpoint prefix cannot differ from run to run.

    :param uri: the prefix, before it is rendered.
    :param schedule: of the DAG.
    """
    if not isinstance(uri, str) or schedule in (None, "@once"):
        return
    try:
        names = meta.find_undeclared_variables(Environment().parse(uri))  # noqa: S701 - nothing is rendered
    except TemplateSyntaxError:
        return  # Airflow says so when it renders it
    if names <= _SAME_FOR_EVERY_RUN:
        warnings.warn(
            f"The checkpoint prefix of {task_id} is {uri!r} in every run of this DAG, and a script goes on from what lies there: from the "
            "second run on, jobs train into a prefix of their own below it. Put the run into it, as in "
            f"{uri.rstrip('/') + '/{{ run_id }}'!r}, or pass resume_from_checkpoint=True if each run is to go on from the one before.",
            SharedCheckpointPrefix,
            stacklevel=2,
        )


def look_under(hook: SageMakerSpotHook) -> Look:
    """How to see what lies under a prefix, with one call."""

    def _look(uri: str) -> Checkpoints | None:
        # Importing it takes a while, and every DAG file imports this.
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        bucket, prefix = bucket_and_prefix(uri)
        s3 = S3Hook(
            aws_conn_id=hook.aws_conn_id,
            region_name=hook.region_name,
            verify=hook.verify,
            config=Config(**_BRIEF),
        )
        # A folder's own marker, as consoles make it, is no checkpoint.
        client: Any = s3.get_conn()
        answer = client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=2)
        there = [each for each in answer.get("Contents", ()) if each["Size"] or not each["Key"].endswith("/")]
        return Checkpoints(there[0]["LastModified"]) if there else None

    return _look


def find_writer(hook: SageMakerSpotHook) -> FindWriter:
    """How to find the newest job whose checkpoints are under a prefix: by Search, where that is permitted."""

    def _find(uri: str) -> str | None:
        with suppress(ClientError, BotoCoreError):
            client: Any = hook.conn
            found = client.search(
                Resource="TrainingJob",
                SearchExpression={
                    "Filters": [{"Name": "CheckpointConfig.S3Uri", "Operator": "Equals", "Value": uri}]
                },
                SortBy="CreationTime",
                SortOrder="Descending",
                MaxResults=1,
            )["Results"]
            return found[0]["TrainingJob"]["TrainingJobName"] if found else None
        return None

    return _find


def _is_under(uri: str | None, wanted: str) -> bool:
    root = wanted.rstrip("/")
    return uri is not None and (uri.rstrip("/") == root or uri.startswith(f"{root}/"))
