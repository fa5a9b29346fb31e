"""Job names: what SageMaker takes, what a person reads, and the same one for the same attempt only."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_spot_provider.training import InvalidSpotRequest, TaskIdentity, job_name, tuning_job_name
from airflow_spot_provider.training.naming import checked_job_name, checked_tuning_job_name

SAGEMAKER_TAKES = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
IDS = st.text(max_size=250)
TASKS = st.builds(
    TaskIdentity,
    dag_id=IDS,
    run_id=IDS,
    task_id=IDS,
    map_index=st.integers(-1, 2**31 - 1),
    deployment=IDS,
)
ATTEMPTS = st.integers(1, 1_000_000)


def _task(**fields: object) -> TaskIdentity:
    return TaskIdentity(
        **{"dag_id": "retraining", "run_id": "scheduled__2026-03-01", "task_id": "train", **fields}  # type: ignore[arg-type]  # fields of the identity
    )


@given(TASKS, ATTEMPTS)
def test_any_task_gets_a_name_that_sagemaker_takes(task: TaskIdentity, attempt: int) -> None:
    name = job_name(task, attempt)

    assert len(name) <= 63
    assert SAGEMAKER_TAKES.fullmatch(name)
    assert checked_job_name(name) == name


@given(TASKS, TASKS, ATTEMPTS, ATTEMPTS)
def test_names_are_the_same_for_the_same_attempt_only(
    one: TaskIdentity, other: TaskIdentity, first: int, second: int
) -> None:
    assert (job_name(one, first) == job_name(other, second)) is (one == other and first == second)


@pytest.mark.parametrize(
    ("task", "attempt", "pattern"),
    [
        (_task(), 1, r"retraining-train-[a-z2-7]{12}-1"),
        (_task(), 12, r"retraining-train-[a-z2-7]{12}-12"),
        (_task(map_index=0), 1, r"retraining-train-0-[a-z2-7]{12}-1"),
        (_task(map_index=41), 2, r"retraining-train-41-[a-z2-7]{12}-2"),
        (_task(task_id="digits.night.train_on_spot"), 1, r"retraining-train-on-spot-[a-z2-7]{12}-1"),
        (_task(dag_id="__Ümlaut & Co.__"), 1, r"mlaut-Co-train-[a-z2-7]{12}-1"),
        (_task(dag_id="日本語", task_id="..."), 1, r"x-x-[a-z2-7]{12}-1"),
        (_task(dag_id="d" * 250), 1, r"d{42}-train-[a-z2-7]{12}-1"),
        (_task(task_id="t" * 250), 1, r"retraining-t{37}-[a-z2-7]{12}-1"),
        (_task(dag_id="d" * 250, task_id="t" * 250), 1, r"d{23}-t{24}-[a-z2-7]{12}-1"),
        (_task(dag_id="d" * 22 + "-" + "e" * 200, task_id="t" * 250), 1, r"d{22}-t{25}-[a-z2-7]{12}-1"),
    ],
)
def test_name_is_readable_and_as_long_as_it_may_be(task: TaskIdentity, attempt: int, pattern: str) -> None:
    assert re.fullmatch(pattern, job_name(task, attempt))


def test_name_stays_the_same_from_release_to_release() -> None:
    assert job_name(_task(), 1) == "retraining-train-dy72txs3hja7-1"


@pytest.mark.parametrize(
    "other",
    [
        _task(dag_id="retraining2"),
        _task(run_id="manual__2026-03-01"),
        _task(task_id="group.train"),
        _task(map_index=0),
        _task(deployment="staging"),
        # The same characters, cut elsewhere.
        _task(dag_id="retrainingscheduled__2026", run_id="-03-01"),
    ],
)
def test_every_part_of_the_identity_counts(other: TaskIdentity) -> None:
    assert other.digest != _task().digest
    assert job_name(other, 1) != job_name(_task(), 1)


def test_a_chosen_name_is_used_as_it_is_and_numbered_from_the_second_attempt_on() -> None:
    assert [job_name(_task(), attempt, base="night-run") for attempt in (1, 2, 10)] == [
        "night-run",
        "night-run-2",
        "night-run-10",
    ]


def test_a_chosen_name_may_fill_all_63_characters() -> None:
    assert job_name(_task(), 1, base="n" * 63) == "n" * 63


def test_a_chosen_name_makes_room_for_the_attempts_number() -> None:
    assert job_name(_task(), 2, base="n" * 62) == "n" * 61 + "-2"
    assert job_name(_task(), 10, base="n" * 59 + "-" + "n" * 3) == "n" * 59 + "-10"


def test_a_chosen_name_that_is_not_unique_gets_the_digest_of_its_task() -> None:
    digest, other = _task().digest, _task(run_id="another")

    assert job_name(_task(), 1, base="night-run", unique=True) == f"night-run-{digest}"
    assert job_name(_task(), 2, base="n" * 63, unique=True) == f"{'n' * 48}-{digest}-2"
    assert job_name(other, 1, base="night-run", unique=True) == f"night-run-{other.digest}"
    assert tuning_job_name(_task(), 1, base="n" * 32, unique=True) == f"{'n' * 19}-{digest}"


def test_the_trials_of_a_sweep_do_not_take_each_others_chosen_name() -> None:
    names = {job_name(_task(trial=("study", number)), 1, base="sweep") for number in range(20)}

    assert len(names) == 20


@pytest.mark.parametrize(
    "name",
    ["", "-", "-a", "a-", "a b", "a_b", "a.b", "ä", "a\n", "\na", "a/b", "n" * 64, "٣", "a-" * 1_000_000],
    ids=lambda name: repr(name[:8]),
)
def test_a_bad_name_is_refused_with_what_is_allowed(name: str) -> None:
    with pytest.raises(
        InvalidSpotRequest, match=r"takes 1 to 63 letters, digits and hyphens.*leave it out"
    ) as raised:
        checked_job_name(name)

    assert repr(name) in str(raised.value)


@pytest.mark.parametrize("name", [5, None, b"name", ["name"], {"a": 1}], ids=repr)
def test_a_name_that_is_no_string_is_refused(name: object) -> None:
    with pytest.raises(
        InvalidSpotRequest, match=rf"TrainingJobName is of type {type(name).__name__}; it takes a string"
    ):
        checked_job_name(name)


@pytest.mark.parametrize("name", ["a", "A-1", "a--b", "0", "n" * 63])
def test_a_good_name_is_taken(name: str) -> None:
    assert checked_job_name(name) == name


@given(TASKS, ATTEMPTS)
def test_any_task_gets_a_tuning_job_name_that_sagemaker_takes(task: TaskIdentity, attempt: int) -> None:
    name = tuning_job_name(task, attempt)

    assert len(name) <= 32
    assert SAGEMAKER_TAKES.fullmatch(name)
    assert checked_tuning_job_name(name) == name


@given(TASKS, TASKS, ATTEMPTS, ATTEMPTS)
def test_tuning_job_names_are_the_same_for_the_same_attempt_only(
    one: TaskIdentity, other: TaskIdentity, first: int, second: int
) -> None:
    same = tuning_job_name(one, first) == tuning_job_name(other, second)
    assert same is (one == other and first == second)


@pytest.mark.parametrize(
    ("task", "attempt", "pattern"),
    [
        (_task(), 1, r"retraining-train-[a-z2-7]{12}-1"),
        (_task(map_index=3), 1, r"retrainin-train-3-[a-z2-7]{12}-1"),
        (_task(map_index=2_147_483_647), 1, r"re-tra-2147483647-[a-z2-7]{12}-1"),
        (_task(map_index=2_147_483_647), 1_000_000, r"retra-train-[a-z2-7]{12}-1000000"),
        (_task(dag_id="d" * 250, task_id="t" * 250), 1, r"d{8}-t{8}-[a-z2-7]{12}-1"),
        (_task(dag_id="日本語", task_id="..."), 1, r"x-x-[a-z2-7]{12}-1"),
    ],
)
def test_tuning_job_name_is_as_readable_as_it_may_be(task: TaskIdentity, attempt: int, pattern: str) -> None:
    assert re.fullmatch(pattern, tuning_job_name(task, attempt)), tuning_job_name(task, attempt)


def test_tuning_job_name_that_the_user_chose_gets_the_attempts_number() -> None:
    assert tuning_job_name(_task(), 1, base="mine") == "mine"
    assert tuning_job_name(_task(), 2, base="mine") == "mine-2"
    assert tuning_job_name(_task(), 2, base="n" * 31) == "n" * 30 + "-2"
    with pytest.raises(InvalidSpotRequest, match=r"HyperParameterTuningJobName .* 1 to 32 letters"):
        tuning_job_name(_task(), 2, base="n" * 33)
    with pytest.raises(InvalidSpotRequest, match="HyperParameterTuningJobName is of type int"):
        tuning_job_name(_task(), 1, base=3)  # type: ignore[arg-type]  # what a user may write


def test_trials_job_is_the_trials_whichever_task_waits_for_it() -> None:
    trial = ("study", 3)
    names = {
        job_name(_task(map_index=slot, run_id=run, trial=trial), 1).split("-")[-2]
        for slot in (0, 1)
        for run in ("a", "b")
    }
    assert len(names) == 1
    assert job_name(_task(trial=("study", 4)), 1).split("-")[-2] not in names
    assert job_name(_task(), 1).split("-")[-2] not in names
