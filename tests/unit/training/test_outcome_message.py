"""How trainings ended, in a few lines."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_spot_provider.training import Price, Savings, SpotProgress, SpotTrainingResult, progress_of
from airflow_spot_provider.training.outcome_message import (
    MAX_SUBJECT,
    ascii_line,
    lines_of,
    lines_of_run,
    savings_words,
    subject_of,
    told_of,
)
from tests.builders import a_training_job

EUROS, DOLLARS = Price(0.5, "EUR", "2026-11-20"), Price(0.36, "USD", "2026-11-21")


def _ended(job: Any, price: Price | None = DOLLARS) -> SpotProgress:
    description = job.described()
    result = SpotTrainingResult.of(description).priced(price)
    return SpotProgress.from_json(progress_of(description, result=result))


def test_message_tells_outcome_savings_money_interruptions_and_model() -> None:
    job = a_training_job("j").interrupted(2).completed().billed(5_640, 1_455)
    job.having(ModelArtifacts={"S3ModelArtifacts": "s3://b/model.tar.gz"})

    assert lines_of(_ended(job), "d.train (run r)") == [
        "Training job j of d.train (run r) ended as Completed after 2 interruptions.",
        "Saved 74.2%: 1,455 s billed of 5,640 s trained. It cost 0.15 USD instead of 0.56 USD (prices of 2026-11-21).",
        "It was without an instance for 7m00s.",
        "Model: s3://b/model.tar.gz",
    ]
    assert subject_of(_ended(job)) == "Completed, saved 74.2%: training job j"


def test_message_of_a_failure_says_why_and_that_savings_are_not_known() -> None:
    lines = lines_of(_ended(a_training_job("j").failed("AlgorithmError: no GPU")), "w")

    assert lines[0] == "Training job j of w ended as Failed without an interruption."
    assert lines[1] == "SageMaker says: AlgorithmError: no GPU"
    assert lines[2] == "What spot saved is not known."
    assert subject_of(_ended(a_training_job("j").failed())) == "Failed: training job j"


def test_message_of_a_training_on_demand_claims_no_savings() -> None:
    lines = lines_of(_ended(a_training_job("j").on_demand().completed().billed(100, 100)), "w")

    assert lines[1] == "It trained on demand. It cost 0.01 USD (prices of 2026-11-21)."


def test_cost_that_is_not_known_is_not_told() -> None:
    lines = lines_of(_ended(a_training_job("j").completed().billed(100, 20), None), "w")

    assert lines[1] == "Saved 80.0%: 20 s billed of 100 s trained."


@pytest.mark.parametrize(("value", "told"), [(0.25, True), (None, False), ("low", False), (True, False)])
def test_best_of_a_tuning_job_is_told_where_there_is_one(value: Any, told: bool) -> None:
    best = {"job_name": "t-1", "metric": "loss", "value": value}
    progress = SpotProgress(kind="tuning", job_name="t", outcome="Completed", best=best)

    lines = lines_of(progress, "w")

    assert lines[0].startswith("Tuning job t of w ended as Completed")
    assert ("Best: loss 0.25 of t-1." in lines) is told


def test_run_is_summed_by_instances_and_by_currency() -> None:
    small = _ended(a_training_job("a").interrupted(1).completed().billed(1_000, 500))
    big = a_training_job("b").completed().billed(1_000, 200)
    big.having(ResourceConfig={"InstanceType": "ml.g5.xlarge", "InstanceCount": 3})
    unpriced = _ended(a_training_job("c").completed().billed(1_000, 900), None)
    unknown = _ended(a_training_job("d").failed())

    lines = lines_of_run(
        [small, _ended(big, EUROS), unpriced, unknown], "DAG d, run r", ["e has published nothing."]
    )

    assert lines == [
        "DAG d, run r: 4 spot tasks (3 Completed, 1 Failed), 1 interruption, 7m00s without an instance in all.",
        (
            "Saved 60.0%: 2,000 instance-s billed of 5,000 instance-s trained (not known of 1 job). "
            "It cost 0.05 USD instead of 0.10 USD (prices of 2026-11-21). "
            "It cost 0.083 EUR instead of 0.42 EUR (prices of 2026-11-20). What 1 task cost is not known."
        ),
        "e has published nothing.",
    ]


def test_run_without_a_spot_task_says_so() -> None:
    [line] = lines_of_run([], "DAG d, run r")
    assert line == "DAG d, run r: no spot task of it has published how its job went."


def test_message_stays_short_however_many_could_not_be_read() -> None:
    for progresses in ([], [SpotProgress(job_name="j")]):
        lines = lines_of_run(
            progresses, "w", [f"t{number} has published nothing." for number in range(10_000)]
        )
        assert lines[-2:] == ["t9 has published nothing.", "And 9,990 more such."]
        assert len(lines) < 14


def test_task_without_an_outcome_is_counted_as_not_told() -> None:
    lines = lines_of_run([SpotProgress(job_name="j")], "w")
    assert lines[0].startswith("w: 1 spot task (1 not told), 0 interruptions")
    assert lines[1] == "What spot saved is not known."


def test_savings_of_one_job_are_in_its_seconds() -> None:
    assert savings_words(Savings(1_000, 250, 1)) == "Saved 75.0%: 250 s billed of 1,000 s trained"


def test_templates_may_name_all_that_was_published_and_words_for_it() -> None:
    told = told_of(_ended(a_training_job("j").completed().billed(100, 20)), console_url="https://x")

    assert (told["outcome"], told["savings_percent"], told["console_url"]) == ("Completed", 80.0, "https://x")
    assert told["savings"].startswith("Saved 80.0%")
    assert told["money"].startswith("It cost")
    assert told["waiting"] == "1m00s"


def test_subject_is_one_short_line_of_ascii() -> None:
    line = ascii_line("ünder\nway " + "x" * 200)

    assert line.startswith("?nder way x")
    assert line.endswith("...")
    assert len(line) == MAX_SUBJECT
