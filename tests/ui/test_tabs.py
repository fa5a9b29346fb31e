"""The tabs of a DAG and of a task instance, in Airflow's own pages: what they tell is what SageMaker tells."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from airflow_spot_provider.emulator import SageMakerEmulator
from tests.ui.chromium import PATIENCE, in_airflow, row_of
from tests.ui.served import ServedAirflow
from tests.ui.story import Story

pytestmark = pytest.mark.ui


def test_savings_on_the_task_tab_are_those_of_describe_training_job(
    open_page: Callable[..., Page], airflow: ServedAirflow, emulator: SageMakerEmulator, run_id: str
) -> None:
    airflow.run("ui_live", run_id)
    job = airflow.progress("ui_live", run_id)["job_name"]
    emulator.clock.advance(timedelta(minutes=20))
    emulator.interrupt(job)
    emulator.clock.advance(timedelta(hours=3))
    airflow.wait_for(
        lambda: airflow.run_state("ui_live", run_id) == "success", what="the training to end", timeout=120
    )

    page = open_page(f"/dags/ui_live/runs/{run_id}/tasks/train")
    page.get_by_role("link", name="Spot training").click()

    described = emulator.client("sagemaker").describe_training_job(TrainingJobName=job)
    trained, billed = described["TrainingTimeInSeconds"], described["BillableTimeInSeconds"]
    assert 0 < billed < trained
    facts = in_airflow(page).get_by_role("region", name="Facts")
    expect(facts).to_contain_text(f"{billed:,} billed s / {trained:,} trained s", timeout=PATIENCE)
    expect(facts).to_contain_text(f"= {(1 - billed / trained) * 100:.1f}%")
    expect(facts).to_contain_text(job)
    expect(facts).to_contain_text("1: spot, Completed")
    expect(facts).to_contain_text(" on demand, prices of ")


def test_link_to_a_dag_leads_out_of_the_frame(open_page: Callable[..., Page], story: Story) -> None:
    page = open_page("/plugin/spot_training", user="ana")
    row = row_of(in_airflow(page), story.runs["churn_retraining"])

    row.get_by_role("link", name="churn_retraining", exact=True).click(timeout=PATIENCE)

    expect(page).to_have_url(re.compile(r"/dags/churn_retraining$"), timeout=PATIENCE)
    expect(page.get_by_role("link", name="Spot training")).to_be_visible(timeout=PATIENCE)


def test_dag_tab_sums_up_what_describe_training_job_tells_of_its_runs(
    open_page: Callable[..., Page], story: Story
) -> None:
    page = open_page("/dags/fraud_nightly", user="ana")
    page.get_by_role("link", name="Spot training").click(timeout=PATIENCE)
    frame = in_airflow(page)

    ended = [job for job in story.described("fraud-nightly-") if job["TrainingJobStatus"] != "InProgress"]
    trained = sum(job["TrainingTimeInSeconds"] for job in ended)
    billed = sum(job["BillableTimeInSeconds"] for job in ended)
    totals = frame.get_by_role("list", name="Over these runs")
    expect(totals).to_contain_text(f"{(1 - billed / trained) * 100:.1f}% saved", timeout=PATIENCE)
    expect(totals).to_contain_text("7newest runs")
    expect(frame.get_by_role("table", name="Runs").locator("tbody tr")).to_have_count(7)
    for chart in ("Savings and interruptions", "Cost against on demand, USD", "Outcomes"):
        figure = frame.locator("figure").filter(has_text=chart)
        expect(figure.locator(".js-plotly-plot .main-svg").first).to_be_visible(timeout=PATIENCE)


def test_charts_come_from_the_installed_package(open_page: Callable[..., Page], story: Story) -> None:
    page = open_page(story.page("tabular_sweep", "search.trials", 0), user="ana")

    with page.expect_response("**/spot/static/plotly.min.js*", timeout=PATIENCE) as loading:
        page.goto("/spot/dag?dag_id=fraud_nightly")

    assert loading.value.ok
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible(timeout=PATIENCE)


def test_tab_of_a_running_task_has_its_curves_its_log_and_its_checkpoints(
    open_page: Callable[..., Page], story: Story
) -> None:
    page = open_page(story.tab("churn_retraining"), user="ana")
    frame = in_airflow(page)

    log = frame.get_by_role("region", name="Training log")
    expect(log).to_contain_text(re.compile(r"epoch=\d+ loss="), timeout=PATIENCE)
    expect(
        frame.get_by_role("region", name="Metrics").get_by_role("img", name=re.compile("loss"))
    ).to_be_visible()
    expect(frame.get_by_role("region", name="Facts")).to_contain_text(
        "s3://ui-tests/checkpoints/churn_retraining/"
    )


def test_tab_of_a_sweeps_slot_has_all_trials(open_page: Callable[..., Page], story: Story) -> None:
    page = open_page(story.tab("tabular_sweep", "search.trials", 0), user="ana")

    trials = in_airflow(page).get_by_role("table", name="Trials")

    expect(trials.locator("tbody tr")).to_have_count(6, timeout=PATIENCE)
    expect(trials).to_contain_text("learning_rate=")


def test_run_is_exported_for_perfetto(open_page: Callable[..., Page], story: Story, tmp_path: Path) -> None:
    page = open_page(story.tab("churn_retraining"), user="ana")

    with page.expect_download(timeout=PATIENCE) as downloading:
        in_airflow(page).get_by_role("link", name="Export run for Perfetto").click(timeout=PATIENCE)
    path = tmp_path / "trace.json"
    downloading.value.save_as(path)

    events = json.loads(path.read_text())["traceEvents"]
    assert {"Training", "Interrupted"} <= {event["name"] for event in events}
    assert downloading.value.suggested_filename.startswith("churn_retraining")


def test_refresh_reads_the_newest_log_lines_from_aws(open_page: Callable[..., Page], story: Story) -> None:
    newest = story.log_of(story.job("llm_fine_tune", "fine_tune"))[-1]
    page = open_page(story.tab("llm_fine_tune", "fine_tune"), user="ana")
    frame = in_airflow(page)
    log = frame.get_by_role("region", name="Training log")
    expect(frame.get_by_role("button", name="Refresh from AWS")).to_be_visible(timeout=PATIENCE)
    expect(log).not_to_contain_text(newest)

    frame.get_by_role("button", name="Refresh from AWS").click()

    expect(log).to_contain_text(newest, timeout=PATIENCE)


def test_unknown_dag_says_so(open_page: Callable[..., Page]) -> None:
    page = open_page(f"/spot/dag?dag_id={quote('no such dag')}")

    expect(page.get_by_role("heading", name="Spot training of no such dag")).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".empty, .note").first).to_be_visible(timeout=PATIENCE)
