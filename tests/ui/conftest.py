"""A real Airflow with users of different rights, two local SageMakers, and the system's Chromium.

The clocks of the local SageMakers stand still until a test moves them: each state of a job lasts until its page has shown it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Dialog,
    Page,
    Playwright,
    Request,
    sync_playwright,
)

from airflow_spot_provider.emulator import SageMakerEmulator
from tests.ui.chromium import launched, signed_in
from tests.ui.served import ServedAirflow
from tests.ui.story import BEGINS, Story

BUCKET = "ui-tests"
Open = Callable[..., Page]


@pytest.fixture(scope="session")
def emulator() -> Iterator[SageMakerEmulator]:
    """For the tests' own jobs (connection ``aws_default``)."""
    with SageMakerEmulator(clock="stepped", start=datetime.now(UTC)) as running:
        running.client("s3").create_bucket(Bucket=BUCKET)
        yield running


@pytest.fixture(scope="session")
def pictured_emulator() -> Iterator[SageMakerEmulator]:
    """For the jobs in the pictures (connection ``aws_pictured``); its clock begins some days ago, and is brought to now."""
    with SageMakerEmulator(clock="stepped", start=datetime.now(UTC) - BEGINS) as running:
        running.client("s3").create_bucket(Bucket=BUCKET)
        yield running


@pytest.fixture(scope="session")
def airflow(
    emulator: SageMakerEmulator,
    pictured_emulator: SageMakerEmulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ServedAirflow]:
    root = tmp_path_factory.mktemp("airflow")
    environment = {
        "AIRFLOW_CONN_AWS_DEFAULT": emulator.airflow_connection(),
        "AIRFLOW_CONN_AWS_PICTURED": pictured_emulator.airflow_connection(),
        "AIRFLOW_VAR_SPOT_TRAINING_FOLDER": str(root),
    }
    with ServedAirflow.in_folder(root, environment) as running:
        yield running


@pytest.fixture(scope="session")
def story(airflow: ServedAirflow, pictured_emulator: SageMakerEmulator) -> Story:
    """A week of trainings, up to now: some have ended, some go on."""
    told = Story(airflow, pictured_emulator)
    told.tell()
    return told


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    running = launched(playwright)
    yield running
    running.close()


@pytest.fixture
def open_page(browser: Browser, airflow: ServedAirflow) -> Iterator[Open]:
    """Open a page as a user. Whatever goes wrong in its scripts fails the test, and so does a request to anybody but Airflow."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def _asked(request: Request) -> None:
        if not request.url.startswith((f"{airflow.url}/", "file:", "blob:", "data:")):
            wrong.append(f"asked {request.url}")

    def _dialog(dialog: Dialog) -> None:
        wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _open(path: str, *, user: str | None = "admin", **looks: Any) -> Page:
        context = signed_in(browser, airflow, user, **looks)
        contexts.append(context)
        context.on("request", _asked)
        context.on("dialog", _dialog)
        context.on("weberror", lambda error: wrong.append(str(error.error)))
        page = context.new_page()
        page.goto(path, wait_until="domcontentloaded")
        return page

    yield _open
    for context in contexts:
        context.close()
    assert not wrong


@pytest.fixture
def run_id() -> str:
    return f"ui-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where pictures of the running UI go."""
    folder = Path(__file__).parents[2] / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
