"""What push mode needs in AWS: rules of EventBridge that send SageMaker's events to a queue for each triggerer."""

from __future__ import annotations

from airflow_spot_provider.aws.event_rules.admin import EventRulesAdmin
from airflow_spot_provider.aws.event_rules.calls import EventRulesError
from airflow_spot_provider.aws.event_rules.policies import (
    Arns,
    queue_policies,
    queue_policy,
    setup_policy,
    triggerer_policy,
)
from airflow_spot_provider.aws.event_rules.rules import PATTERN, QUEUE_ATTRIBUTES, TAG, EventRules

__all__ = [
    "PATTERN",
    "QUEUE_ATTRIBUTES",
    "TAG",
    "Arns",
    "EventRules",
    "EventRulesAdmin",
    "EventRulesError",
    "queue_policies",
    "queue_policy",
    "setup_policy",
    "triggerer_policy",
]
