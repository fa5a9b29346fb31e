"""The jobs of one kind at SageMaker: create, describe and stop them, and read and write their tags."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol, TypeVar, cast

from botocore.exceptions import ClientError, ParamValidationError

from airflow_spot_provider.aws.errors import code_of, is_denied, is_name_in_use, is_not_found
from airflow_spot_provider.aws.kinds import Description, Kind
from airflow_spot_provider.aws.lag import TagsNotKnown, is_young, told_at
from airflow_spot_provider.aws.limits import refusal_of
from airflow_spot_provider.aws.ownership import RESUMED_FROM
from airflow_spot_provider.aws.watch import Log, Watch, watch_blocking
from airflow_spot_provider.training import InvalidSpotRequest, SpotTrainingError
from airflow_spot_provider.training.secrets import masked_text

_Answer = TypeVar("_Answer")


class Connection(Protocol):
    """What makes the calls: a hook."""

    @property
    def conn(self) -> Any:
        """The client."""
        ...

    @property
    def conn_region_name(self) -> str:
        """The region."""
        ...

    def once(self, call: Callable[[], _Answer]) -> _Answer:
        """Make a call once."""
        ...

    def patiently(self, call: Callable[[], _Answer], *, lagging: bool = False) -> _Answer:
        """Make a call until SageMaker can be asked."""
        ...


class SageMakerJobs:
    """The jobs of one kind, in one account and region.

    :param connection: makes the calls.
    :param kind: training jobs, or tuning jobs.
    :param created: the name of a job that may have been created a moment ago, whatever SageMaker says yet.
    """

    def __init__(self, connection: Connection, kind: Kind, *, created: str | None = None) -> None:
        self._connection = connection
        self.kind = kind
        # By name and by ARN. What is asked about these may lag behind their creation.
        self._young = set() if created is None else {created}
        self.created_at: datetime | None = None
        """When the job that was created last was, by AWS's clock; None if its answer did not tell."""

    def create(self, request: Mapping[str, Any]) -> bool:
        """Submit a job, patiently; not where SageMaker takes no more just now, which may last for hours.

        :param request: members of the Create operation.
        :return: True if this call created the job, False if a job of this name exists already (which may be the
            work of an earlier call whose answer got lost).
        :raises InvalidSpotRequest: SageMaker or its API model refuses the request. No value of Environment or
            HyperParameters is in the message.
        :raises MustWaitItsTurn: a quota is used up, or SageMaker takes no more calls just now.
        :raises QuotaTooSmall: no job that has ended would make room for this one.
        :raises InstanceTypeNotAvailable: the region does not have the instance type.
        :raises SpotTrainingError: SageMaker refuses for another reason, such as a missing permission.
        """
        try:
            self._connection.patiently(lambda: self._create(request))
        except (ClientError, ParamValidationError) as error:
            if is_name_in_use(error):
                return False
            message = masked_text(str(error), request)
            if isinstance(error, ParamValidationError) or code_of(error) == "ValidationException":
                # The original quotes the request, secrets included: it must not be chained into a traceback.
                raise InvalidSpotRequest([f"SageMaker refuses the request: {message}"]) from None
            raise SpotTrainingError(
                f"SageMaker did not take {self.kind.noun} {request.get(self.kind.name)}: {message}"
            ) from None
        return True

    def describe(self, job_name: str) -> dict[str, Any]:
        """Describe a job once, raising whatever the call raises; for a watch, which has patience of its own."""
        return cast("dict[str, Any]", self._connection.once(self._describing(job_name)))

    def watch(
        self, job_name: str, *, poll_interval: float, log: Log | None = None, just_created: bool = False
    ) -> Description:
        """Watch a job to its end in this thread, however long that takes, and return its last description.

        :param poll_interval: seconds between two looks.
        :param log: where each transition is said; None to say nothing.
        :param just_created: nobody has seen the job yet, so that a denial may be only a lag.
        :raises JobNotFound: there is no such job.
        :raises WatchFailed: it cannot be described, for a reason that waiting does not mend.
        """
        watch = Watch(
            self.kind,
            job_name,
            poll_interval=poll_interval,
            log=log,
            jitter=random.Random(),
            just_created=just_created or job_name in self._young,
        )
        return watch_blocking(watch, self.describe, job_name)

    def get(self, job_name: str, *, just_created: bool = False) -> dict[str, Any]:
        """Describe a job, patiently.

        :param just_created: the job is known to exist and may be new, so SageMaker is given time to know it too.
        :raises JobNotFound: there is no such job.
        """
        try:
            answer = cast(
                "dict[str, Any]",
                self._connection.patiently(
                    self._describing(job_name), lagging=just_created or job_name in self._young
                ),
            )
        except ClientError as error:
            if is_not_found(error):
                raise self.kind.not_found_error(
                    f"SageMaker knows no {self.kind.noun} {job_name!r} in this account and region "
                    f"({self._connection.conn_region_name}): it was deleted, or aws_conn_id or region_name is another one "
                    "than it was created with."
                ) from error
            raise
        if is_young(answer, told_at(answer)):
            self._young |= {job_name, str(answer.get(self.kind.arn))}
        return answer

    def stop(self, job_name: str) -> bool:
        """Stop a job.

        :return: True if SageMaker is stopping the job now, False if it had ended already or does not exist.
        """
        try:
            self._connection.patiently(
                lambda: self._operation(self.kind.stop)(**{self.kind.name: job_name}),
                lagging=job_name in self._young,
            )
        except ClientError as error:
            if is_not_found(error) or code_of(error) == "ValidationException":
                return False
            raise
        return True

    def get_tags(self, job_arn: str) -> dict[str, str]:
        """All tags of a job. ListTags may lag: of a job that was described here, new then, and has none yet it is asked again."""
        may_lag = job_arn in self._young

        def _listed() -> dict[str, str]:
            # The paginator is of the client of the moment: after credentials expired, that is another one.
            pages = self._connection.conn.get_paginator("list_tags").paginate(ResourceArn=job_arn)
            tags = {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
            if may_lag and not tags:
                raise TagsNotKnown(job_arn)
            return tags

        try:
            return self._connection.patiently(_listed, lagging=may_lag)
        except TagsNotKnown:
            return {}

    def resumed_from(self, description: Description) -> str | None:
        """What a training job went on from: by its tag, if it has checkpoints and its tags can be read."""
        if not description.get("CheckpointConfig"):
            return None
        try:
            return self.get_tags(description[self.kind.arn]).get(RESUMED_FROM)
        except ClientError as error:
            if is_denied(error):
                return None
            raise

    def add_tags(self, job_arn: str, tags: Mapping[str, str]) -> None:
        """Put tags on a job, over those of the same keys."""
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        self._connection.patiently(
            lambda: self._connection.conn.add_tags(ResourceArn=job_arn, Tags=listed),
            lagging=job_arn in self._young,
        )

    def _create(self, request: Mapping[str, Any]) -> None:
        try:
            answer = self._operation(self.kind.create)(**request)
        except ClientError as error:
            if (refusal := refusal_of(error, self.kind, self._connection.conn_region_name)) is not None:
                raise refusal from None
            raise
        self.created_at = told_at(answer)

    def _describing(self, job_name: str) -> Callable[[], Any]:
        return lambda: self._operation(self.kind.describe)(**{self.kind.name: job_name})

    def _operation(self, name: str) -> Any:
        """By the client of the moment: after credentials expired, it is another one."""
        return getattr(self._connection.conn, name)
