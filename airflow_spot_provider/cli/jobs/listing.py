"""``airflow-spot jobs``: from its arguments to what it prints."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from airflow_spot_provider._compat.sdk import AirflowException
from airflow_spot_provider.aws.errors import is_denied, is_worth_a_retry
from airflow_spot_provider.cli.database import NoDatabase
from airflow_spot_provider.cli.jobs.arguments import EVERY_SECONDS
from airflow_spot_provider.cli.jobs.connection import HookOfACommand, NoConnection
from airflow_spot_provider.cli.jobs.looking import Looks, Seen
from airflow_spot_provider.cli.jobs.standing import Standing
from airflow_spot_provider.cli.jobs.stopping import stop_orphans
from airflow_spot_provider.cli.jobs.telling import COLUMNS, json_of, row_of, sentences_of
from airflow_spot_provider.cli.terminal import clean, is_looked_at, rich_table, say, say_json, show, terminal

DONE, NOT_DONE, WRONG_ARGUMENTS, INTERRUPTED = 0, 1, 2, 130
_UNSAID = timedelta(hours=24)
_CREDENTIALS = "those of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or of --profile"


def run(arguments: argparse.Namespace) -> int:
    """List, watch or stop them, and return the exit status."""
    if problem := _conflict(arguments):
        _warn(problem)
        return WRONG_ARGUMENTS
    hook = HookOfACommand(
        conn_id=arguments.conn_id,
        region=arguments.region,
        profile=arguments.profile,
        endpoint_url=arguments.endpoint_url,
        warn=_warn,
    )
    looks = Looks(hook, warn=_warn)
    try:
        if arguments.watch:
            return _watch(arguments, looks, hook)
        if arguments.stop_orphans:
            return stop_orphans(looks, hook, sure=arguments.yes, as_json=arguments.json, warn=_warn)
        seen = looks.all(ended_since=_ended_since(arguments))
        if arguments.json:
            say_json([json_of(each, seen.now) for each in seen.jobs])
        else:
            _tell(arguments, seen, looks, hook)
    except KeyboardInterrupt:
        return DONE if arguments.watch else INTERRUPTED
    except (ClientError, BotoCoreError, AirflowException, NoConnection, NoDatabase, ValueError) as error:
        _warn(_explained(error, arguments))
        return NOT_DONE
    return DONE


def _conflict(arguments: argparse.Namespace) -> str | None:
    if arguments.conn_id and (arguments.profile or arguments.endpoint_url):
        return (
            "--conn-id names a connection, which has credentials and endpoint; --profile and --endpoint-url are used instead of one: "
            f"give one or the other. With --endpoint-url credentials are {_CREDENTIALS}."
        )
    if arguments.watch and arguments.json:
        return "--watch is for a person who looks on, --json for a program: give one of the two."
    if arguments.every is not None and not arguments.watch:
        return "--every says how often --watch looks again: give both."
    if arguments.yes and not arguments.stop_orphans:
        return "--yes answers what --stop-orphans asks: give both."
    return None


def _ended_since(arguments: argparse.Namespace) -> datetime | None:
    given: datetime | None = arguments.since
    return given or (datetime.now(UTC) - _UNSAID if arguments.all else None)


def _tell(arguments: argparse.Namespace, seen: Seen, looks: Looks, hook: HookOfACommand) -> None:
    if seen.jobs:
        show(COLUMNS, [row_of(each, seen.now) for each in seen.jobs])
    for sentence in _sentences(arguments, seen, looks, hook):
        say(sentence)


def _sentences(arguments: argparse.Namespace, seen: Seen, looks: Looks, hook: HookOfACommand) -> list[str]:
    return sentences_of(
        seen,
        region=hook.conn_region_name,
        deployment=looks.deployment,
        with_ended=_ended_since(arguments) is not None,
    )


def _watch(arguments: argparse.Namespace, looks: Looks, hook: HookOfACommand) -> int:
    """Look again and again; where AWS cannot be asked once, it may the next time."""
    every: float = EVERY_SECONDS if arguments.every is None else arguments.every
    seen: Seen | None = looks.all(ended_since=_ended_since(arguments))
    if not is_looked_at():
        while True:
            if seen is not None:
                say(f"{_in_progress(seen)}.")
                _tell(arguments, seen, looks, hook)
                say("")
            time.sleep(every)
            seen = _another(arguments, looks, every)
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    with Live(console=terminal(), auto_refresh=False) as live:
        while True:
            if seen is not None:
                # What there is to say comes first: a table may be longer than the terminal.
                above = [_summary(seen, every), *_sentences(arguments, seen, looks, hook)]
                table = rich_table(COLUMNS, [row_of(each, seen.now) for each in seen.jobs])
                live.update(Group(*(Text(clean(line)) for line in above), table), refresh=True)
            time.sleep(every)
            seen = _another(arguments, looks, every)


def _another(arguments: argparse.Namespace, looks: Looks, every: float) -> Seen | None:
    """Another look; None where AWS cannot be asked just now."""
    try:
        return looks.all(ended_since=_ended_since(arguments))
    except (ClientError, BotoCoreError) as error:
        if not is_worth_a_retry(error):
            raise
        _warn(f"{_explained(error, arguments)} Looking again in {every:g} s.")
        return None


def _summary(seen: Seen, every: float) -> str:
    return f"{_in_progress(seen)}; again every {every:g} s, Ctrl-C ends."


def _in_progress(seen: Seen) -> str:
    running = len(seen.jobs) - len(seen.of(Standing.ENDED))
    return f"{running} in progress at {seen.now:%Y-%m-%d %H:%M:%S} UTC"


def _explained(error: BaseException, arguments: argparse.Namespace) -> str:
    """What to do about an error of AWS, or of Airflow."""
    given = {"--profile": arguments.profile, "--endpoint-url": arguments.endpoint_url}
    instead = " and ".join(option for option, value in given.items() if value)
    no_connection = f"{instead} stands instead of a connection" if instead else ""
    if isinstance(error, NoRegionError):
        if instead:
            return f"{error} Give --region, or a --profile that has one: {no_connection}."
        return f"{error} Give --region, or a connection or --profile that has one."
    if isinstance(error, NoCredentialsError):
        if instead:
            return f"{error}. Give {_CREDENTIALS}: {no_connection}."
        return f"{error}. Give --conn-id or --profile, or log in to AWS."
    if is_denied(error):
        return (
            f"AWS refuses it: {error}. Listing takes sagemaker:Search, or sagemaker:ListTrainingJobs, "
            "sagemaker:ListHyperParameterTuningJobs and sagemaker:ListTags; orphans take sagemaker:DescribeTrainingJob, "
            "sagemaker:DescribeHyperParameterTuningJob and sagemaker:ListTags as well, and stopping them sagemaker:StopTrainingJob, "
            "sagemaker:StopHyperParameterTuningJob and sagemaker:AddTags."
        )
    if isinstance(error, ClientError):
        return f"AWS says: {error}"
    return str(error)


def _warn(sentence: str) -> None:
    say(f"airflow-spot jobs: {sentence}", to=sys.stderr)
