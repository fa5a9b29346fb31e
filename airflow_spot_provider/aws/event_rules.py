"""What push mode needs in AWS: rules of EventBridge that send SageMaker's events to a queue for each triggerer.

Sources: `SageMaker events <https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html>`_ and
`Targets <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>`_ (five for a rule).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from airflow_spot_provider.aws.errors import code_of, is_denied

TAG = "airflow-spot:events"
"""On all that is made here; what bears the name and not the tag is somebody else's."""
PATTERN = {
    "source": ["aws.sagemaker"],
    "detail-type": [
        "SageMaker Training Job State Change",
        "SageMaker HyperParameter Tuning Job State Change",
    ],
}
QUEUE_ATTRIBUTES = {
    # Polling has found what is older than that.
    "MessageRetentionPeriod": "3600",
    "ReceiveMessageWaitTimeSeconds": "20",
    "SqsManagedSseEnabled": "true",
    "VisibilityTimeout": "30",
}
TARGETS_A_RULE = 5
MOST_TRIGGERERS = 100

_SETUP = {
    "sqs": [
        "CreateQueue",
        "GetQueueUrl",
        "GetQueueAttributes",
        "SetQueueAttributes",
        "ListQueueTags",
        "ListQueues",
        "TagQueue",
        "DeleteQueue",
    ],
    "events": [
        "PutRule",
        "DescribeRule",
        "ListRules",
        "ListTagsForResource",
        "TagResource",
        "PutTargets",
        "ListTargetsByRule",
        "RemoveTargets",
        "DeleteRule",
    ],
    "sts": ("GetCallerIdentity",),
}
_READ = ("GetQueueUrl", "ReceiveMessage", "DeleteMessage")
_WATCH = {
    "sagemaker": [
        "ListTrainingJobs",
        "DescribeTrainingJob",
        "StopTrainingJob",
        "AddTags",
        "ListTags",
        "ListHyperParameterTuningJobs",
        "DescribeHyperParameterTuningJob",
    ],
    "logs": ("FilterLogEvents",),
}


class EventRulesError(Exception):
    """The rules and queues could not be made or removed; the message says what to do."""


@dataclass(frozen=True)
class EventRules:
    """The rules and queues of one Airflow in one account and region.

    :param name: of the rules; the queues' names begin with it.
    :param triggerers: how many queues there are.
    :raises ValueError: the name or the number is none that AWS or this provider takes.
    """

    name: str = "airflow-spot-events"
    triggerers: int = 1

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,60}", self.name):
            raise ValueError(
                f"--name is {self.name!r}; it takes 1 to 60 letters, digits, hyphens and underscores."
            )
        if not 1 <= self.triggerers <= MOST_TRIGGERERS:
            raise ValueError(
                f"--triggerers is {self.triggerers}; it takes a number from 1 to {MOST_TRIGGERERS}."
            )

    def queue(self, ordinal: int) -> str:
        """The name of a triggerer's queue."""
        return f"{self.name}-{ordinal}"

    def rules(self) -> Iterator[tuple[str, list[str]]]:
        """Each rule's name, and its queues'."""
        for first in range(0, self.triggerers, TARGETS_A_RULE):
            number = first // TARGETS_A_RULE + 1
            last = min(first + TARGETS_A_RULE, self.triggerers)
            yield (
                self.name if number == 1 else f"{self.name}-{number}",
                [self.queue(ordinal) for ordinal in range(first, last)],
            )


def queue_policy(queue_arn: str, rule_arn: str) -> dict[str, Any]:
    """Who may send to a queue: this rule, and nobody else."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "SageMakerEvents",
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue_arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
            }
        ],
    }


def triggerer_policy(rules: EventRules, *, partition: str, region: str, account: str) -> dict[str, Any]:
    """What a triggerer's role needs: to watch, to stop what is killed, and to read its queue."""
    queues = f"arn:{partition}:sqs:{region}:{account}:{rules.name}-*"
    watched = [f"{service}:{action}" for service, actions in _WATCH.items() for action in actions]
    return _policy((watched, "*"), ([f"sqs:{action}" for action in _READ], queues))


def setup_policy() -> dict[str, Any]:
    """What ``airflow-spot events setup`` and ``teardown`` need themselves."""
    return _policy(
        ([f"{service}:{action}" for service, actions in _SETUP.items() for action in actions], "*")
    )


def _policy(*statements: tuple[list[str], str]) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": actions, "Resource": resource} for actions, resource in statements
        ],
    }


class EventRulesAdmin:
    """Makes and removes rules and queues; a second time changes nothing.

    :param session: boto3 session.
    :param endpoint_url: of another AWS, such as the emulator.
    :param say: gets a line for each thing done.
    :param dry_run: only say what would be done.
    """

    def __init__(
        self, session: Any, *, endpoint_url: str | None, say: Callable[[str], None], dry_run: bool = False
    ) -> None:
        self._sqs, self._events, self._sts = (
            session.client(service, endpoint_url=endpoint_url) for service in ("sqs", "events", "sts")
        )
        self._say = say
        self._dry_run = dry_run
        self.region: str = self._sqs.meta.region_name
        self.partition: str = self._sqs.meta.partition

    def account(self) -> str:
        """The account that the credentials belong to."""
        return str(self._call(self._sts.get_caller_identity)["Account"])

    def setup(self, wanted: EventRules) -> None:
        """Make what is missing, bring what is there up to date, remove what is too much.

        :raises EventRulesError: something of that name is not ours, or a permission is missing.
        """
        self._remove(wanted, keep=wanted.triggerers)
        for rule, queues in wanted.rules():
            rule_arn = self._rule_arn(rule)
            if self._is_ours(rule, wanted) is None:
                self._do(
                    f"rule {rule}",
                    self._events.put_rule,
                    Name=rule,
                    EventPattern=json.dumps(PATTERN),
                    State="ENABLED",
                    Tags=[{"Key": TAG, "Value": wanted.name}],
                )
            for queue in queues:
                self._make_queue(queue, rule_arn, wanted)
            targets = [{"Id": queue, "Arn": self._queue_arn(queue)} for queue in queues]
            self._do(
                f"rule {rule} sends to {', '.join(queues)}",
                self._events.put_targets,
                Rule=rule,
                Targets=targets,
            )

    def teardown(self, name: str) -> None:
        """Remove all that setup made under a name; what is gone already is fine.

        :raises EventRulesError: something of that name is not ours, or a permission is missing.
        """
        self._remove(EventRules(name), keep=0)

    def _remove(self, rules: EventRules, *, keep: int) -> None:
        kept = {rule for rule, _ in EventRules(rules.name, keep).rules()} if keep else set()
        for number in range(1, MOST_TRIGGERERS // TARGETS_A_RULE + 1):
            rule = rules.name if number == 1 else f"{rules.name}-{number}"
            if rule in kept or not self._is_ours(rule, rules):
                continue
            targets = self._call(self._events.list_targets_by_rule, Rule=rule)["Targets"]
            if ids := [target["Id"] for target in targets]:
                self._do(f"no more targets of rule {rule}", self._events.remove_targets, Rule=rule, Ids=ids)
            self._do(f"no more rule {rule}", self._events.delete_rule, Name=rule)
        for url in self._call(self._sqs.list_queues, QueueNamePrefix=f"{rules.name}-").get("QueueUrls", []):
            queue = url.rpartition("/")[2]
            ordinal = queue.removeprefix(f"{rules.name}-")
            if not ordinal.isdecimal() or int(ordinal) < keep or not self._queue_is_ours(queue, rules):
                continue
            for rule in kept:
                self._do(
                    f"rule {rule} does not send to {queue}",
                    self._events.remove_targets,
                    Rule=rule,
                    Ids=[queue],
                )
            self._do(f"no more queue {queue}", self._sqs.delete_queue, QueueUrl=url)

    def _make_queue(self, queue: str, rule_arn: str, rules: EventRules) -> None:
        attributes = {
            **QUEUE_ATTRIBUTES,
            "Policy": json.dumps(queue_policy(self._queue_arn(queue), rule_arn)),
        }
        if self._queue_is_ours(queue, rules) is None:
            tags = {TAG: rules.name}
            self._do(
                f"queue {queue}", self._sqs.create_queue, QueueName=queue, Attributes=attributes, tags=tags
            )
        else:
            url = self._call(self._sqs.get_queue_url, QueueName=queue)["QueueUrl"]
            self._do(
                f"queue {queue} is up to date",
                self._sqs.set_queue_attributes,
                QueueUrl=url,
                Attributes=attributes,
            )

    def _is_ours(self, rule: str, rules: EventRules) -> bool | None:
        """None if there is no such rule."""
        try:
            arn = self._call(self._events.describe_rule, Name=rule)["Arn"]
        except ClientError:
            return None
        tags = self._call(self._events.list_tags_for_resource, ResourceARN=arn)["Tags"]
        return self._checked(f"rule {rule}", {tag["Key"]: tag["Value"] for tag in tags}, rules)

    def _queue_is_ours(self, queue: str, rules: EventRules) -> bool | None:
        """None if there is no such queue."""
        try:
            url = self._call(self._sqs.get_queue_url, QueueName=queue)["QueueUrl"]
        except ClientError:
            return None
        return self._checked(
            f"queue {queue}", self._call(self._sqs.list_queue_tags, QueueUrl=url).get("Tags", {}), rules
        )

    @staticmethod
    def _checked(what: str, tags: dict[str, str], rules: EventRules) -> bool:
        if tags.get(TAG) != rules.name:
            raise EventRulesError(
                f"There is a {what} without the tag {TAG}={rules.name}: it is not ours to change. Take another --name."
            )
        return True

    def _rule_arn(self, rule: str) -> str:
        return f"arn:{self.partition}:events:{self.region}:{self.account()}:rule/{rule}"

    def _queue_arn(self, queue: str) -> str:
        return f"arn:{self.partition}:sqs:{self.region}:{self.account()}:{queue}"

    def _do(self, what: str, operation: Callable[..., Any], **members: Any) -> None:
        if not self._dry_run:
            self._call(operation, **members)
        self._say(f"{'would: ' if self._dry_run else ''}{what}")

    @staticmethod
    def _call(operation: Callable[..., Any], **members: Any) -> Any:
        """:raises ClientError: there is no such rule or queue."""
        try:
            return operation(**members)
        except ClientError as error:
            if is_denied(error):
                raise EventRulesError(
                    f"{error.operation_name} is not permitted ({error}). `airflow-spot events policy --for setup` prints "
                    "what is needed; what the lines above say has been done, and a second run goes on from there."
                ) from error
            if code_of(error) in {
                "AWS.SimpleQueueService.NonExistentQueue",
                "QueueDoesNotExist",
                "ResourceNotFoundException",
            }:
                raise
            raise EventRulesError(f"AWS refused {error.operation_name}: {error}") from error
