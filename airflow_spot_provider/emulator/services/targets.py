"""What EventBridge's rules do with an event: which of them match it, and what their targets get."""

from __future__ import annotations

import copy
import json
import logging
import re
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jsonpath_ng.ext.parser import parse
from moto.events.models import Rule, events_backends
from moto.logs.models import logs_backends
from moto.sqs.models import Message, sqs_backends
from moto.utilities.arns import parse_arn

log = logging.getLogger(__name__)

Event = Mapping[str, Any]
_VARIABLE = re.compile(r"<([A-Za-z0-9_.-]+)>")
_QUOTE = re.compile(r'(?<!\\)"')


def rules_of(account_id: str, region: str) -> list[Rule]:
    """The rules that hear of what AWS services do: those of the default bus, switched on, with targets."""
    rules = events_backends[account_id][region].event_buses["default"].rules
    # moto takes new rules in on other threads.
    return [rule for rule in list(rules.values()) if rule.state == "ENABLED" and rule.targets]


def deliver(event: Event, at: datetime) -> None:
    """Put an event through the rules of its account and region. What cannot be delivered is logged, as a loss.

    :param event: as its receivers see it.
    :param at: the emulated time.
    """
    for rule in rules_of(event["account"], event["region"]):
        if not rule.event_pattern.matches_event(copy.deepcopy(event)):  # type: ignore[arg-type]  # a dict of that shape
            continue
        for target in list(rule.targets):
            try:
                _send(rule, target, event, at)
            except Exception:
                # The queue may be gone or may not take it. That is between rule and target; the training job knows nothing of it.
                log.exception(
                    "The event %s of rule %s did not reach %s", event["id"], rule.name, target["Arn"]
                )


def _send(rule: Rule, target: Mapping[str, Any], event: Event, at: datetime) -> None:
    arn = parse_arn(target["Arn"])
    if arn.service == "sqs":
        group_id = (target.get("SqsParameters") or {}).get("MessageGroupId")
        _send_to_queue(arn.account, arn.region, arn.resource_id, _input_of(target, event), group_id)
    elif arn.service == "logs":
        group = logs_backends[arn.account][arn.region].groups[arn.resource_id.removesuffix(":*")]
        if event["id"] not in group.streams:
            group.create_log_stream(event["id"])
        line = {"timestamp": int(at.timestamp() * 1000), "message": _input_of(target, event)}
        group.put_log_events(event["id"], [line])
    else:
        # Other buses and archives are moto's, which takes times as numbers here; whatever else it has not, it says.
        alone = copy.copy(rule)
        alone.targets = [dict(target)]
        times = {"time": at.timestamp(), "ingestion-time": at.timestamp()}
        alone.send_to_targets({**copy.deepcopy(event), **times})  # type: ignore[typeddict-item]  # that shape, as a dict


def _send_to_queue(account_id: str, region: str, name: str, body: str, group_id: str | None) -> None:
    backend = sqs_backends[account_id][region]
    queue = backend.get_queue(name)
    if queue.fifo_queue:
        backend.send_message(queue_name=name, message_body=body, group_id=group_id)
        return
    # moto's own way looks at every message that waits in the queue for each one that comes.
    message = Message(str(uuid.uuid4()), body)
    message.mark_sent(delay_seconds=queue.delay_seconds)  # type: ignore[attr-defined]  # moto sets it by its name
    queue.add_message(message)


def _input_of(target: Mapping[str, Any], event: Event) -> str:
    """What a target gets of an event: all of it, or what the target says.

    Source: `EventBridge input transformation <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html>`_.
    """
    if (fixed := target.get("Input")) is not None:
        return str(fixed)
    if (path := target.get("InputPath")) is not None:
        return json.dumps(_found(path, event))
    if (transformer := target.get("InputTransformer")) is not None:
        paths: Mapping[str, str] = transformer.get("InputPathsMap") or {}
        values = {name: _found(path, event) for name, path in paths.items()}
        values |= {
            "aws.events.event.json": event,
            "aws.events.event": event,
            "aws.events.event.ingestion-time": event["time"],
        }
        return _filled(transformer["InputTemplate"], values)
    return json.dumps(event)


def _found(path: str, event: Event) -> Any:
    matches = parse(path).find(event)
    return matches[0].value if matches else None


def _filled(template: str, values: Mapping[str, Any]) -> str:
    """The template with its variables: as JSON, or as text where they stand in a string."""

    def _value(match: re.Match[str]) -> str:
        value = values.get(match[1])
        if not len(_QUOTE.findall(template, 0, match.start())) % 2:
            return json.dumps(value)
        text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
        return json.dumps(text)[1:-1]

    return _VARIABLE.sub(_value, template)
