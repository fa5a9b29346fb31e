"""An Airflow whose users may do different things, for the browser tests and for the benchmark of the pages."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from airflow_spot_provider.demo.local_airflow import SEPARATE, LocalAirflow, LocalAirflowError
from tests.ui.restricted_auth_manager import READABLE_DAGS

HERE = Path(__file__).parent
PICTURED = (
    "churn_retraining",
    "fraud_nightly",
    "llm_fine_tune",
    "ranker_search",
    "tabular_sweep",
    "vision_nightly",
)
"""The DAGs that the pictures show."""
ROLES = {
    "admin": "admin",
    "editor": "user",
    "viewer": "viewer",
    "guest": "viewer",
    "newcomer": "user",
    "ana": "user",
}
"""Airflow's simple auth manager: an admin may do all, a user changes runs, a viewer reads."""
READABLE: dict[str, tuple[str, ...]] = {
    "guest": ("ui_live", "ui_fan_out", "ui_two_rungs"),
    "newcomer": (),
    "ana": PICTURED,
}
"""The DAGs that a user may read; whoever is not named may read all."""


class ServedAirflow(LocalAirflow):
    """Airflow with the users of :data:`ROLES`, whose passwords are their names; the REST API is asked as ``admin``."""

    @classmethod
    def in_folder(cls, root: Path, environment: Mapping[str, str]) -> ServedAirflow:
        """One that keeps everything in a folder.

        :param root: an empty folder.
        :param environment: environment variables on top of what users need: connections, for instance.
        """
        passwords = root / "passwords.json"
        passwords.write_text(json.dumps({user: user for user in ROLES}))
        settings = {
            "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
            "AIRFLOW__CORE__AUTH_MANAGER": "restricted_auth_manager.RestrictedAuthManager",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(
                f"{name}:{role}" for name, role in ROLES.items()
            ),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            # What a run may be called is Airflow's to say; here it takes what a page must be able to show all the same.
            "AIRFLOW__SCHEDULER__ALLOWED_RUN_ID_PATTERN": "^.+$",
            "PYTHONPATH": os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH", "")))),
            READABLE_DAGS: json.dumps(READABLE),
        }
        # The components that `airflow standalone` runs; it itself insists on an auth manager that knows no single DAGs.
        return cls(root / "home", HERE / "dags", environment={**settings, **environment}, components=SEPARATE)

    def token(self, user: str) -> str:
        """What the login page would give the user."""
        body = {"username": user, "password": user}
        answer = httpx.post(f"{self.url}/auth/token", json=body, timeout=60, trust_env=False)
        return str(answer.raise_for_status().json()["access_token"])

    def as_user(self, user: str | None) -> httpx.Client:
        """A client that sends the user's cookie, as a browser does; None: somebody who is not signed in."""
        cookies = {} if user is None else {"_token": self.token(user)}
        return httpx.Client(base_url=self.url, cookies=cookies, timeout=120, trust_env=False)

    def run(self, dag_id: str, run_id: str, **body: Any) -> None:
        """Start a run of a DAG, once the DAG processor has read it.

        :param body: of the REST API's request, such as ``conf``.
        """
        self.wait_for(lambda: self._knows(dag_id), what=f"the DAG {dag_id} to be read", timeout=120)
        self.patch(f"/dags/{dag_id}", {"is_paused": False})
        self.post(f"/dags/{dag_id}/dagRuns", {"dag_run_id": run_id, "logical_date": None, **body})

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """POST to a resource of the REST API."""
        return self._written(lambda: super(ServedAirflow, self).post(path, body), path)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """PATCH a resource of the REST API."""
        return self._written(lambda: super(ServedAirflow, self).patch(path, body), path)

    def progress(
        self, dag_id: str, run_id: str, task_id: str = "train", map_index: int = -1
    ) -> dict[str, Any]:
        """What a task has published about its job, once it has submitted one."""
        found: dict[str, Any] = self.wait_for(
            lambda: self.xcom(dag_id, run_id, task_id, "spot_progress", map_index=map_index),
            what=f"{dag_id}.{task_id} to submit its job",
            timeout=180,
        )
        return found

    def _written(self, write: Callable[[], Any], path: str) -> Any:
        """On SQLite the API server's audit log, written in its event loop, and another request that has the lock and needs the event
        loop to let go of it can wait for each other; after five seconds Airflow gives up the former.
        """

        def _tried() -> list[Any]:
            try:
                return [write()]
            except httpx.HTTPStatusError as error:
                if "Database error" in error.response.text:
                    return []
                why = f"{error}: {error.response.text}\n{self._newest_log_lines()}"
                raise LocalAirflowError(why) from error

        return self.wait_for(_tried, what=f"the database to take {path}", timeout=120)[0]

    def _api(self) -> httpx.Client:
        if self._client is None:
            self._client = self.as_user("admin")
        return self._client
