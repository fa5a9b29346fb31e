"""A report in words: what a headline, a task log and the cells of a table say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_spot_provider.training.narration import duration, money

UNKNOWN = "not known"
HEADINGS = ("Jobs", "Savings", "Interruptions", "Without an instance", "Cost, of on demand", "Outcomes")
_MOST_LISTED = 20
_MOST_LOGGED = 15


def headline_of(report: Mapping[str, Any]) -> str:
    """What it all came to, in a sentence or two."""
    jobs = report["jobs"] + report["unknown"]
    unknown = f" ({report['unknown']} without a figure)" if report["unknown"] else ""
    paid = "; ".join(
        f"{money(each['cost'], each['currency'])} instead of {money(each['on_demand_cost'], each['currency'])} on demand "
        f"(prices of {each['price_date']})"
        for each in report["money"]
    )
    no_price = f"; {report['no_price']} without a price" if report["no_price"] and paid else ""
    percent = report["savings_percent"]
    saved = "Savings are not known" if percent is None else f"Saved {percent:.1f}%"
    return (
        f"{saved} over {count(jobs, 'training job')}{unknown}. Cost: {paid or UNKNOWN}{no_price}. "
        f"{count(report['interruptions'], 'interruption')}, {duration(report['waiting_seconds'])} without an instance."
    )


def trend_sentence(trend: Mapping[str, Any] | None) -> str | None:
    """How the newest run differs from the one before; None if there is none."""
    if trend is None:
        return None
    return f"Against {trend['against']}: {', '.join(' '.join(each) for each in changes_of(trend))}."


def changes_of(trend: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What changed, and by how much."""
    parts = []
    if trend["savings_percent"] is not None:
        parts.append(("savings", f"{trend['savings_percent']:+.1f} points"))
    if trend["cost"] is not None:
        sign = "+" if trend["cost"] >= 0 else "-"
        amount = money(abs(trend["cost"]), trend["currency"])
        parts.append(("cost", f"{sign}{amount} (prices of {trend['price_date']})"))
    parts.append(("interruptions", f"{trend['interruptions']:+d}"))
    sign = "+" if trend["waiting_seconds"] >= 0 else "-"
    parts.append(("without an instance", f"{sign}{duration(abs(trend['waiting_seconds']))}"))
    return [
        *parts,
        *((name, f"{change:+.4g}") for name, change in trend["metrics"].items() if change is not None),
    ]


def prices_sentence(report: Mapping[str, Any]) -> str | None:
    """Of which day the prices are; None if there are none."""
    told = "; ".join(f"{each['currency']} at prices of {each['price_date']}" for each in report["money"])
    return f"Cost is billed time at the on-demand price, in {told}." if told else None


def money_of(sums: Mapping[str, Any]) -> str:
    """What a group cost, and what it would have cost on demand."""
    told = "; ".join(
        f"{money(each['cost'], each['currency'])} of {money(each['on_demand_cost'], each['currency'])}"
        for each in sums["money"]
    )
    return told or UNKNOWN


def percent_of(sums: Mapping[str, Any]) -> str:
    """What a group saved."""
    return UNKNOWN if sums["savings_percent"] is None else f"{sums['savings_percent']:.1f}%"


def cells_of(sums: Mapping[str, Any]) -> tuple[str, ...]:
    """A group by :data:`HEADINGS`."""
    outcomes = ", ".join(f"{number} {name}" for name, number in sums["outcomes"].items())
    return (
        f"{sums['jobs'] + sums['unknown']:,}",
        percent_of(sums),
        f"{sums['interruptions']:,}",
        duration(sums["waiting_seconds"]),
        money_of(sums),
        outcomes or "no result",
    )


def log_table(report: Mapping[str, Any]) -> str:
    """A task or a line each, for the task log."""
    groups = list(report["by_task"].items())
    rows = [("Task", *HEADINGS), *((name, *cells_of(sums)) for name, sums in groups[:_MOST_LOGGED])]
    # A name could write lines of its own into the log.
    rows = [tuple(" ".join(cell.split()) for cell in row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    more = len(groups) - _MOST_LOGGED
    return "\n".join([*lines, *([f"and {count(more, 'more task')}"] if more > 0 else [])])


def whole_list(names: Sequence[str], most: int = _MOST_LISTED) -> list[str]:
    """The first names, and how many more there are."""
    more = len(names) - most
    return [*names[:most], f"and {more:,} more"] if more > 0 else list(names)


def count(number: int, noun: str) -> str:
    """``1 job``, ``2 jobs``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
