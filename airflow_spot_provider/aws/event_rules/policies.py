"""Who may do what: the policies of a queue, of a triggerer, and of whoever sets push mode up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_spot_provider.aws.event_rules.rules import EventRules

_LOG_GROUP = "/aws/sagemaker/TrainingJobs"
_WATCH = (
    "sagemaker:ListTrainingJobs",
    "sagemaker:DescribeTrainingJob",
    "sagemaker:ListHyperParameterTuningJobs",
    "sagemaker:DescribeHyperParameterTuningJob",
)
_STOP_WHAT_IS_KILLED = ("sagemaker:StopTrainingJob", "sagemaker:AddTags", "sagemaker:ListTags")
_READ = ("sqs:GetQueueUrl", "sqs:ReceiveMessage", "sqs:DeleteMessage")
_MAKE_QUEUES = (
    "sqs:CreateQueue",
    "sqs:TagQueue",
    "sqs:ListQueueTags",
    "sqs:GetQueueAttributes",
    "sqs:SetQueueAttributes",
    "sqs:DeleteQueue",
)
_MAKE_RULES = (
    "events:PutRule",
    "events:TagResource",
    "events:ListTagsForResource",
    "events:PutTargets",
    "events:ListTargetsByRule",
    "events:RemoveTargets",
    "events:DeleteRule",
)
_FIND = ("sqs:ListQueues", "events:ListRules")


@dataclass(frozen=True)
class Arns:
    """What the ARNs of one account and region look like.

    :param partition: ``aws``, ``aws-cn``, ``aws-us-gov``.
    """

    partition: str
    region: str
    account: str

    def queue(self, name: str) -> str:
        """The ARN of a queue."""
        return f"arn:{self.partition}:sqs:{self.region}:{self.account}:{name}"

    def rule(self, name: str) -> str:
        """The ARN of a rule on the default bus."""
        return f"arn:{self.partition}:events:{self.region}:{self.account}:rule/{name}"

    def logs_of_training(self) -> list[str]:
        """The ARNs of the log group of training jobs and of its streams, in all regions."""
        group = f"arn:{self.partition}:logs:*:{self.account}:log-group:{_LOG_GROUP}"
        return [group, f"{group}:*"]


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


def queue_policies(rules: EventRules, arns: Arns) -> dict[str, dict[str, Any]]:
    """The policy of each queue, by the queue's name."""
    return {
        queue: queue_policy(arns.queue(queue), arns.rule(rule))
        for rule, queues in rules.rules()
        for queue in queues
    }


def triggerer_policy(rules: EventRules, arns: Arns) -> dict[str, Any]:
    """What a triggerer's role needs: to watch, to stop what is killed, to repeat the training log, and to read its queue."""
    return _policy(
        ("Watch", _WATCH, "*"),
        ("StopWhatIsKilled", _STOP_WHAT_IS_KILLED, "*"),
        ("RepeatTheTrainingLog", ("logs:FilterLogEvents",), arns.logs_of_training()),
        ("ReadEvents", _READ, _queues(rules, arns)),
    )


def setup_policy(rules: EventRules, arns: Arns) -> dict[str, Any]:
    """What ``airflow-spot events setup`` and ``teardown`` need themselves, besides sts:GetCallerIdentity, which needs no permission."""
    return _policy(
        ("Find", _FIND, "*"),
        ("MakeQueues", _MAKE_QUEUES, _queues(rules, arns)),
        ("MakeRules", _MAKE_RULES, [arns.rule(rules.name), *_numbered(arns.rule(rules.name))]),
    )


def _queues(rules: EventRules, arns: Arns) -> list[str]:
    return _numbered(arns.queue(rules.name))


def _numbered(arn: str) -> list[str]:
    """All numbers that there can be: IAM's ``?`` is one character. More triggerers then need no new policy."""
    return [f"{arn}-?", f"{arn}-??"]


def _policy(*statements: tuple[str, tuple[str, ...], str | list[str]]) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resource}
            for sid, actions, resource in statements
        ],
    }
