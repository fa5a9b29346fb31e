"""How trainings ended, in the few lines that somebody wants to be told: one task, or all tasks of a DAG run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from airflow_spot_provider.training.money import Cost
from airflow_spot_provider.training.narration import duration, money
from airflow_spot_provider.training.progress import SpotProgress
from airflow_spot_provider.training.savings import Savings

MAX_SUBJECT = 100
"""What Amazon SNS takes as the subject of an e-mail, in ASCII."""
_MOST_LEFT_OUT = 10
"""A mapped task may have ten thousand members that cannot be read, and a message to a chat takes some thousand characters."""


def told_of(progress: SpotProgress, **more: Any) -> dict[str, Any]:
    """What a message about one task's job may name: all of its progress, and what is made of it.

    :param progress: of a job that has ended, as far as it could be read.
    :param more: what is known besides: ``where``, ``console_url``.
    """
    return {
        **progress.to_json(),
        "waiting": duration(progress.waiting_seconds),
        "savings": savings_words(progress.savings),
        "money": money_words(progress.known_cost),
        **more,
    }


def subject_of(progress: SpotProgress) -> str:
    """The message in a line: ``Completed, saved 74.2%: training job x``."""
    saved = f", saved {progress.savings_percent:.1f}%" if progress.savings_percent is not None else ""
    return ascii_line(f"{progress.outcome or 'Ended'}{saved}: {noun_of(progress)} {progress.job_name}")


def lines_of(progress: SpotProgress, where: str) -> list[str]:
    """The message about one task.

    :param where: which task of which DAG run.
    """
    times = progress.interruptions
    after = f" after {_counted(times, 'interruption')}" if times else " without an interruption"
    lines = [
        f"{noun_of(progress).capitalize()} {progress.job_name} of {where} ended as {progress.outcome}{after}."
    ]
    if progress.failure_reason:
        lines.append(f"SageMaker says: {progress.failure_reason}")
    if not progress.managed_spot and progress.jobs:
        lines.append(f"It trained on demand.{_sentence(money_words(progress.known_cost))}")
    else:
        lines.append(f"{savings_words(progress.savings)}.{_sentence(money_words(progress.known_cost))}")
    if progress.waiting_seconds:
        lines.append(f"It was without an instance for {duration(progress.waiting_seconds)}.")
    if (best := _best(progress)) is not None:
        lines.append(best)
    if progress.model_artifacts:
        lines.append(f"Model: {progress.model_artifacts}")
    return lines


def lines_of_run(progresses: Sequence[SpotProgress], where: str, left_out: Sequence[str] = ()) -> list[str]:
    """The message about all spot tasks of a DAG run: sums, weighed by instances, by currency.

    :param progresses: of the tasks that have published something.
    :param where: which DAG run.
    :param left_out: why others are not among them, a sentence each; the first ten are told.
    """
    more = len(left_out) - _MOST_LEFT_OUT
    not_told = [*left_out[:_MOST_LEFT_OUT], *([f"And {more:,} more such."] if more > 0 else [])]
    if not progresses:
        return [f"{where}: no spot task of it has published how its job went.", *not_told]
    outcomes = Counter(progress.outcome or "not told" for progress in progresses)
    counted = ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items()))
    times = sum(progress.interruptions for progress in progresses)
    waited = sum(progress.waiting_seconds for progress in progresses)
    first = (
        f"{where}: {_counted(len(progresses), 'spot task')} ({counted}), {_counted(times, 'interruption')}, "
        f"{duration(waited)} without an instance in all."
    )
    saved = savings_words(Savings.total(progress.savings for progress in progresses))
    return [first, f"{saved}.{_costs(progresses)}", *not_told]


def savings_words(savings: Savings) -> str:
    """What was saved, with the two numbers it comes from, and of how many that is not known."""
    if savings.percent is None:
        return "What spot saved is not known"
    unit = "s" if savings.jobs == 1 else "instance-s"
    unknown = f" (not known of {_counted(savings.unknown, 'job')})" if savings.unknown else ""
    return (
        f"Saved {savings.percent:.1f}%: {savings.billable_instance_seconds:,.0f} {unit} billed of "
        f"{savings.training_instance_seconds:,.0f} {unit} trained{unknown}"
    )


def money_words(cost: Cost | None) -> str:
    """What it cost, with the date of the price; empty where that is not known."""
    if cost is None:
        return ""
    instead = f" instead of {money(cost.on_demand, cost.currency)}" if cost.on_demand != cost.amount else ""
    return f"It cost {money(cost.amount, cost.currency)}{instead} (prices of {cost.price_date})"


def ascii_line(text: str, limit: int = MAX_SUBJECT) -> str:
    """A text as a subject takes it: one line, ASCII, not too long."""
    line = " ".join(text.split()).encode("ascii", "replace").decode()
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def _costs(progresses: Iterable[SpotProgress]) -> str:
    with_figures = [progress for progress in progresses if progress.jobs]
    known = [cost for progress in with_figures if (cost := progress.known_cost) is not None]
    sums = "".join(f" {money_words(cost)}." for cost in Cost.total(known).values())
    missing = len(with_figures) - len(known)
    return f"{sums} What {_counted(missing, 'task')} cost is not known." if missing else sums


def _best(progress: SpotProgress) -> str | None:
    best = progress.best or {}
    value = best.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return f"Best: {best.get('metric')} {value:.4g} of {best.get('job_name')}."


def _sentence(words: str) -> str:
    return f" {words}." if words else ""


def noun_of(progress: SpotProgress) -> str:
    """What kind of job it is, in words."""
    return "tuning job" if progress.kind == "tuning" else "training job"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"
