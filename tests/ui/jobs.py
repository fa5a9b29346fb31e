"""What spot tasks publish, for tests of whoever reads it: made by the code that publishes it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow_spot_provider.training import SpotTrainingResult, progress_of
from airflow_spot_provider.training.money import Price
from airflow_spot_provider.training.progress import Facts
from tests.builders import CREATED, DescribedJob, a_training_job

PRICE = Price(1.408, "USD", "2026-11-21")
FACTS = Facts(aws_conn_id="aws_default", region="eu-west-1")


def moved(description: dict[str, Any], created: datetime) -> dict[str, Any]:
    """The same story, told of another time."""
    shift = created - CREATED

    def _moved(value: Any) -> Any:
        match value:
            case datetime():
                return value + shift
            case dict():
                return {name: _moved(member) for name, member in value.items()}
            case list():
                return [_moved(member) for member in value]
            case _:
                return value

    moved_description: dict[str, Any] = _moved(description)
    return moved_description


def published(
    job: DescribedJob,
    *,
    created: datetime,
    price: Price | None = PRICE,
    facts: Facts = FACTS,
    **changes: Any,
) -> dict[str, Any]:
    """XCom ``spot_progress`` and, of a job that has ended, ``return_value`` and ``savings_percent``.

    :param created: when the job was created.
    :param changes: members of ``spot_progress`` that are to be otherwise.
    """
    description = moved(job.described(), created)
    if description["TrainingJobStatus"] == "InProgress":
        return {"spot_progress": {**progress_of(description, facts=facts), **changes}}
    result = SpotTrainingResult.of(description).priced(price)
    return {
        "spot_progress": {**progress_of(description, facts=facts, result=result), **changes},
        "return_value": result.to_json(),
        "savings_percent": result.savings_percent,
    }


def waiting(name: str = "waits-1") -> DescribedJob:
    """No capacity yet."""
    return a_training_job(name).goes_through("Starting")


def training(name: str = "trains-1") -> DescribedJob:
    """It trains."""
    return a_training_job(name).goes_through("Starting", "Downloading", "Training")


def interrupted(name: str = "interrupted-1") -> DescribedJob:
    """It has lost its instance."""
    return a_training_job(name).interrupted()


def completed(name: str = "completed-1", *, trained: int = 500, billed: int = 100) -> DescribedJob:
    """It was interrupted once, and has ended well."""
    return a_training_job(name).interrupted().completed().billed(trained, billed)


def hours(number: float) -> timedelta:
    """A time span."""
    return timedelta(hours=number)
