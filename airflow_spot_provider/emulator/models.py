"""A training job as a state machine: events in, transitions out."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_spot_provider.emulator.checkpoints import CheckpointMirror
from airflow_spot_provider.emulator.clock import Clock
from airflow_spot_provider.emulator.container import HOST, Container, InputProblem
from airflow_spot_provider.emulator.exceptions import ValidationException
from airflow_spot_provider.emulator.lifecycles import End, Lifecycle, Stay, for_job
from airflow_spot_provider.emulator.logs import LogStream
from airflow_spot_provider.emulator.market import SpotPrices
from airflow_spot_provider.emulator.storage import Storage

STARTING_SECONDS = 15.0
"""Emulated seconds until an instance is there."""
DOWNLOADING_SECONDS = 5.0
UPLOADING_SECONDS = 3.0
STOPPING_SECONDS = 2.0
OUTAGE_SECONDS = 45.0
"""Emulated seconds without spot capacity after an interruption."""
GRACE_SECONDS = 120.0
"""What SageMaker gives a script between SIGTERM and SIGKILL."""
LEAST_REAL_GRACE_SECONDS = 5.0
"""A fast clock must not rob a script of its chance to save a checkpoint."""
LEAST_REAL_STAY_SECONDS = 4.0
"""How long the last stay before MaxWait really lasts at least: long enough for a script to start and to resume."""
DEFAULT_TRAINING_SECONDS = 60.0
"""How long a job without a script trains."""
LATEST_INTERRUPTION_SECONDS = 1800.0
"""When a stay that is to be interrupted is so, if its script has written no checkpoint until then."""

MAX_WAIT = "MaxWaitTimeExceeded"
MAX_RUNTIME = "MaxRuntimeExceeded"
STOPPED = "Stopped"

_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Interrupted": "Training job interrupted. Waiting for spot capacity.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopping": "Stopping the training job",
    STOPPED: "Training job stopped",
    MAX_RUNTIME: "Training job runtime exceeded MaxRuntimeInSeconds provided",
    MAX_WAIT: "Training job wait time exceeded MaxWaitTimeInSeconds provided",
}
_ENDED = frozenset({"Completed", "Failed", "Stopped"})


@dataclass(frozen=True)
class World:
    """What all jobs of one server share.

    :param clock: its time.
    :param prices: what spot costs on it.
    :param storage: its S3.
    :param endpoint_url: its address.
    :param folder: where the jobs' folders are.
    """

    clock: Clock
    prices: SpotPrices
    storage: Storage
    endpoint_url: str
    folder: Path


class TrainingJob:
    """One training job. moto keeps it among its own, and reads ``tags`` and ``response_object``.

    :param request: the checked CreateTrainingJob request.
    :param arn: TrainingJobArn.
    :param account_id: AWS account.
    :param region: AWS region.
    :param lifecycle: what it is to go through.
    :param world: what it shares with the other jobs of its server.
    """

    def __init__(
        self,
        request: Mapping[str, Any],
        *,
        arn: str,
        account_id: str,
        region: str,
        lifecycle: Lifecycle,
        world: World,
    ) -> None:
        self.training_job_name: str = request["TrainingJobName"]
        self.arn = arn
        self.tags: list[dict[str, str]] = [dict(tag) for tag in request.get("Tags") or ()]
        self._request = request
        self._account_id = account_id
        self._region = region
        self._world = world
        self._clock = world.clock
        self._spot = bool(request.get("EnableManagedSpotTraining"))
        self._stays = for_job(lifecycle, managed_spot=self._spot).stays
        self._stay_number = 0
        self._lock = threading.RLock()
        self._phase = 0
        self._transitions: list[dict[str, Any]] = []
        self._container: Container | None = None
        self._mirror: CheckpointMirror | None = None
        self._stream: LogStream | None = None
        self._on_instance_since: datetime | None = None
        self._trained_until_now = 0.0
        self._simulated_seconds_left = _training_seconds(self.tags)
        self._metrics: dict[str, tuple[float, datetime]] = {}
        self._stop_reason: str | None = None
        self._training_seconds = 0.0
        self._billable_seconds = 0.0
        self.creation_time = self.last_modified_time = self._clock.now()
        self.training_start_time: datetime | None = None
        self.training_end_time: datetime | None = None
        self.training_job_status = "InProgress"
        self.secondary_status = ""
        self.failure_reason: str | None = None
        self.model_artifacts: str | None = None
        self._stopping = request.get("StoppingCondition") or {}
        if self._spot:
            deadline = timedelta(seconds=self._stopping["MaxWaitTimeInSeconds"])
            self._clock.call_at(self.creation_time + deadline, lambda: self.stop(MAX_WAIT))
        self._start()

    # What the API asks

    @property
    def has_ended(self) -> bool:
        """Whether it has Completed, Failed or Stopped."""
        return self.training_job_status in _ENDED

    def stop(self, reason: str = STOPPED) -> bool:
        """Begin to stop it, by a user or because a limit is over.

        :return: False if it is stopping or has ended already.
        """
        with self._lock:
            if self.training_job_status != "InProgress":
                return False
            self._stop_reason = reason
            on_instance = self._on_instance_since is not None
            self.training_job_status = "Stopping"
            phase = self._enter("Stopping")
        if on_instance:
            self._work(phase, self._end_script_and_upload, self._stopped)
        else:
            self._clock.call_later(STOPPING_SECONDS, self._in_phase(phase, self._stopped))
        return True

    def interrupt(self) -> bool:
        """Take its instance away now. False if it is not training on spot capacity."""
        with self._lock:
            if not self._spot or self.secondary_status != "Training":
                return False
            self._interrupt()
            return True

    def shut_down(self) -> None:
        """End its process, whatever its state: the server is going away."""
        with self._lock:
            self._phase += 1
            container = self._container
        if container is not None:
            container.stop(grace_seconds=0.5)

    @property
    def response_object(self) -> dict[str, Any]:
        """DescribeTrainingJob's answer."""
        with self._lock:
            answer = {key: value for key, value in self._request.items() if key != "Tags"}
            answer |= {
                "TrainingJobArn": self.arn,
                "ModelArtifacts": {"S3ModelArtifacts": self.model_artifacts}
                if self.model_artifacts
                else None,
                "TrainingJobStatus": self.training_job_status,
                "SecondaryStatus": self.secondary_status,
                "FailureReason": self.failure_reason,
                "CreationTime": self.creation_time,
                "TrainingStartTime": self.training_start_time,
                "TrainingEndTime": self.training_end_time,
                "LastModifiedTime": self.last_modified_time,
                "SecondaryStatusTransitions": [dict(entry) for entry in self._transitions],
                "EnableManagedSpotTraining": self._spot,
                "EnableNetworkIsolation": bool(self._request.get("EnableNetworkIsolation")),
                "EnableInterContainerTrafficEncryption": bool(
                    self._request.get("EnableInterContainerTrafficEncryption")
                ),
                "FinalMetricDataList": [
                    {"MetricName": name, "Value": value, "Timestamp": at}
                    for name, (value, at) in self._metrics.items()
                ],
            }
            if self.has_ended and self.training_start_time is not None:
                answer["TrainingTimeInSeconds"] = round(self._training_seconds)
                answer["BillableTimeInSeconds"] = round(self._billable_seconds)
            return {key: value for key, value in answer.items() if value not in (None, [])}

    @property
    def summary(self) -> dict[str, Any]:
        """Its TrainingJobSummary."""
        with self._lock:
            summary = {
                "TrainingJobName": self.training_job_name,
                "TrainingJobArn": self.arn,
                "CreationTime": self.creation_time,
                "TrainingEndTime": self.training_end_time,
                "LastModifiedTime": self.last_modified_time,
                "TrainingJobStatus": self.training_job_status,
                "SecondaryStatus": self.secondary_status,
            }
            return {key: value for key, value in summary.items() if value is not None}

    # What it goes through, in the order in which it does

    def _start(self) -> None:
        with self._lock:
            phase = self._enter("Starting")
        if self._stays:
            self._clock.call_later(STARTING_SECONDS, self._in_phase(phase, self._download))

    @property
    def _stay(self) -> Stay:
        return self._stays[self._stay_number]

    def _download(self) -> None:
        phase = self._enter("Downloading")
        self._on_instance_since = self._clock.now()
        self.training_start_time = self.training_start_time or self._on_instance_since
        root = (
            self._world.folder
            / f"{self._account_id}-{self._region}"
            / self.training_job_name
            / str(self._stay_number)
        )
        self._container = Container(
            root,
            self._request,
            arn=self.arn,
            region=self._region,
            storage=self._world.storage,
            endpoint_url=self._world.endpoint_url,
        )
        uri = (self._request.get("CheckpointConfig") or {}).get("S3Uri")
        self._mirror = CheckpointMirror(
            root / "checkpoints", uri, self._world.storage, self._checkpoint_written
        )
        if self._container.has_script:
            # Streams are named by the second; the number of the stay keeps two starts in one second apart.
            second = int(self._clock.now().timestamp()) + self._stay_number
            name = f"{self.training_job_name}/{HOST}-{second}"
            self._stream = LogStream(self._account_id, self._region, name, self._clock.now)
        started = self._clock.now()

        def _then() -> None:
            wait = DOWNLOADING_SECONDS - (self._clock.now() - started).total_seconds()
            self._clock.call_later(max(0.0, wait), self._in_phase(phase, self._train))

        self._work(phase, self._fetch_inputs, _then)

    def _fetch_inputs(self) -> None:
        assert self._container is not None
        assert self._mirror is not None
        self._container.prepare()
        self._mirror.restore()

    def _train(self) -> None:
        assert self._container is not None
        assert self._mirror is not None
        phase = self._enter("Training")
        max_runtime = self._stopping.get("MaxRuntimeInSeconds", 86_400)
        left = max_runtime - self._trained_until_now
        self._clock.call_later(max(0.0, left), self._in_phase(phase, lambda: self.stop(MAX_RUNTIME)))
        if not self._container.has_script:
            self._pretend_to_train(phase)
            return
        self._mirror.start()

        def _exited(status: int) -> None:
            self._clock.call_later(0, self._in_phase(phase, lambda: self._script_ended(status)))

        self._container.start(self._print, _exited)
        if self._stay.end is End.FAILED:
            self._clock.call_later(DOWNLOADING_SECONDS, self._in_phase(phase, self._fail_by_plan))
        elif self._stay.end is End.INTERRUPTED:
            self._clock.call_later(LATEST_INTERRUPTION_SECONDS, self._in_phase(phase, self._interrupt))

    def _pretend_to_train(self, phase: int) -> None:
        """A job without a script: its time passes, and half of it is checkpointed when an interruption comes."""
        seconds = self._simulated_seconds_left
        if self._stay.end is End.DONE:
            self._clock.call_later(seconds, self._in_phase(phase, self._upload))
        elif self._stay.end is End.FAILED:
            self._clock.call_later(seconds / 2, self._in_phase(phase, self._fail_by_plan))
        elif self._stay.end is End.INTERRUPTED:
            self._simulated_seconds_left = seconds / 2
            self._clock.call_later(seconds / 2, self._in_phase(phase, self._interrupt))

    def _checkpoint_written(self) -> None:
        """Told by the mirror's thread: a planned interruption comes right after a checkpoint."""
        if self._stay.end is End.INTERRUPTED:
            phase = self._phase
            self._clock.call_later(0, self._in_phase(phase, self._interrupt_if_training))

    def _interrupt_if_training(self) -> None:
        if self.secondary_status == "Training":
            self._interrupt()

    def _script_ended(self, status: int) -> None:
        if status != 0:
            assert self._container is not None
            written = self._container.failure()
            self.failure_reason = f"AlgorithmError: ExecuteUserScriptError:{f' {written}' if written else ''}, exit code: {status}"
            phase = self._enter("Uploading")
            self._work(phase, self._finish_mirror, lambda: self._end("Failed", "Failed"))
        elif self._stay.end is End.DONE:
            self._upload()
        elif self._stay.end is End.INTERRUPTED:
            # The instance was lost before the upload: what the script did since its last checkpoint counts for nothing.
            self._interrupt()
        # The last stay before MaxWait holds on to its instance until then.

    def _interrupt(self) -> None:
        phase = self._enter("Interrupted")
        self._leave_instance()
        self._stay_number += 1
        if self._stay_number >= len(self._stays):
            self._stays = (*self._stays, Stay(End.DONE))
        lost = self._clock.now()

        def _then() -> None:
            wait = self._outage_seconds() - (self._clock.now() - lost).total_seconds()
            self._clock.call_later(max(0.0, wait), self._in_phase(phase, self._launch_again))

        self._work(phase, self._end_script, _then)

    def _outage_seconds(self) -> float:
        if self._stay.end is not End.MAX_WAIT:
            return OUTAGE_SECONDS
        # The wait takes what is left of MaxWait, but for a last stay that is cut short.
        waited = (self._clock.now() - self.creation_time).total_seconds()
        left = float(self._stopping["MaxWaitTimeInSeconds"]) - waited
        stay = max(DOWNLOADING_SECONDS * 3, DOWNLOADING_SECONDS + LEAST_REAL_STAY_SECONDS * self._clock.speed)
        return max(0.0, left - min(stay, left / 2))

    def _launch_again(self) -> None:
        if not self._stay.starting:
            self._download()
            return
        phase = self._enter("Starting")
        self._clock.call_later(STARTING_SECONDS, self._in_phase(phase, self._download))

    def _upload(self) -> None:
        phase = self._enter("Uploading")

        def _then() -> None:
            self._clock.call_later(
                UPLOADING_SECONDS, self._in_phase(phase, lambda: self._end("Completed", "Completed"))
            )

        self._work(phase, self._finish_mirror_and_upload, _then)

    def _fail_by_plan(self) -> None:
        self.failure_reason = "InternalServerError: We encountered an internal error. Please try again."
        self._end("Failed", "Failed")
        threading.Thread(target=self._end_script, daemon=True).start()

    def _stopped(self) -> None:
        assert self._stop_reason is not None
        self._end("Stopped", self._stop_reason)

    def _end(self, status: str, secondary_status: str) -> None:
        self._leave_instance()
        self.training_job_status = status
        self._enter(secondary_status)
        self._transitions[-1]["EndTime"] = self.last_modified_time
        if self.training_start_time is not None:
            self.training_end_time = self.last_modified_time
        if not self._container or not self._container.has_script:
            self._remove_folder()

    # Work on threads of its own

    def _end_script(self) -> None:
        assert self._container is not None
        grace = max(LEAST_REAL_GRACE_SECONDS, self._clock.real_seconds(GRACE_SECONDS))
        self._container.stop(grace)
        self._finish_mirror()

    def _end_script_and_upload(self) -> None:
        self._end_script()
        self._upload_model()

    def _finish_mirror_and_upload(self) -> None:
        self._finish_mirror()
        self._upload_model()

    def _finish_mirror(self) -> None:
        assert self._mirror is not None
        self._mirror.finish()

    def _upload_model(self) -> None:
        assert self._container is not None
        output = self._request["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        uri = f"{output}/{self.training_job_name}/output/model.tar.gz"
        archive = self._container.pack_model()
        if archive is not None:
            self._world.storage.upload_file(archive, uri)
            self.model_artifacts = uri
        elif not self._container.has_script:
            self.model_artifacts = uri

    def _work(self, phase: int, work: Callable[[], None], then: Callable[[], None]) -> None:
        """Do ``work`` on a thread; ``then`` on the clock's, if the job is still in that phase."""

        def _run() -> None:
            try:
                work()
            except InputProblem as problem:
                reason = str(problem)
            except Exception as error:  # noqa: BLE001 - whatever it is, the job has to end, and say why
                reason = f"InternalServerError: {type(error).__name__}: {error}"
            else:
                self._clock.call_later(0, self._in_phase(phase, then))
                return
            self._clock.call_later(0, self._in_phase(phase, lambda: self._fail(reason)))

        threading.Thread(target=_run, name=f"work-{self.training_job_name}", daemon=True).start()

    def _fail(self, reason: str) -> None:
        self.failure_reason = reason
        self._end("Failed", "Failed")

    # Book-keeping

    def _enter(self, status: str) -> int:
        """Go into a status, and give the number of the phase that begins with it."""
        now = self._clock.now()
        if self._transitions:
            self._transitions[-1]["EndTime"] = now
            if self.secondary_status == "Training":
                self._trained_until_now += (now - self._transitions[-1]["StartTime"]).total_seconds()
        self._transitions.append({"Status": status, "StartTime": now, "StatusMessage": _MESSAGES[status]})
        self.secondary_status = status
        self.last_modified_time = now
        self._phase += 1
        return self._phase

    def _in_phase(self, phase: int, event: Callable[[], object]) -> Callable[[], None]:
        """The event, if the job is still in that phase when its time comes."""

        def _guarded() -> None:
            with self._lock:
                if self._phase == phase:
                    event()

        return _guarded

    def _leave_instance(self) -> None:
        if self._on_instance_since is None:
            return
        since, now = self._on_instance_since, self._clock.now()
        seconds = (now - since).total_seconds()
        instance_type = (self._request.get("ResourceConfig") or {}).get("InstanceType", "")
        self._training_seconds += seconds
        self._billable_seconds += (
            self._world.prices.billable_seconds(instance_type, since, now) if self._spot else seconds
        )
        self._on_instance_since = None

    def _print(self, line: str) -> None:
        assert self._stream is not None
        self._stream.write(line)
        definitions = (self._request.get("AlgorithmSpecification") or {}).get("MetricDefinitions") or ()
        for definition in definitions:
            if match := re.search(definition["Regex"], line):
                try:
                    value = float(match[1])
                except (IndexError, ValueError):
                    continue  # the user's regex matched something that is no number
                self._metrics[definition["Name"]] = (value, self._clock.now())

    def _remove_folder(self) -> None:
        folder = self._world.folder / f"{self._account_id}-{self._region}" / self.training_job_name
        shutil.rmtree(folder, ignore_errors=True)


def _training_seconds(tags: list[dict[str, str]]) -> float:
    for tag in tags:
        if tag["Key"] == "emulator:training-seconds":
            try:
                seconds = float(tag["Value"])
            except ValueError:
                seconds = -1
            if not 0 <= seconds < 1e9:
                raise ValidationException(
                    f"The tag emulator:training-seconds is '{tag['Value']}'; it takes a number of seconds, 0 or more."
                )
            return seconds
    return DEFAULT_TRAINING_SECONDS
