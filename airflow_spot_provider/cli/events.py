"""``airflow-spot events``: setup, teardown, policy."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_spot_provider.aws.event_rules import EventRules, EventRulesAdmin


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the three actions, with their arguments, to a parser."""
    actions = parser.add_subparsers(dest="action", required=True)
    for name, text in (
        ("setup", "make the queues and the EventBridge rules; a second time changes nothing"),
        ("teardown", "remove them"),
        ("policy", "print the policy that is needed, as JSON"),
    ):
        action = actions.add_parser(name, help=text)
        action.add_argument(
            "--name", default="airflow-spot-events", help="of rules and queues (default: %(default)s)"
        )
        action.add_argument("--region", help="AWS region of the training jobs")
        action.add_argument("--profile", help="AWS profile to take credentials from")
        action.add_argument("--endpoint-url", help="another AWS, such as a local emulator")
        if name == "policy":
            action.add_argument(
                "--for",
                dest="whom",
                choices=("triggerer", "setup", "queue"),
                default="triggerer",
                help="IAM policy of a triggerer, or of whoever runs setup and teardown; or each queue's own policy "
                "(default: %(default)s)",
            )
            action.add_argument("--account", help="AWS account of the queues (default: the credentials')")
        else:
            action.add_argument("--dry-run", action="store_true", help="only say what would be done")
            action.add_argument("--json", action="store_true", help="tell the result as JSON")
        if name != "teardown":
            action.add_argument(
                "--triggerers",
                type=int,
                help="how many queues: one for each (default: as many as there are, or one)",
            )


def run(arguments: argparse.Namespace) -> int:
    """Do it, and return the exit status."""
    import boto3
    from botocore.exceptions import BotoCoreError, NoCredentialsError, NoRegionError

    from airflow_spot_provider.aws.event_rules import EventRules, EventRulesAdmin, EventRulesError

    as_json = getattr(arguments, "json", False)
    try:
        rules = EventRules(arguments.name, _given(arguments, "triggerers", 1))
        admin = EventRulesAdmin(
            boto3.Session(profile_name=arguments.profile, region_name=arguments.region),
            endpoint_url=arguments.endpoint_url,
            account=_given(arguments, "account", None),
            say=None if as_json else print,
            dry_run=_given(arguments, "dry_run", False),
        )
        if arguments.action == "policy":
            print(json.dumps(_policy(arguments.whom, rules, admin), indent=2))
            return 0
        if arguments.action == "setup":
            if arguments.triggerers is None:
                # Without a number nobody's queue is removed.
                rules = EventRules(rules.name, admin.triggerers(rules.name) or 1)
            admin.setup(rules)
        else:
            admin.teardown(rules.name)
    except (ValueError, EventRulesError, BotoCoreError) as error:
        advice = ""
        if isinstance(error, NoRegionError):
            advice = " Give --region, or a --profile that has one."
        elif isinstance(error, NoCredentialsError):
            advice = ". Give --profile, or log in to AWS."
        print(f"airflow-spot events {arguments.action}: {error}{advice}", file=sys.stderr)
        return 1
    setting = rules.setting() if arguments.action == "setup" else None
    if as_json:
        print(json.dumps({"dry_run": arguments.dry_run, "changes": admin.changes, "events_queue": setting}))
        return 0
    if not admin.changes:
        print("Nothing to change.")
    if setting:
        print(
            f"Airflow reads the events with:\n\n[airflow_spot]\nevents_queue = {setting}\n\n"
            f"or AIRFLOW__AIRFLOW_SPOT__EVENTS_QUEUE={setting}; see docs/push.md."
        )
    return 0


def _given(arguments: argparse.Namespace, name: str, default: Any) -> Any:
    """An option that not every action has."""
    value = getattr(arguments, name, None)
    return default if value is None else value


def _policy(whom: str, rules: EventRules, admin: EventRulesAdmin) -> dict[str, Any]:
    from airflow_spot_provider.aws.event_rules import queue_policies, setup_policy, triggerer_policy

    policy = {"triggerer": triggerer_policy, "setup": setup_policy, "queue": queue_policies}[whom]
    return policy(rules, admin.arns)
