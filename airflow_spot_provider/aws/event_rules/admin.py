"""Make what push mode needs, and remove it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cached_property
from typing import Any

from airflow_spot_provider.aws.event_rules.calls import Calls, EventRulesError, NotThere
from airflow_spot_provider.aws.event_rules.found import Found, FoundQueue, FoundRule, find
from airflow_spot_provider.aws.event_rules.policies import Arns, queue_policy
from airflow_spot_provider.aws.event_rules.rules import PATTERN, QUEUE_ATTRIBUTES, TAG, EventRules

_DONE = {"make": "made", "update": "updated", "remove": "removed"}


class EventRulesAdmin:
    """Makes and removes rules and queues; a second time changes nothing.

    :param session: boto3 session.
    :param endpoint_url: of another AWS, such as the emulator.
    :param account: the AWS account; None to ask whose the credentials are.
    :param say: gets a line for each change, once it is made.
    :param dry_run: only say what would be done.
    :raises ValueError: the account is none.
    :raises BotoCoreError: no region is known, or there is no such profile.
    """

    def __init__(
        self,
        session: Any,
        *,
        endpoint_url: str | None = None,
        account: str | None = None,
        say: Callable[[str], None] | None = None,
        dry_run: bool = False,
    ) -> None:
        if account is not None and not re.fullmatch(r"\d{12}", account):
            raise ValueError(f"--account is {account!r}; it takes the 12 digits of an AWS account.")
        self._calls = Calls(session, endpoint_url=endpoint_url)
        self._account = account
        self._say = say
        self._dry_run = dry_run
        self.changes: list[str] = []
        """What was done, or would be: the lines that ``say`` got."""

    @cached_property
    def arns(self) -> Arns:
        """What ARNs look like in the account that the credentials belong to.

        :raises EventRulesError: AWS does not take the credentials.
        """
        account = self._account or self._calls.call("sts", "get_caller_identity")["Account"]
        return Arns(self._calls.partition, self._calls.region, str(account))

    def triggerers(self, name: str) -> int:
        """How many queues there are under a name.

        :raises ValueError: the name is none that setup takes.
        :raises EventRulesError: as of ``setup``.
        """
        queues = find(self._calls, EventRules(name)).queues
        return max((int(queue.rpartition("-")[2]) + 1 for queue in queues), default=0)

    def setup(self, wanted: EventRules) -> None:
        """Make what is missing, bring what is there up to date, remove what is too much.

        :raises EventRulesError: something of that name is not ours, a permission is missing, or AWS refuses otherwise. The
            message says what was done before; a second run goes on from there.
        """
        found = find(self._calls, wanted)
        for rule, queues in wanted.rules():
            for what in (f"rule {rule}", *(f"queue {queue}" for queue in queues)):
                if what in found.others:
                    raise EventRulesError(
                        f"The {what} belongs to what was set up with --name {found.others[what]}. Nothing was changed. "
                        f"Take another --name than {wanted.name}."
                    )
        for rule, queues in wanted.rules():
            self._set_up_rule(rule, found.rules.get(rule), wanted)
            for queue in queues:
                self._set_up_queue(queue, rule, found.queues.get(queue), wanted)
            self._set_up_targets(rule, queues, found.rules.get(rule), wanted)
        self._remove(found, keep=wanted)

    def teardown(self, name: str) -> None:
        """Remove all that setup made under a name; what is gone already is fine.

        :raises ValueError: the name is none that setup takes.
        :raises EventRulesError: as of ``setup``.
        """
        self._remove(find(self._calls, EventRules(name)), keep=None)

    def _set_up_rule(self, rule: str, found: FoundRule | None, wanted: EventRules) -> None:
        if found is not None and found.selects_our_events:
            return
        # PutRule does not take tags for a rule that is there.
        tags = {} if found else {"Tags": [{"Key": TAG, "Value": wanted.name}]}
        self._do(
            "update" if found else "make",
            f"rule {rule}",
            "events",
            "put_rule",
            Name=rule,
            EventPattern=json.dumps(PATTERN),
            State="ENABLED",
            **tags,
        )

    def _set_up_queue(self, queue: str, rule: str, found: FoundQueue | None, wanted: EventRules) -> None:
        policy = queue_policy(self.arns.queue(queue), self.arns.rule(rule))
        attributes = {**QUEUE_ATTRIBUTES, "Policy": json.dumps(policy)}
        if found is None:
            tags = {TAG: wanted.name}
            self._do(
                "make",
                f"queue {queue}",
                "sqs",
                "create_queue",
                QueueName=queue,
                Attributes=attributes,
                tags=tags,
            )
        elif not _is_up_to_date(found, policy):
            self._do(
                "update",
                f"queue {queue}",
                "sqs",
                "set_queue_attributes",
                QueueUrl=found.url,
                Attributes=attributes,
            )

    def _set_up_targets(
        self, rule: str, queues: list[str], found: FoundRule | None, wanted: EventRules
    ) -> None:
        targets = found.targets if found else {}
        # First, for a rule takes five; a target that somebody has added to ours is theirs.
        if surplus := [name for name in targets if wanted.names_a_queue(name) and name not in queues]:
            self._remove_targets(rule, surplus)
        missing = [queue for queue in queues if targets.get(queue) != self.arns.queue(queue)]
        if missing:
            self._do(
                "make",
                f"targets of rule {rule}: {', '.join(missing)}",
                "events",
                "put_targets",
                Rule=rule,
                Targets=[{"Id": queue, "Arn": self.arns.queue(queue)} for queue in missing],
            )

    def _remove(self, found: Found, *, keep: EventRules | None) -> None:
        kept_rules = {rule for rule, _ in keep.rules()} if keep else set()
        kept_queues = set(keep.queues()) if keep else set()
        for name, rule in found.rules.items():
            if name not in kept_rules:
                if rule.targets:
                    self._remove_targets(name, list(rule.targets))
                self._do("remove", f"rule {name}", "events", "delete_rule", Name=name)
        for name, queue in found.queues.items():
            if name not in kept_queues:
                self._do("remove", f"queue {name}", "sqs", "delete_queue", QueueUrl=queue.url)

    def _remove_targets(self, rule: str, ids: list[str]) -> None:
        what = f"targets of rule {rule}: {', '.join(ids)}"
        self._do("remove", what, "events", "remove_targets", Rule=rule, Ids=ids)

    def _do(self, verb: str, what: str, service: str, operation: str, **members: Any) -> None:
        if not self._dry_run:
            try:
                self._calls.call(service, operation, **members)
            except NotThere:
                if verb != "remove":
                    raise
            except EventRulesError as error:
                done = "; ".join(self.changes) or "nothing"
                raise EventRulesError(
                    f"{error} Done before: {done}. A second run goes on from there."
                ) from error
        change = f"would {verb} {what}" if self._dry_run else f"{_DONE[verb]} {what}"
        self.changes.append(change)
        if self._say:
            self._say(change)


def _is_up_to_date(queue: FoundQueue, policy: dict[str, Any]) -> bool:
    attributes = {name: queue.attributes.get(name, "").lower() for name in QUEUE_ATTRIBUTES}
    return attributes == QUEUE_ATTRIBUTES and json.loads(queue.attributes.get("Policy") or "null") == policy
