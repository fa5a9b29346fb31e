"""A real Airflow with users of different rights, a local SageMaker, and the system's Chromium."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from airflow_spot_provider.demo.local_airflow import LocalAirflow
from airflow_spot_provider.emulator import SageMakerEmulator

HERE = Path(__file__).parent
USERS = {"admin": "admin", "editor": "user", "viewer": "viewer", "guest": "viewer"}
"""Names to roles."""
GUESTS_DAGS = ["ui_live", "ui_done", "ui_group", "ui_failed", "ui_fan_out", "ui_strangers"]
"""What the guest may read: not ``secret_dag``."""
SPEED = 3.0
ZONES = ("a", "b", "c", "d", "e", "f")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class AirflowWithUsers(LocalAirflow):
    """Logs in as the administrator, by name and password."""

    def token(self, user: str) -> str:
        body = {"username": user, "password": user}
        answer = httpx.post(f"{self.url}/auth/token", json=body, timeout=60, trust_env=False)
        return str(answer.raise_for_status().json()["access_token"])

    def _api(self) -> httpx.Client:
        if self._client is None:
            self._client = self.as_user("admin")
        return self._client

    def as_user(self, user: str | None) -> httpx.Client:
        """A client that sends the user's cookie, as a browser does; None sends none."""
        cookies = {} if user is None else {"_token": self.token(user)}
        return httpx.Client(base_url=self.url, cookies=cookies, timeout=60, trust_env=False)


@pytest.fixture(scope="session")
def emulator() -> Iterator[SageMakerEmulator]:
    with SageMakerEmulator(speed=SPEED) as running:
        running.client("s3").create_bucket(Bucket="ui-tests")
        yield running


@pytest.fixture(scope="session")
def airflow(
    emulator: SageMakerEmulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AirflowWithUsers]:
    root = tmp_path_factory.mktemp("airflow")
    passwords = root / "passwords.json"
    passwords.write_text(json.dumps({user: user for user in USERS}))
    environment = {
        "AIRFLOW_CONN_AWS_DEFAULT": emulator.airflow_connection(),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__CORE__AUTH_MANAGER": "restricted_auth_manager.RestrictedAuthManager",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(
            f"{name}:{role}" for name, role in USERS.items()
        ),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "SPOT_TEST_READABLE_DAGS": json.dumps({"guest": GUESTS_DAGS}),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH", "")))),
    }
    with AirflowWithUsers(root / "home", HERE / "dags", environment=environment) as running:
        yield running


@pytest.fixture
def capacity(emulator: SageMakerEmulator) -> Callable[[str, int], None]:
    """Hold the spot capacity of an instance type, in all zones."""

    def _hold(instance_type: str, instances: int) -> None:
        for zone in ZONES:
            emulator.set_capacity(instance_type, instances, zone=zone)

    return _hold


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    assert found, "These tests need Chromium: apt-get install chromium, or set CHROMIUM to where it is."
    running = playwright.chromium.launch(executable_path=found, args=FLAGS)
    yield running
    running.close()


Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, airflow: AirflowWithUsers) -> Iterator[Open]:
    """Open one of our pages (or any of Airflow's) as a user, in light or dark."""
    contexts: list[BrowserContext] = []

    def _open(
        path: str, *, user: str = "admin", dark: bool = False, width: int = 1280, height: int = 900
    ) -> Page:
        context = browser.new_context(
            base_url=airflow.url,
            color_scheme="dark" if dark else "light",
            viewport={"width": width, "height": height},
        )
        context.add_cookies([{"name": "_token", "value": airflow.token(user), "url": airflow.url}])
        context.add_init_script(f"localStorage.setItem('theme', '{'dark' if dark else 'light'}')")
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.goto(path)
        return page

    yield _open
    for context in contexts:
        context.close()


@pytest.fixture
def run_id() -> str:
    return f"ui-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def job_of(airflow: AirflowWithUsers) -> Callable[..., str]:
    """The job of a task, once it has been submitted."""

    def _job(dag_id: str, run_id: str, task_id: str = "train", map_index: int = -1) -> str:
        def _submitted() -> Any:
            return airflow.xcom(dag_id, run_id, task_id, "spot_progress", map_index=map_index)

        return str(airflow.wait_for(_submitted, what="the job to be submitted", timeout=120)["job_name"])

    return _job


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where pictures of the running UI go."""
    folder = HERE.parents[1] / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
