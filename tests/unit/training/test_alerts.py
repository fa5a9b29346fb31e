"""Alerts: what a DAG file may ask for, when that comes true, and what is told then."""

from __future__ import annotations

import importlib
import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from airflow_spot_provider.training import InvalidSpotRequest, SpotAlert, progress_of
from airflow_spot_provider.training.alerts import checked_alerts, importable_path, takes_context
from airflow_spot_provider.training.due_alerts import (
    context_names,
    context_of,
    is_due,
    key_of,
    remembered,
    seconds_until,
)
from airflow_spot_provider.training.progress import Checkpoints
from tests import alerting
from tests.airflow_versions import needs_airflow
from tests.builders import CREATED, MAX_WAIT_SECONDS, a_training_job

TEXT = {"text": "{{ job_name }}: {{ message }}"}


def _condition(**condition: Any) -> dict[str, Any]:
    [only] = checked_alerts(
        [SpotAlert(alerting.note_text, kwargs=TEXT, **condition)], looks_at_checkpoints=True
    )
    return only


@pytest.mark.parametrize(
    ("notify", "path"),
    [
        (alerting.NoteNotifier, "tests.alerting.NoteNotifier"),
        (alerting.note_text, "tests.alerting.note_text"),
        (alerting.anote, "tests.alerting.anote"),
        ("tests.alerting.note_text", "tests.alerting.note_text"),
    ],
)
def test_what_is_called_is_kept_by_its_path(notify: Any, path: str) -> None:
    alert = SpotAlert(notify, interruptions=3, kwargs=TEXT)

    assert alert.notify == path
    assert list(alert.conditions()) == [{"when": "interruptions", "than": 3, "path": path, "kwargs": TEXT}]
    # Airflow stores it with the DAG: it must look the same each time the file is parsed.
    assert repr(alert) == repr(SpotAlert(notify, interruptions=3, kwargs=TEXT))
    assert " at 0x" not in repr(alert)


@needs_airflow("3.2", "there are no callbacks of deadlines before")
@pytest.mark.parametrize("kind", ["AsyncCallback", "SyncCallback"])
def test_airflows_own_callbacks_bring_their_arguments(kind: Any) -> None:
    function = alerting.anote if kind == "AsyncCallback" else alerting.note_text
    callback = getattr(importlib.import_module("airflow.sdk.definitions.callback"), kind)(
        function, kwargs={"text": "x"}
    )

    [condition] = SpotAlert(callback, max_wait_share=0.8).conditions()

    assert condition["kwargs"] == {"text": "x"}
    with pytest.raises(InvalidSpotRequest, match="given twice"):
        SpotAlert(callback, max_wait_share=0.8, kwargs={"text": "y"})


def test_one_alert_may_wait_for_several_things() -> None:
    alert = SpotAlert(
        alerting.note_text, interruptions=1, max_wait_share=0.5, stale_checkpoint=True, kwargs=TEXT
    )

    assert [(each["when"], each["than"]) for each in alert.conditions()] == [
        ("interruptions", 1),
        ("max_wait_share", 0.5),
        ("stale_checkpoint", True),
    ]
    json.dumps(list(alert.conditions()))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "it waits for nothing; give interruptions="),
        ({"interruptions": 0}, "interruptions is 0; it takes a whole number from 1"),
        ({"interruptions": True}, "interruptions is True"),
        ({"interruptions": 2.5}, "interruptions is 2.5"),
        ({"max_wait_share": 0}, "max_wait_share is 0; it takes a number between 0 and 1"),
        ({"max_wait_share": 1}, "max_wait_share is 1;"),
        ({"max_wait_share": 80}, "max_wait_share is 80;"),
        ({"max_wait_share": "0.8"}, "max_wait_share is '0.8'"),
        ({"max_wait_share": float("nan")}, "max_wait_share is nan"),
        ({"stale_checkpoint": "yes"}, "stale_checkpoint is 'yes'; it takes True or False"),
        ({"interruptions": 1, "kwargs": ["text"]}, "kwargs is of type list; it takes a dict"),
        ({"interruptions": 1, "kwargs": {"text": object()}}, "kwargs is not plain JSON"),
        ({"interruptions": 1, "kwargs": {"text": float("nan")}}, "kwargs is not plain JSON"),
        ({"interruptions": 1, "kwargs": {1: "x"}}, "kwargs is not plain JSON"),
        ({"interruptions": 1, "kwargs": {"context": {}}}, "take it out"),
        ({"interruptions": 1, "kwargs": {}}, "missing a required argument: 'text'"),
        ({"interruptions": 1, "kwargs": {"text": "x", "channel": "#y"}}, "unexpected keyword argument 'channel'"),
        ({"interruptions": 1, "kwargs": {"text": "{{ interuptions }}"}}, "has interuptions, which an alert does not know"),
        ({"interruptions": 1, "kwargs": {"text": "{{ job_name"}}, "is no Jinja template"),
        ({"notify": alerting.NoteNotifier, "interruptions": 1, "kwargs": {"text": "x", "chanel": "y"}}, "keyword argument 'chanel'"),
        ({"notify": "nowhere.notify"}, "'nowhere.notify', which cannot be imported (ModuleNotFoundError"),
        ({"notify": "tests.alerting.nothing"}, "cannot be imported (AttributeError"),
        ({"notify": "not a path"}, "cannot be imported (ValueError"),
        ({"notify": "tests.alerting.NOT_CALLABLE"}, "is of type str and cannot be called"),
        ({"notify": alerting.NoteNotifier(text="x")}, "an object of type NoteNotifier; it takes a notifier's class"),
        ({"notify": partial(alerting.note_text, text="x")}, "an object of type partial"),
        ({"notify": None}, "an object of type NoneType"),
        ({"notify": lambda: None, "kwargs": {}}, "the triggerer cannot import; move it to the top level of a module"),
    ],
)  # fmt: skip
def test_alert_that_would_not_work_is_refused_with_what_to_do(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidSpotRequest) as error:
        SpotAlert(**{"notify": alerting.note_text, "kwargs": TEXT, **given})
    assert said in str(error.value)


def test_texts_are_checked_wherever_in_the_arguments_they_are() -> None:
    blocks = {"text": [{"type": "section", "fields": ("{{ alert }}", 1, None)}]}
    assert SpotAlert(alerting.note_text, interruptions=1, kwargs=blocks).kwargs == blocks

    with pytest.raises(InvalidSpotRequest, match="has alrt, which an alert does not know"):
        SpotAlert(alerting.note_text, interruptions=1, kwargs={"text": [{"fields": ["{{ alrt }}"]}]})


def test_something_built_in_is_taken_as_it_is() -> None:
    assert SpotAlert("builtins.int", interruptions=1).notify == "builtins.int"


def test_constructor_that_refuses_values_here_may_take_them_where_it_is_called() -> None:
    assert SpotAlert(alerting.PickyNotifier, interruptions=1, kwargs={"text": "x", "connection": "elsewhere"})

    with pytest.raises(InvalidSpotRequest, match="keyword argument 'conection'"):
        SpotAlert(alerting.NoteNotifier, interruptions=1, kwargs={"text": "x", "conection": "elsewhere"})


def test_function_of_a_dag_file_is_refused() -> None:
    def _notify(text: str) -> None:
        alerting.note_text(text)

    _notify.__qualname__, _notify.__module__ = "_notify", "unusual_prefix_5dba1e_dag"
    with pytest.raises(ValueError, match="the triggerer cannot import; move it"):
        importable_path(_notify)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(InvalidSpotRequest) as error:
        SpotAlert("nowhere.notify", interruptions=0, max_wait_share=2)
    assert len(error.value.problems) == 3


@pytest.mark.parametrize(
    ("alerts", "said"),
    [
        ("text", "alerts is of type str; it takes a list of SpotAlert"),
        (SpotAlert(alerting.note_text, interruptions=1, kwargs=TEXT), "alerts is of type SpotAlert"),
        ([alerting.note_text], "alerts holds a function; it takes a list of SpotAlert"),
        (None, "alerts is of type NoneType"),
    ],
)
def test_alerts_are_a_list(alerts: Any, said: str) -> None:
    with pytest.raises(InvalidSpotRequest) as error:
        checked_alerts(alerts, looks_at_checkpoints=True)
    assert said in str(error.value)


def test_stale_checkpoint_is_waited_for_only_where_somebody_looks() -> None:
    alert = SpotAlert(alerting.note_text, stale_checkpoint=True, kwargs=TEXT)

    with pytest.raises(InvalidSpotRequest, match="pass checkpoint_interval="):
        checked_alerts([alert], looks_at_checkpoints=False)


def test_context_is_handed_to_whoever_takes_it() -> None:
    assert takes_context(alerting.note)
    assert takes_context(alerting.refuse)
    assert not takes_context(alerting.note_text)
    assert not takes_context(int)  # which does not tell what it takes


# When they are due


def test_interruptions_are_due_when_there_are_so_many() -> None:
    condition = _condition(interruptions=2)

    due = [
        is_due(condition, progress_of(a_training_job().interrupted(n).described()), None) for n in range(4)
    ]

    assert due == [False, False, True, True]


def test_share_of_max_wait_is_due_by_the_servers_clock() -> None:
    condition = _condition(max_wait_share=0.75)
    progress = progress_of(a_training_job().goes_through("Starting").described())
    just_before = CREATED + timedelta(seconds=MAX_WAIT_SECONDS * 0.75 - 1)

    assert not is_due(condition, progress, just_before)
    assert seconds_until(condition, progress, just_before) == pytest.approx(1)
    assert is_due(condition, progress, just_before + timedelta(seconds=1))


@pytest.mark.parametrize("job", [a_training_job().on_demand(), a_training_job().having(CreationTime=None)])
def test_job_without_a_known_max_wait_never_uses_a_share_of_it(job: Any) -> None:
    condition, progress = _condition(max_wait_share=0.1), progress_of(job.described())

    assert not is_due(condition, progress, CREATED + timedelta(days=30))
    assert seconds_until(condition, progress, CREATED) is None


def test_share_is_not_due_before_any_server_has_told_the_time() -> None:
    assert not is_due(_condition(max_wait_share=0.1), progress_of(a_training_job().described()), None)


def test_time_alone_brings_no_interruption() -> None:
    assert (
        seconds_until(_condition(interruptions=1), progress_of(a_training_job().described()), CREATED) is None
    )


@pytest.mark.parametrize(("stale", "due"), [(True, True), (False, False)])
def test_stale_checkpoint_is_due_when_it_was_seen(stale: bool, due: bool) -> None:
    seen = Checkpoints(looked="2026-03-01T12:00:00.000+00:00", expected_every=600.0, stale=stale)
    condition = _condition(stale_checkpoint=True)

    assert is_due(condition, progress_of(a_training_job().described(), checkpoints=seen), None) is due
    assert not is_due(condition, progress_of(a_training_job().described()), None)


# What is told


def _told(condition: dict[str, Any], job: Any, minutes: float = 90, **task: Any) -> dict[str, Any]:
    known = {
        "dag_id": "d",
        "run_id": "r",
        "task_id": "g.train",
        "map_index": -1,
        "task_url": None,
        "ti": None,
    }
    progress = progress_of(
        job.described(),
        checkpoints=Checkpoints(
            looked="2026-03-01T13:30:00.000+00:00",
            newest="2026-03-01T12:30:00.000+00:00",
            expected_every=600.0,
            stale=True,
        ),
    )
    return context_of(condition, progress, CREATED + timedelta(minutes=minutes), **{**known, **task})


def test_interruptions_are_told_with_what_is_left_of_max_wait() -> None:
    told = _told(_condition(interruptions=2), a_training_job("j").interrupted(2), map_index=4)

    assert told["message"] == (
        "Training job j (d/g.train[4], run r) was interrupted 2 times so far; 30m00s of MaxWait left."
    )
    assert (told["max_wait_left"], told["alert"], told["interruptions"]) == ("30m00s", "interruptions", 2)


def test_share_is_told_with_what_the_job_is_doing() -> None:
    told = _told(_condition(max_wait_share=0.75), a_training_job("j").interrupted(1))

    assert told["message"] == (
        "Training job j (d/g.train, run r) has used 75% of MaxWait and has not ended: 30m00s of MaxWait left, "
        "interrupted 1 time, now Interrupted."
    )


def test_stale_checkpoint_is_told_with_what_was_expected() -> None:
    job = a_training_job("j").with_checkpoints().goes_through("Starting", "Training")
    told = _told(_condition(stale_checkpoint=True), job)

    assert told["message"] == (
        "Training job j (d/g.train, run r) writes no checkpoints to s3://bucket/checkpoints: one is expected every "
        "10m00s, and the newest is of 2026-03-01T12:30:00.000+00:00; it is Training."
    )


def test_context_of_a_job_on_demand_says_that_max_wait_is_not_known() -> None:
    told = _told(_condition(interruptions=1), a_training_job("j").on_demand())

    assert told["max_wait_left"] == "an unknown part"
    assert told["message"].endswith("MaxWait is not known.")


def test_message_of_a_trigger_that_knows_no_task_names_the_job_alone() -> None:
    told = _told(_condition(interruptions=1), a_training_job("j").interrupted(1), dag_id=None)

    assert told["message"].startswith("Training job j was interrupted 1 time so far;")


def test_every_name_that_templates_may_use_is_there() -> None:
    assert _told(_condition(interruptions=1), a_training_job()).keys() == context_names()


# What is remembered


def test_conditions_are_told_apart_by_all_they_are() -> None:
    keys = {
        key_of(condition)
        for condition in (
            _condition(interruptions=1),
            _condition(interruptions=2),
            _condition(max_wait_share=0.5),
            _condition(stale_checkpoint=True),
            {**_condition(interruptions=1), "path": "a.b"},
            {**_condition(interruptions=1), "kwargs": {"text": "another"}},
        )
    }

    assert len(keys) == 6
    assert key_of(json.loads(json.dumps(_condition(interruptions=1)))) == key_of(_condition(interruptions=1))


@pytest.mark.parametrize(
    ("published", "keys"),
    [
        ({"job_name": "j", "told": {"a": "2026", "b": None}}, {"a", "b"}),
        ({"job_name": "another", "told": {"a": "2026"}}, set()),
        ({"job_name": "j", "told": "a"}, set()),
        ({"job_name": "j"}, set()),
        (None, set()),
        ("text", set()),
    ],
)
def test_what_was_told_of_this_job_is_read_from_what_was_published(published: Any, keys: set[str]) -> None:
    assert remembered(published, "j") == keys


def test_now_may_come_in_any_time_zone() -> None:
    now = datetime.now(UTC).astimezone()
    assert isinstance(
        seconds_until(_condition(max_wait_share=0.5), progress_of(a_training_job().described()), now), float
    )
