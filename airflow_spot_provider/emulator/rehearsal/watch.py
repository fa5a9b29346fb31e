"""What can be seen of one training job while it runs: its log, its checkpoints, its stays on instances."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from airflow_spot_provider.emulator.handle import EmulatorError, SageMakerEmulator
from airflow_spot_provider.emulator.rehearsal.facts import Interruption, Line, Moment, Stay, Upload
from airflow_spot_provider.emulator.rehearsal.moments import Progress

BUCKET = "rehearsal"
_LOG_GROUP = "/aws/sagemaker/TrainingJobs"
_ENDED = ("Completed", "Failed", "Stopped")


class Watch:
    """One job under observation. Look often: what is seen gets the time at which it was.

    :param emulator: where it runs.
    :param name: of the job.
    :param prefix: of its checkpoints in the bucket.
    :param submitted: when it was, by the monotonic clock.
    :param created: its CreationTime, by the emulated one.
    """

    def __init__(
        self, emulator: SageMakerEmulator, name: str, *, prefix: str, submitted: float, created: datetime
    ) -> None:
        self.ended = False
        self.trains = False
        self._emulator = emulator
        self._name = name
        self._prefix = prefix
        self._submitted = submitted
        self._created = created
        self._logs = emulator.client("logs")
        self._s3 = emulator.client("s3")
        self._lines: dict[str, list[Line]] = {}
        self._tokens: dict[str, str] = {}
        self._uploads: list[list[Upload]] = []
        self._checkpoints: list[int] = []
        self._files: dict[str, tuple[str, int]] = {}
        self._moments: dict[int, Moment] = {}
        self._job: dict[str, Any] = {"stays": [], "timeline": []}

    def look(self) -> bool:
        """See what is new, and tell whether the job has ended."""
        self._job = self._emulator.job(self._name)
        self.ended = self._job["status"] in _ENDED
        self._read_logs()
        for number, stay in enumerate(self._job["stays"]):
            if number == len(self._uploads):
                self._uploads.append([])
                self._checkpoints.append(0)
            # Once more when it is over: the last look of the mirror comes after the script's end. That is -1 from then on.
            count = stay["checkpoints"] if stay["ended"] is None else -1
            if self._checkpoints[number] != count:
                self._checkpoints[number] = count
                self._list_checkpoints(self._uploads[number])
        self.trains = self._job["secondary_status"] == "Training" and not self._over(-1)
        return self.ended

    def interrupt(self, moment: Moment) -> bool:
        """Take the instance away now; False if the script came to its end in this very moment."""
        number = len(self._job["stays"]) - 1
        try:
            self._emulator.interrupt(self._name, torn=moment.torn)
        except EmulatorError:
            return False
        self._moments[number] = moment
        self.trains = False
        return True

    def progress(self) -> Progress:
        """How far the job is."""
        spans = self._training_spans()
        started = spans[-1][0] if spans else 0.0
        before = sum(end - start for start, end in spans[:-1])
        uploads = self._uploads[-1] if self._uploads else []
        return Progress(
            lines=self._lines_of(len(self._uploads) - 1),
            training_seconds=sum(end - start for start, end in spans),
            uploads=[before + upload.seconds - started for upload in uploads],
        )

    def stays(self) -> tuple[Stay, ...]:
        """What was seen of each stay that came to train."""
        return tuple(
            Stay(
                started=start,
                ended=end
                + (self._job["stays"][number]["seconds_to_exit"] or 0.0 if number in self._moments else 0.0),
                lines=tuple(self._lines_of(number)),
                uploads=tuple(self._uploads[number]),
                interruption=self._interruption(number, end),
            )
            for number, (start, end) in enumerate(self._training_spans())
        )

    def files(self) -> dict[str, int]:
        """What is under the prefix now: sizes by name."""
        self._list_checkpoints([])
        return {name: size for name, (_, size) in self._files.items()}

    def _over(self, number: int) -> bool:
        return bool(self._job["stays"]) and self._job["stays"][number]["ended"] is not None

    def _interruption(self, number: int, seconds: float) -> Interruption | None:
        if number not in self._moments:
            return None
        stay = self._job["stays"][number]
        return Interruption(
            moment=self._moments[number],
            seconds=seconds,
            seconds_to_exit=stay["seconds_to_exit"] or 0.0,
            killed=stay["killed"],
            exit_status=stay["exit_status"],
        )

    def _training_spans(self) -> list[tuple[float, float]]:
        """From when to when it trained, on each instance."""
        return [
            (self._seconds(start), self._now() if end is None else self._seconds(end))
            for status, start, end in self._job["timeline"]
            if status == "Training"
        ]

    def _lines_of(self, number: int) -> list[Line]:
        """The log of a stay: each has a stream of its own, and their names are in order."""
        streams = sorted(self._lines)
        return self._lines[streams[number]] if 0 <= number < len(streams) else []

    def _read_logs(self) -> None:
        if not self._logs.describe_log_groups(logGroupNamePrefix=_LOG_GROUP)["logGroups"]:
            return
        streams = self._logs.describe_log_streams(
            logGroupName=_LOG_GROUP, logStreamNamePrefix=f"{self._name}/"
        )
        for name in sorted(stream["logStreamName"] for stream in streams["logStreams"]):
            lines = self._lines.setdefault(name, [])
            if name == max(self._lines):
                self._read_stream(name, lines)

    def _read_stream(self, name: str, lines: list[Line]) -> None:
        token: dict[str, str] = {"nextToken": self._tokens[name]} if name in self._tokens else {}
        while True:
            answer = self._logs.get_log_events(
                logGroupName=_LOG_GROUP, logStreamName=name, startFromHead=True, **token
            )
            for event in answer["events"]:
                at = datetime.fromtimestamp(event["timestamp"] / 1000, self._created.tzinfo)
                lines.append(Line(self._span(at), event["message"]))
            self._tokens[name] = answer["nextForwardToken"]
            if not answer["events"]:
                return
            token = {"nextToken": self._tokens[name]}

    def _list_checkpoints(self, uploads: list[Upload]) -> None:
        """Add what has changed since the last look."""
        now, files = self._now(), {}
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=self._prefix):
            for entry in page.get("Contents", ()):
                name = entry["Key"].removeprefix(self._prefix)
                files[name] = (entry["ETag"], entry["Size"])
                if self._files.get(name) != files[name]:
                    uploads.append(Upload(now, name, entry["Size"]))
        self._files = files

    def _seconds(self, time_text: str) -> float:
        return self._span(datetime.fromisoformat(time_text))

    def _span(self, at: datetime) -> float:
        return (at - self._created).total_seconds() / self._emulator.settings.speed

    def _now(self) -> float:
        return time.monotonic() - self._submitted
