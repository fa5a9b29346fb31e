"""What there is in the account already."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from airflow_spot_provider.aws.event_rules.calls import Calls, EventRulesError, NotThere
from airflow_spot_provider.aws.event_rules.rules import PATTERN, TAG, EventRules


@dataclass(frozen=True)
class FoundRule:
    """A rule of ours.

    :param selects_our_events: whether it is on, with our pattern.
    :param targets: ARN of each target, by its id.
    """

    selects_our_events: bool
    targets: Mapping[str, str]


@dataclass(frozen=True)
class FoundQueue:
    """A queue of ours."""

    url: str
    attributes: Mapping[str, str]


@dataclass
class Found:
    """What bears a name of these rules and queues.

    :param others: what another set-up has made (name ``x-2`` beside the second rule of ``x``): each with that set-up's name.
    """

    rules: dict[str, FoundRule] = field(default_factory=dict)
    queues: dict[str, FoundQueue] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)


def find(calls: Calls, rules: EventRules) -> Found:
    """Look at all rules and queues that bear a name of these.

    :raises EventRulesError: one of them is nobody's set-up: it is not ours to change. Nothing has been changed then.
    """
    found = Found()
    foreign: list[str] = []
    for page in calls.pages("events", "list_rules", NamePrefix=rules.name):
        for rule in page["Rules"]:
            if not rules.names_a_rule(rule["Name"]):
                continue
            with suppress(NotThere):  # deleted since it was listed
                _sort_rule(calls, rules, rule, found, foreign)
    for page in calls.pages("sqs", "list_queues", QueueNamePrefix=f"{rules.name}-"):
        for url in page.get("QueueUrls") or []:
            if not rules.names_a_queue(url.rpartition("/")[2]):
                continue
            with suppress(NotThere):  # a deleted queue is listed for up to a minute
                _sort_queue(calls, rules, url, found, foreign)
    if foreign:
        raise EventRulesError(
            f"Without the tag {TAG}, and so not ours to change: {', '.join(foreign)}. Nothing was changed. Take another "
            f"--name than {rules.name}, or remove or rename them yourself."
        )
    return found


def _sort_rule(
    calls: Calls, rules: EventRules, rule: Mapping[str, Any], found: Found, foreign: list[str]
) -> None:
    name = rule["Name"]
    tags = calls.call("events", "list_tags_for_resource", ResourceARN=rule["Arn"])["Tags"]
    owner = next((tag["Value"] for tag in tags if tag["Key"] == TAG), None)
    if owner is None:
        foreign.append(f"rule {name}")
    elif owner != rules.name:
        found.others[f"rule {name}"] = owner
    else:
        targets = calls.pages("events", "list_targets_by_rule", Rule=name)
        found.rules[name] = FoundRule(
            selects_our_events=rule.get("State") == "ENABLED"
            and json.loads(rule.get("EventPattern") or "null") == PATTERN,
            targets={target["Id"]: target["Arn"] for page in targets for target in page["Targets"]},
        )


def _sort_queue(calls: Calls, rules: EventRules, url: str, found: Found, foreign: list[str]) -> None:
    name = url.rpartition("/")[2]
    owner = (calls.call("sqs", "list_queue_tags", QueueUrl=url).get("Tags") or {}).get(TAG)
    if owner is None:
        foreign.append(f"queue {name}")
    elif owner != rules.name:
        found.others[f"queue {name}"] = owner
    else:
        answer = calls.call("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["All"])
        found.queues[name] = FoundQueue(url, answer.get("Attributes") or {})
