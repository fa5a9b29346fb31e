"""The console command ``airflow-spot``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_spot_provider import __version__

if TYPE_CHECKING:
    from airflow_spot_provider.aws.event_rules import EventRules, EventRulesAdmin


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    :param argv: its arguments; those of this process if left out.
    :return: exit status.
    """
    arguments = _parser().parse_args(argv)
    missing = [module for module in arguments.needs if find_spec(module) is None]
    if missing:
        print(
            f"airflow-spot {arguments.command} needs {', '.join(missing)}, which is not installed: "
            f"pip install 'airflow-spot-provider[{arguments.extra}]'",
            file=sys.stderr,
        )
        return int(arguments.not_run)
    status: int = arguments.run(arguments)
    return status


def _parser() -> argparse.ArgumentParser:
    from airflow_spot_provider.emulator import __main__ as emulator
    from airflow_spot_provider.emulator.rehearsal import arguments as rehearsal

    parser = argparse.ArgumentParser(
        prog="airflow-spot", description="Spot training on Amazon SageMaker from Airflow."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)

    command = commands.add_parser(
        "emulator", help="run a local SageMaker that really trains and really interrupts"
    )
    emulator.add_arguments(command)
    command.set_defaults(run=emulator.run, extra="emulator", needs=("moto", "flask"), not_run=1)

    command = commands.add_parser(
        "rehearse",
        help="run a training script uninterrupted, then interrupted, and report whether it resumes",
        epilog="Exit status: 0 passed, 1 something was found, 2 it could not be run.",
    )
    rehearsal.add_arguments(command)
    command.set_defaults(
        run=_rehearse, extra="emulator", needs=("moto", "flask", "rich", "watchdog"), not_run=2
    )

    command = commands.add_parser("demo", help="run an example DAG on a local SageMaker and a local Airflow")
    command.add_argument(
        "--dag", default="spot_training_branching", help="which of the example DAGs (default: %(default)s)"
    )
    command.add_argument("--keep", action="store_true", help="leave both up until Ctrl-C")
    command.add_argument(
        "--dags", type=Path, default=Path("dags"), help="folder of the example DAGs (default: %(default)s)"
    )
    command.add_argument(
        "--build", type=Path, default=Path("build"), help="folder to work in (default: %(default)s)"
    )
    command.add_argument(
        "--output",
        type=Path,
        help="where the figures are written (default: <build>/demo.json, demo-<dag>.json for others)",
    )
    command.set_defaults(
        run=_demo, extra="demo", needs=("moto", "flask", "rich", "httpx", "sklearn"), not_run=1
    )
    _add_events(commands)
    return parser


def _add_events(commands: Any) -> None:
    events = commands.add_parser(
        "events", help="have SageMaker's events sent to a queue for each triggerer (push mode)"
    )
    actions = events.add_subparsers(dest="action", required=True)
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
    events.set_defaults(run=_events, extra="", needs=(), not_run=1)


def _events(arguments: argparse.Namespace) -> int:
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
            print(json.dumps(_events_policy(arguments.whom, rules, admin), indent=2))
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


def _events_policy(whom: str, rules: EventRules, admin: EventRulesAdmin) -> dict[str, Any]:
    from airflow_spot_provider.aws.event_rules import queue_policies, setup_policy, triggerer_policy

    policy = {"triggerer": triggerer_policy, "setup": setup_policy, "queue": queue_policies}[whom]
    return policy(rules, admin.arns)


def _rehearse(arguments: argparse.Namespace) -> int:
    from airflow_spot_provider.emulator.rehearsal.command import run

    return run(arguments)


def _demo(arguments: argparse.Namespace) -> int:
    from airflow_spot_provider.demo import lifecycles
    from airflow_spot_provider.demo.run import run_demo

    there_are = sorted(file.stem for file in arguments.dags.glob("*.py"))
    if arguments.dag not in there_are:
        print(
            f"airflow-spot demo: {arguments.dags} has no {arguments.dag}.py; it has {', '.join(there_are) or 'no DAGs'}. Name "
            "one of them with --dag; or run it from a clone, or name the folder with --dags.",
            file=sys.stderr,
        )
        return 1
    name = "demo.json" if arguments.dag == lifecycles.DAG_ID else f"demo-{arguments.dag}.json"
    return run_demo(
        arguments.dag,
        dags=arguments.dags,
        build=arguments.build,
        output=arguments.output or arguments.build / name,
        keep=arguments.keep,
    )


if __name__ == "__main__":
    sys.exit(main())
