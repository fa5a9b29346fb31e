"""Keeps what a server holds, and gives it to the next one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from airflow_spot_provider.emulator.control.calls import called
from airflow_spot_provider.emulator.jobs.training_job import TrainingJob
from airflow_spot_provider.emulator.jobs.world import World
from airflow_spot_provider.emulator.state.files import write_whole
from airflow_spot_provider.emulator.state.jobs import job_from_json, job_to_json
from airflow_spot_provider.emulator.state.log_lines import LogKeeper
from airflow_spot_provider.emulator.state.objects import ObjectStore
from airflow_spot_provider.emulator.state.requests import RequestJournal
from airflow_spot_provider.emulator.tuning.keeping import tuning_job_from_json, tuning_job_to_json
from airflow_spot_provider.emulator.tuning.tuning_job import TuningJob
from airflow_spot_provider.emulator.tuning.tuning_jobs import TuningJobs
from airflow_spot_provider.emulator.wire.protocol import caller_of

FORMAT = 1
_JOBS, _TUNING_JOBS = "jobs", "tuning-jobs"
WSGI = Callable[[Any, Any], Iterable[bytes]]


class Keeper:
    """The state of one server in a folder: jobs, S3, and the requests that changed moto's other services.

    :param folder: is made if it is not there.
    :raises ValueError: it holds something else, or the state of another version.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.objects = ObjectStore(folder / "s3")
        self.log_lines = LogKeeper(folder / "log-lines.jsonl")
        self._journal = RequestJournal(folder / "requests.jsonl")
        self._time = folder / "time.json"
        about = folder / "state.json"
        if about.exists():
            found = json.loads(about.read_text()).get("format")
            if found != FORMAT:
                raise ValueError(
                    f"{folder} holds a state of format {found}; this version reads format {FORMAT}."
                )
        elif folder.is_dir() and any(folder.iterdir()):
            raise ValueError(
                f"{folder} is not empty and holds no state; name a new folder, or one that does."
            )
        else:
            write_whole(about, json.dumps({"format": FORMAT}).encode())

    # While a server runs

    def keep_time(self, until: datetime) -> None:
        """Keep up to when the emulated time may have been told; the next server starts there."""
        write_whole(self._time, json.dumps({"until": until.isoformat()}).encode())

    def keep(self, job: TrainingJob, now: datetime) -> None:
        """Keep a job as it is now; called with its lock held."""
        self._write(_JOBS, job.spec.arn, job_to_json(job), now)

    def keep_tuning_job(self, job: TuningJob, now: datetime) -> None:
        """Keep a tuning job as it is now; called with its lock held."""
        self._write(_TUNING_JOBS, job.arn, tuning_job_to_json(job), now)

    def forget(self, job: TrainingJob) -> None:
        """Keep a job no longer."""
        self._place(_JOBS, job.spec.arn).unlink(missing_ok=True)

    def forget_tuning_job(self, job: TuningJob) -> None:
        """Keep a tuning job no longer."""
        self._place(_TUNING_JOBS, job.arn).unlink(missing_ok=True)

    def keeping(self, moto: WSGI) -> WSGI:
        """The same application, with what its requests change being kept before they are answered."""

        def _application(environ: Any, start_response: Any) -> Iterable[bytes]:
            service, operation = called(environ)
            statuses: list[int] = []

            def _noted(status: str, headers: Any, exc_info: Any = None) -> Any:
                statuses.append(int(status.split(maxsplit=1)[0]))
                return (
                    start_response(status, headers, exc_info) if exc_info else start_response(status, headers)
                )

            concerned = self._journal.concerns(service, operation)
            body = self._journal.body_of(environ) if concerned else b""
            answer = moto(environ, _noted)
            if not statuses or statuses[-1] >= 400:
                return answer
            if concerned:
                self._journal.keep(environ, body)
            if service == "s3" and environ["REQUEST_METHOD"] in ("PUT", "POST", "DELETE"):
                bucket, key = _bucket_and_key(environ)
                if bucket:
                    self.objects.keep(caller_of(environ)[0], bucket, key)
            return answer

        return _application

    # When the next one starts

    def latest_time(self) -> datetime | None:
        """The emulated time behind which nothing was told; None for a new state."""
        times = [kept["at"] for kind in (_JOBS, _TUNING_JOBS) for kept in self._kept(kind)]
        if self._time.exists():
            times.append(json.loads(self._time.read_text())["until"])
        return max((datetime.fromisoformat(time) for time in times), default=None)

    def restore(self, moto: WSGI) -> None:
        """Give moto back what it held."""
        self.objects.restore()
        self.log_lines.restore()
        self._journal.make_again(moto)

    def jobs(self, world: World) -> list[TrainingJob]:
        """The jobs that were kept, in the order in which they were created."""
        jobs = [job_from_json(kept["job"], world) for kept in self._kept(_JOBS)]
        return sorted(jobs, key=lambda job: (job.creation_time, job.training_job_name))

    def tuning_jobs(self, tuning_jobs: TuningJobs) -> list[TuningJob]:
        """The tuning jobs that were kept, in the order in which they were created; their training jobs are there by now."""
        jobs = [tuning_job_from_json(kept["job"], tuning_jobs) for kept in self._kept(_TUNING_JOBS)]
        return sorted(jobs, key=lambda job: (job.creation_time, job.name))

    def _write(self, kind: str, arn: str, job: dict[str, Any], now: datetime) -> None:
        content = {"at": now.isoformat(), "job": job}
        write_whole(self._place(kind, arn), json.dumps(content).encode())

    def _kept(self, kind: str) -> list[dict[str, Any]]:
        return [json.loads(file.read_text()) for file in sorted((self._folder / kind).glob("*.json"))]

    def _place(self, kind: str, arn: str) -> Path:
        return self._folder / kind / f"{sha256(arn.encode()).hexdigest()}.json"


def _bucket_and_key(environ: Any) -> tuple[str, str | None]:
    """Bucket and key of an S3 request: both in the path, or the bucket in the name of the host."""
    host = environ.get("HTTP_HOST", "").partition(":")[0]
    label, dot, rest = host.partition(".")
    path = unquote(environ.get("PATH_INFO", "/").encode("latin-1").decode("utf-8", "replace")).lstrip("/")
    if dot and not rest[:1].isdigit() and not host.replace(".", "").isdigit():
        return label, path or None
    bucket, _, key = path.partition("/")
    return bucket, key or None
