"""An Airflow of one's own: real scheduler, triggerer and API server, on SQLite and free ports."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import httpx

from airflow_spot_provider.demo.processes import end_session, free_ports, is_listened_on

STANDALONE = ("standalone",)
SEPARATE = ("api-server", "scheduler", "dag-processor", "triggerer")
"""The components on their own, so that one can be killed and started again."""

_Answer = TypeVar("_Answer")


class XComEntry(NamedTuple):
    """Where an XCom is."""

    task_id: str
    map_index: int
    key: str


class LocalAirflowError(RuntimeError):
    """Airflow did not start or did not answer; the message holds the newest lines of its logs."""


class LocalAirflow:
    """Airflow for as long as the ``with`` block lasts; everybody is an administrator, and it listens on loopback only.

    :param home: AIRFLOW_HOME, made anew.
    :param dags: folder of the DAG files.
    :param environment: environment variables on top of this process's own.
    :param components: what to run: :data:`STANDALONE`, or :data:`SEPARATE`.
    :param start_timeout: seconds that Airflow may take until it answers.
    :raises LocalAirflowError: it does not start.
    """

    def __init__(
        self,
        home: Path,
        dags: Path,
        *,
        environment: Mapping[str, str],
        components: Sequence[str] = STANDALONE,
        start_timeout: float = 600.0,
    ) -> None:
        self.home = home.resolve()
        self._dags = dags.resolve()
        self._extra = dict(environment)
        self._components = tuple(components)
        self._start_timeout = start_timeout
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._client: httpx.Client | None = None
        self._environment: dict[str, str] = {}
        self._ports: list[int] = []
        self.url = ""

    def __enter__(self) -> Self:
        """Start it, and wait until scheduler, triggerer, DAG processor and API answer."""
        shutil.rmtree(self.home, ignore_errors=True)
        (self.home / "logs").mkdir(parents=True)
        self._ports = free_ports(3)
        api, scheduler_logs, triggerer_logs = self._ports
        self.url = f"http://127.0.0.1:{api}"
        self._environment = {
            **os.environ,
            **self._settings(api, scheduler_logs, triggerer_logs),
            **self._extra,
        }
        try:
            if self._components != STANDALONE:
                subprocess.run(
                    self._command("db", "migrate"), env=self._environment, check=True, capture_output=True
                )
            for component in self._components:
                self.start(component)
            self.wait_for(self._is_healthy, what="Airflow to be healthy", timeout=self._start_timeout)
        except subprocess.CalledProcessError as error:
            raise LocalAirflowError(f"airflow db migrate failed: {error.stderr.decode()[-2000:]}") from error
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End all of it."""
        self.stop()

    def start(self, component: str) -> None:
        """Start one component, in a process group of its own."""
        with (self.home / "logs" / f"{component}.out").open("ab") as output:
            self._processes[component] = subprocess.Popen(
                self._command(component),
                env=self._environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, component: str) -> None:
        """SIGKILL one component with all its children: a crash."""
        end_session(self._processes.pop(component), signal.SIGKILL)

    def stop(self) -> None:
        """End every component and all its children; a second time does nothing.

        :raises LocalAirflowError: somebody still listens on one of its ports.
        """
        if self._client is not None:
            self._client.close()
            self._client = None
        with contextlib.ExitStack() as stack:  # ends all of them, also if the end of one is cut short
            while self._processes:
                stack.callback(end_session, self._processes.popitem()[1], signal.SIGTERM)
        ports, self._ports = self._ports, []
        if taken := [port for port in ports if is_listened_on(port)]:
            raise LocalAirflowError(f"Airflow was ended, and ports {taken} are still listened on.")

    def get(self, path: str, **parameters: Any) -> Any:
        """GET a resource of the REST API.

        :param path: below ``/api/v2``, as ``/dags/x/dagRuns``.
        :return: its JSON.
        :raises httpx.HTTPStatusError: Airflow answers with an error.
        """
        return self._json(self._api().get(f"/api/v2{path}", params=parameters))

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """POST to a resource of the REST API; see :meth:`get`."""
        return self._json(self._api().post(f"/api/v2{path}", json=body))

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """PATCH a resource of the REST API; see :meth:`get`."""
        return self._json(self._api().patch(f"/api/v2{path}", json=body))

    def trigger(self, dag_id: str, run_id: str) -> None:
        """Unpause a DAG and start a run, once the DAG processor has read it."""
        self.wait_for(lambda: self._knows(dag_id), what=f"the DAG {dag_id} to be read", timeout=300)
        self.patch(f"/dags/{dag_id}", {"is_paused": False})
        self.post(f"/dags/{dag_id}/dagRuns", {"dag_run_id": run_id, "logical_date": None})

    def run_state(self, dag_id: str, run_id: str) -> str:
        """State of a DAG run."""
        return str(self.get(f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """State of each task instance of a DAG run."""
        listed = self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=200)["task_instances"]
        return {each["task_id"]: each["state"] for each in listed}

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", *, map_index: int = -1
    ) -> Any:
        """An XCom, or None if there is none."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        try:
            return self.get(path, deserialize="true", map_index=map_index)["value"]
        except httpx.HTTPStatusError as error:
            if error.response.status_code == httpx.codes.NOT_FOUND:
                return None
            raise

    def xcoms(self, dag_id: str, run_id: str) -> list[XComEntry]:
        """What XComs a DAG run has, without their values."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/~/xcomEntries"
        found: list[XComEntry] = []
        while True:
            answer = self.get(path, limit=100, offset=len(found))
            entries = answer["xcom_entries"]
            found += [XComEntry(each["task_id"], each["map_index"], each["key"]) for each in entries]
            if not entries or len(found) >= answer["total_entries"]:
                return found

    def task_log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1) -> str:
        """The log of one try of a task, as text."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        content = self.get(path, full_content="true")["content"]
        return "\n".join(
            str(line.get("event", "")) if isinstance(line, dict) else str(line) for line in content
        )

    def wait_for(self, condition: Callable[[], _Answer], *, what: str, timeout: float) -> _Answer:
        """Ask until the answer is true, and give it.

        :param condition: asked twice a second; one that cannot connect counts as not yet.
        :param what: for the error.
        :param timeout: seconds.
        :raises LocalAirflowError: it did not come true in time, or a component ended; with the newest log lines.
        """
        end = time.monotonic() + timeout
        while True:
            with contextlib.suppress(httpx.TransportError):
                if answer := condition():
                    return answer
            ended = [name for name, process in self._processes.items() if process.poll() is not None]
            if ended:
                raise LocalAirflowError(
                    f"airflow {', '.join(ended)} ended by itself.\n{self._newest_log_lines()}"
                )
            if time.monotonic() > end:
                raise LocalAirflowError(f"Waited {timeout:.0f} s for {what}.\n{self._newest_log_lines()}")
            time.sleep(0.5)

    def _settings(self, api: int, scheduler_logs: int, triggerer_logs: int) -> dict[str, str]:
        return {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self._dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "6",
            # Half a minute is not much for six workers that import at once on two busy cores.
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "300",
            "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "400",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__API__ENABLE_XCOM_DESERIALIZE_SUPPORT": "True",  # Airflow 3.0 shows XComs as text otherwise
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(api),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.home}/airflow.db",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(scheduler_logs),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(triggerer_logs),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
            # The scheduler fails a task that resumes before it has heard that the task was deferred, and a supervisor
            # tells it so after one heartbeat interval: here a job can be over in seconds.
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
            # A file that changes is read again at once; one that does not, seldom: it takes most of a core each time.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "PYTHONDONTWRITEBYTECODE": "1",
            # `airflow standalone` looks for the command on the path, which needs no virtualenv to be active here.
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
            # Loopback answers for itself: no proxy of the surroundings stands between the components.
            "NO_PROXY": "127.0.0.1,localhost",
        }

    @staticmethod
    def _command(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "airflow", *arguments]

    def _api(self) -> httpx.Client:
        if self._client is None:
            token = httpx.get(f"{self.url}/auth/token", timeout=30, trust_env=False).raise_for_status()
            headers = {
                "Authorization": f"Bearer {token.json()['access_token']}",
                "Accept": "application/json",
            }
            self._client = httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False)
        return self._client

    @staticmethod
    def _json(response: httpx.Response) -> Any:
        return response.raise_for_status().json()

    def _is_healthy(self) -> bool:
        response = httpx.get(f"{self.url}/api/v2/monitor/health", timeout=10, trust_env=False)
        if response.status_code != httpx.codes.OK:
            return False
        health = response.json()
        return all(
            (health.get(part) or {}).get("status") == "healthy"
            for part in ("scheduler", "triggerer", "dag_processor")
        )

    def _knows(self, dag_id: str) -> bool:
        """Whether the DAG is read. A file that cannot be imported is no matter if it is another DAG's.

        :raises LocalAirflowError: the file that names the DAG cannot be imported.
        """
        if any(dag["dag_id"] == dag_id for dag in self.get("/dags", limit=100)["dags"]):
            return True
        for error in self.get("/importErrors")["import_errors"]:
            if dag_id in (self._dags / error["filename"]).read_text(errors="replace"):
                raise LocalAirflowError(
                    f"{error['filename']} cannot be imported, which names {dag_id}:\n{error['stack_trace']}"
                )
        return False

    def _newest_log_lines(self) -> str:
        parts = []
        for path in sorted((self.home / "logs").glob("*.out")):
            lines = path.read_text(errors="replace").splitlines()[-25:]
            parts.append("\n".join((f"--- {path.name}", *lines)))
        return "\n".join(parts)
