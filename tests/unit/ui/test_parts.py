"""Parts of the pages that need no database: what is kept for a moment, the log's lines, charts, the plugin, answers."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import threading
from typing import Any

import pytest
from airflow.plugins_manager import AirflowPlugin

from airflow_spot_provider.ui import plugin as plugin_module
from airflow_spot_provider.ui.answers import Json
from airflow_spot_provider.ui.charts import charts_of_runs, charts_of_trials
from airflow_spot_provider.ui.recent import Recent
from airflow_spot_provider.ui.task_log import MOST_LINES, training_lines
from tests.airflow_versions import needs_airflow


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_answer_is_told_again_for_a_moment_and_then_asked_anew() -> None:
    clock, asked = Clock(), iter(range(10))
    recent = Recent(most=2, clock=clock)

    told = [recent.get("key", lambda: next(asked), seconds=1.0) for _ in range(3)]
    clock.now += 1.0
    told.append(recent.get("key", lambda: next(asked), seconds=1.0))

    assert told == [0, 0, 0, 1]


def test_only_so_many_answers_are_kept() -> None:
    recent = Recent(most=2, clock=Clock())
    for key in ("a", "b", "c"):
        recent.get(key, lambda: key, seconds=60)  # noqa: B023 - called at once

    assert recent.get("c", lambda: "again", seconds=60) == "c"
    assert recent.get("a", lambda: "again", seconds=60) == "again"


def test_refusal_is_told_again_for_a_moment_and_then_asked_anew() -> None:
    clock = Clock()
    recent, asked = Recent(most=2, clock=clock), []

    def _refuse() -> str:
        asked.append(clock.now)
        raise ConnectionError(f"refused at {clock.now:.0f}")

    for _ in range(3):
        with pytest.raises(ConnectionError, match="refused at 100"):
            recent.get("key", _refuse, seconds=1.0)
    clock.now += 1.0

    assert asked == [100.0]
    assert recent.get("key", lambda: "answer", seconds=1.0) == "answer"


def test_of_many_who_ask_at_once_one_asks_the_database() -> None:
    recent, asked, begun, go_on = Recent(most=2), [], threading.Event(), threading.Event()

    def _ask() -> str:
        asked.append(1)
        begun.set()
        assert go_on.wait(30)
        return "answer"

    told: list[str] = []
    viewers = [
        threading.Thread(target=lambda: told.append(recent.get("key", _ask, seconds=60))) for _ in range(5)
    ]
    viewers[0].start()
    assert begun.wait(30)
    for viewer in viewers[1:]:
        viewer.start()
    go_on.set()
    for viewer in viewers:
        viewer.join(30)

    assert (told, len(asked)) == (["answer"] * 5, 1)


def test_training_log_is_told_from_the_tasks_own_lines() -> None:
    messages = ["Submitting", "[j-1] one", "[j-2] another job's", "Training; 1h of MaxWait left", "[j-1] two"]

    assert training_lines(messages, "j-1") == ["one", "two"]
    assert training_lines(messages, None) == []


def test_training_log_that_is_told_as_a_whole_is_not_told_twice() -> None:
    messages = ["[j-1] one", "::group::Training log, 2 lines", "one", "two", "::endgroup::", "Saved 80%"]

    assert training_lines(messages, "j-1") == ["one", "two"]


def test_of_a_long_training_log_the_newest_lines_are_told_and_no_line_is_endless() -> None:
    lines = training_lines((f"[j] {number}" for number in range(1_000)), "j")

    assert lines == [str(number) for number in range(1_000 - MOST_LINES, 1_000)]
    assert len(training_lines([f"[j] {'x' * 1_000_000}"], "j")[0]) == 2_000


def _run(**changes: Any) -> dict[str, Any]:
    known = {"run_id": "r", "run_after": "2026-11-25T06:00:00.000+00:00", "savings_percent": 75.0}
    return {**known, "interruptions": 1, "money": [], "outcomes": {}, **changes}


def test_names_are_no_markup_to_plotly() -> None:
    figures = json.dumps([each["figure"] for each in charts_of_runs([_run(outcomes={"<script>&": 1})])])

    assert "<" not in figures
    assert "&lt;script>&amp;" in figures


def test_names_in_charts_that_the_page_draws_stay_as_they_are() -> None:
    rows = [
        {"name": n, "objective": 0.5, "billable_seconds": 5, "hyperparameters": {"a&b": f"<{n}>"}}
        for n in (1, 2)
    ]

    charts = charts_of_trials({"metric": "loss & more", "mode": None, "rows": rows})

    assert charts[0]["figure"]["layout"]["yaxis"]["title"]["text"] == "loss & more"
    assert charts[2]["figure"]["data"][0]["x"] == ["<1>", "<2>"]


def test_savings_below_zero_are_on_the_chart() -> None:
    def _range(*percents: float | None) -> Any:
        [chart, *_] = charts_of_runs([_run(savings_percent=percent) for percent in percents])
        return chart["figure"]["layout"]["yaxis"]["range"]

    assert _range(75.0, None, -12.5) == [-12.5, 100]
    assert _range(75.0) == _range(None) == [0, 100]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_best_so_far_follows_the_trials(mode: str) -> None:
    rows = [
        {"name": number, "objective": value, "billable_seconds": None, "hyperparameters": {}}
        for number, value in enumerate([0.5, 0.75, 0.25])
    ]

    [chart] = charts_of_trials({"metric": "loss", "mode": mode, "rows": rows})

    best = {"min": [0.5, 0.5, 0.25], "max": [0.5, 0.75, 0.75]}
    assert chart["figure"]["data"][1]["y"] == best[mode]


def test_charts_of_nothing_are_none() -> None:
    assert charts_of_runs([]) == []
    assert charts_of_trials({"metric": None, "mode": None, "rows": []}) == []


def test_answers_are_ascii_and_hold_no_number_that_json_does_not_have() -> None:
    assert Json({"name": "\ud800\N{SNOWMAN}"}).body == b'{"name":"\\ud800\\u2603"}'
    assert Json({"loss": [float("nan"), (float("inf"), 1.5)]}).body == b'{"loss":[null,[null,1.5]]}'


@needs_airflow("3.1", "its plugins_manager imports FastAPI before")
def test_plugin_imports_no_application() -> None:
    """Each scheduler, triggerer and worker imports plugins."""
    program = "import sys, airflow_spot_provider.ui.plugin; print([name for name in sys.modules if 'fastapi' in name])"

    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert told.stdout.splitlines()[-1] == "[]"


@needs_airflow("3.1", "there are no pages before, which is what is acted out here")
def test_before_airflow_3_1_there_is_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(AirflowPlugin, "external_views")
    try:
        older = importlib.reload(plugin_module).SpotTrainingPlugin
        assert (older.fastapi_apps, older.external_views) == ([], [])
    finally:
        monkeypatch.undo()
        importlib.reload(plugin_module)


def test_pages_are_found_below_the_path_that_airflow_is_served_under(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://example.com/team/airflow")

    views = {view["destination"]: view["href"] for view in plugin_module.views()}

    assert views == {
        "nav": "/team/airflow/spot/",
        "dag": "/team/airflow/spot/dag?dag_id={DAG_ID}",
        "task_instance": (
            "/team/airflow/spot/task?dag_id={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}&map_index={MAP_INDEX}"
        ),
    }
