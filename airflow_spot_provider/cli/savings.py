"""``airflow-spot savings``: what spot saved and cost."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_spot_provider.cli.periods import since
from airflow_spot_provider.cli.terminal import Column, Row, say, say_json, show

if TYPE_CHECKING:
    from airflow_spot_provider.published.sums import Sum
    from airflow_spot_provider.training import Cost

EPILOG = "Exit status: 0 told (there may be nothing to tell), 1 Airflow's metadata database cannot be read, 2 wrong arguments."
_GROUPS = ("dag", "task", "instance_type")
_UNKNOWN = "not known"
_HOUR = 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add its arguments to a parser."""
    parser.add_argument(
        "--since",
        type=since,
        default="30d",
        metavar="TIME",
        help="of tasks that published something since: 30m, 12h, 30d, 4w ago, or an ISO date (default: %(default)s)",
    )
    parser.add_argument(
        "--by", choices=_GROUPS, default="dag", help="one line for each (default: %(default)s)"
    )
    parser.add_argument(
        "--dag",
        action="append",
        metavar="DAG_ID",
        dest="dag_ids",
        help="of this DAG only; can be given several times",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Tell it, and return the exit status."""
    from airflow_spot_provider.cli.database import NoDatabase, metadata_database
    from airflow_spot_provider.training import InvalidSpotRequest

    try:
        with metadata_database() as session:
            from airflow_spot_provider.published.sums import figures

            sums = figures(
                session,
                now=datetime.now(UTC),
                since=arguments.since,
                group_by=arguments.by,
                dag_ids=arguments.dag_ids,
            )
    except (NoDatabase, InvalidSpotRequest) as error:
        say(f"airflow-spot savings: {error}", to=sys.stderr)
        return 1
    total = _total(sums)
    if arguments.json:
        say_json(_answer(arguments, sums, total))
    elif not sums:
        of = f" of {', '.join(arguments.dag_ids)}" if arguments.dag_ids else ""
        say(
            f"No spot task{of} has published anything since {_told(arguments.since)}: ask about a longer time with --since, and "
            "see that this is the right Airflow. Tasks that were cleared, or whose XComs were removed, are not counted."
        )
    else:
        _show(arguments, sums, total)
    return 0


def _show(arguments: argparse.Namespace, sums: Sequence[Sum], total: Sum) -> None:
    heading = {"dag": "DAG", "task": "Task", "instance_type": "Instance type"}[arguments.by]
    columns = [
        Column(heading, foldable=True),
        Column("Jobs", right=True),
        Column("Unknown", right=True, under=True),
        Column("Savings", right=True),
        Column("Interruptions", right=True),
        Column("Waited", right=True, under=True),
        Column("Billed hours", right=True),
        Column("Trained hours", right=True, under=True),
        Column("Cost", right=True),
        Column("On demand", right=True, under=True),
        Column("Prices of", right=True, under=True),
        Column("Outcomes", foldable=True),
    ]
    rows = [row for each in sums for row in _rows(".".join(each.group), each)]
    rows += _rows("total", total, style="bold")
    show(columns, rows)
    say(
        f"Of {total.tasks:,} {'task' if total.tasks == 1 else 'tasks'} that published something since "
        f"{arguments.since:%Y-%m-%d %H:%M} UTC; Jobs are those that ended, and Interruptions and Waited are theirs."
    )
    if total.no_price:
        jobs = "1 job" if total.no_price == 1 else f"{total.no_price:,} jobs"
        say(f"Of {jobs} no price is known: no cost has them in it.")


def _rows(name: str, total: Sum, *, style: str = "") -> list[Row]:
    """One row for each currency: two are never added."""
    from airflow_spot_provider.training.narration import duration, money

    savings = total.savings
    figures = (
        f"{savings.jobs + savings.unknown:,}",
        f"{savings.unknown:,}",
        _UNKNOWN if savings.percent is None else f"{savings.percent:.1f}%",
        f"{total.interruptions:,}",
        duration(total.waiting_seconds),
        f"{savings.billable_instance_seconds / _HOUR:,.2f}",
        f"{savings.training_instance_seconds / _HOUR:,.2f}",
    )
    outcomes = ", ".join(f"{number:,} {outcome}" for outcome, number in sorted(total.outcomes.items()))
    costs = [
        (money(each.amount, each.currency), money(each.on_demand, each.currency), each.price_date)
        for each in _by_currency(total)
    ] or [(_UNKNOWN, _UNKNOWN, "")]
    first = Row((name, *figures, *costs[0], outcomes), style)
    return [first, *(Row(("", *("" for _ in figures), *cost, ""), style) for cost in costs[1:])]


def _total(sums: Sequence[Sum]) -> Sum:
    from airflow_spot_provider.published.sums import Sum
    from airflow_spot_provider.training import Cost, Savings

    total = Sum(())
    total.savings = Savings.total(each.savings for each in sums)
    total.money = Cost.total(cost for each in sums for cost in each.money.values())
    for each in sums:
        total.tasks += each.tasks
        total.interruptions += each.interruptions
        total.waiting_seconds += each.waiting_seconds
        total.no_price += each.no_price
        for outcome, number in each.outcomes.items():
            total.outcomes[outcome] = total.outcomes.get(outcome, 0) + number
    return total


def _answer(arguments: argparse.Namespace, sums: Sequence[Sum], total: Sum) -> dict[str, Any]:
    names = {"dag": ("dag_id",), "task": ("dag_id", "task_id"), "instance_type": ("instance_type",)}
    return {
        "since": _told(arguments.since),
        "by": arguments.by,
        "dag_ids": arguments.dag_ids,
        "groups": [
            {**dict(zip(names[arguments.by], each.group, strict=True)), **_figures(each)} for each in sums
        ],
        "total": _figures(total),
    }


def _figures(total: Sum) -> dict[str, Any]:
    savings = total.savings
    return {
        "tasks": total.tasks,
        "jobs": savings.jobs + savings.unknown,
        "unknown": savings.unknown,
        "savings_percent": savings.percent,
        "interruptions": total.interruptions,
        "waiting_seconds": total.waiting_seconds,
        "training_instance_seconds": savings.training_instance_seconds,
        "billable_instance_seconds": savings.billable_instance_seconds,
        "money": [
            {
                "currency": each.currency,
                "cost": each.amount,
                "on_demand_cost": each.on_demand,
                "price_date": each.price_date,
            }
            for each in _by_currency(total)
        ],
        "no_price": total.no_price,
        "outcomes": total.outcomes,
    }


def _by_currency(total: Sum) -> list[Cost]:
    return sorted(total.money.values(), key=lambda each: each.currency)


def _told(time: datetime) -> str:
    return time.isoformat(timespec="seconds")
