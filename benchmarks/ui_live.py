"""Measure the pages in a browser: how late they show a transition, what they weigh, and when they can be used. Asserts nothing.

    python -m benchmarks.ui_live            (make bench-ui-live)

A real Airflow and a local SageMaker whose clock is moved by hand: a transition is when the clock passes it. The page is the one of all
trainings, with a full page of rows; jobs are polled every second.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from airflow_spot_provider.emulator import SageMakerEmulator
from tests.ui.chromium import PATIENCE, launched, row_of, signed_in
from tests.ui.served import ServedAirflow

ROWS = 24
MEMBERS = 2
RUN = "live"


def main() -> None:
    """Start everything, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=10, help="how many jobs are followed (default: %(default)s)"
    )
    parser.add_argument(
        "--loads", type=int, default=7, help="how often each page is opened (default: %(default)s)"
    )
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        SageMakerEmulator(clock="stepped", start=datetime.now(UTC)) as emulator,
        ServedAirflow.in_folder(
            Path(folder), {"AIRFLOW_CONN_AWS_DEFAULT": emulator.airflow_connection()}
        ) as airflow,
        sync_playwright() as playwright,
    ):
        emulator.client("s3").create_bucket(Bucket="ui-tests")
        for number in range(ROWS // MEMBERS):
            airflow.run("ui_fan_out", f"row-{number}")
        for number in range(ROWS // MEMBERS):
            airflow.progress("ui_fan_out", f"row-{number}", map_index=MEMBERS - 1)
        # They end before anything is measured: two dozen tasks that end at once keep Airflow busy for half a minute.
        emulator.clock.advance(timedelta(hours=1))
        for number in range(ROWS // MEMBERS):
            airflow.wait_for(
                lambda run_id=f"row-{number}": airflow.run_state("ui_fan_out", run_id) == "success",
                what="the rows to end",
                timeout=300,
            )
        browser = launched(playwright)
        lags = [
            lag for each in range(arguments.rounds) for lag in _followed(browser, airflow, emulator, each)
        ]
        print(f"transition to page, {len(lags)} transitions: {_spread(lags)} s")
        task = f"task?dag_id=ui_live&run_id={RUN}-0&task_id=train&map_index=-1"
        pages = (
            ("all trainings", "/spot/", "tbody tr"),
            ("a DAG, with plotly", "/spot/dag?dag_id=ui_live", ".js-plotly-plot .main-svg"),
            ("a task", f"/spot/{task}", "dl"),
        )
        for name, path, shows in pages:
            measured = [_opened(browser, airflow, path, shows) for _ in range(arguments.loads)]
            kilobytes, seconds = zip(*measured, strict=True)
            print(f"{name}: {max(kilobytes):.0f} kB transferred; usable after {_spread(seconds)} s")
        browser.close()


def _followed(
    browser: Browser, airflow: ServedAirflow, emulator: SageMakerEmulator, number: int
) -> list[float]:
    """How long each transition of one job took to the page."""
    run_id = f"{RUN}-{number}"
    context = signed_in(browser, airflow, "admin")
    page = context.new_page()
    page.goto("/spot/#dag_id=ui_live")
    airflow.run("ui_live", run_id)
    job = airflow.progress("ui_live", run_id)["job_name"]
    _wait(page, run_id, "Waiting")
    lags = []
    steps = (
        (timedelta(seconds=15), False, "Downloading"),
        (timedelta(minutes=10), False, "Training"),
        (timedelta(0), True, "Interrupted"),
        (timedelta(minutes=5), False, "Training"),
        (timedelta(hours=2), False, "Completed"),
    )
    for step, interrupted, state in steps:
        if interrupted:
            emulator.interrupt(job)
        emulator.clock.advance(step)
        begun = time.monotonic()
        _wait(page, run_id, state)
        lags.append(time.monotonic() - begun)
    context.close()
    return lags


def _wait(page: Page, run_id: str, state: str) -> None:
    row_of(page, run_id).get_by_text(state, exact=True).wait_for(timeout=PATIENCE)


def _opened(browser: Browser, airflow: ServedAirflow, path: str, shows: str) -> tuple[float, float]:
    """Kilobytes over the wire until a page can be used, with nothing in the cache, and how long that took."""
    context = signed_in(browser, airflow, "admin")
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    sizes: list[float] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    begun = time.monotonic()
    page.goto(path, wait_until="commit")
    page.locator(shows).first.wait_for(timeout=PATIENCE)
    seconds = time.monotonic() - begun
    page.wait_for_load_state("networkidle")
    context.close()
    return sum(sizes) / 1000, seconds


def _spread(values: Sequence[float]) -> str:
    return f"median {statistics.median(values):.2f}, largest {max(values):.2f}"


if __name__ == "__main__":
    main()
