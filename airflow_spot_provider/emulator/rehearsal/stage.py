"""Where a rehearsal is held: training jobs on an emulator, watched and interrupted."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Callable, Sequence
from typing import Any

from airflow_spot_provider.emulator.handle import SageMakerEmulator
from airflow_spot_provider.emulator.rehearsal.facts import Moment, Run
from airflow_spot_provider.emulator.rehearsal.moments import Timing
from airflow_spot_provider.emulator.rehearsal.source import Source, files_of
from airflow_spot_provider.emulator.rehearsal.watch import BUCKET, Watch

POLL_SECONDS = 0.1
LONGEST_LIMIT_SECONDS = 2_400_000
"""SageMaker takes 28 days as MaxRuntime, in emulated seconds."""
_BIGGEST_FIGURES_FILE = 1_000_000
_CHECKPOINTS = "checkpoints"


class Stage:
    """One script on one emulator.

    :param emulator: a running one, of which nobody else has the bucket ``rehearsal``.
    :param source: what is rehearsed.
    :param max_seconds: how long one run may take, in real seconds.
    :param tell: is given a line for whoever waits, now and then.
    """

    def __init__(
        self,
        emulator: SageMakerEmulator,
        source: Source,
        *,
        max_seconds: float,
        tell: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self._emulator = emulator
        self._source = source
        self._max_seconds = max_seconds
        self._tell = tell
        self._s3 = emulator.client("s3")
        self._sagemaker = emulator.client("sagemaker")

    def upload(self) -> None:
        """Bring the script and its data to S3."""
        self._s3.create_bucket(Bucket=BUCKET)
        self._s3.put_object(Bucket=BUCKET, Key="code/sourcedir.tar.gz", Body=self._source.packed())
        for channel, place in self._source.channels.items():
            for key, path in files_of(place):
                self._s3.upload_file(str(path), BUCKET, f"input/{channel}/{key}")

    def run(self, name: str, moments: Sequence[Moment] = (), timing: Timing | None = None) -> Run:
        """Run the script as a spot training job, to its end.

        :param name: of the job.
        :param moments: the interruptions, in order.
        :param timing: tells when they have come.
        """
        waiting = list(moments)
        before = time.monotonic()
        self._sagemaker.create_training_job(**self._request(name))
        submitted = (before + time.monotonic()) / 2
        watch = Watch(
            self._emulator,
            name,
            prefix=f"{_CHECKPOINTS}/{name}/",
            submitted=submitted,
            created=self._sagemaker.describe_training_job(TrainingJobName=name)["CreationTime"],
        )
        while not watch.look() and time.monotonic() - submitted < self._max_seconds:
            if timing is not None and waiting and self._interrupts(watch, timing, waiting[0]):
                waiting.pop(0)
            time.sleep(POLL_SECONDS)
        description = self._sagemaker.describe_training_job(TrainingJobName=name)
        status = description["TrainingJobStatus"]
        return Run(
            stays=watch.stays(),
            completed=status == "Completed",
            timed_out=not watch.ended,
            failure=description.get("FailureReason")
            if watch.ended
            else f"it still ran after {self._max_seconds:g} s",
            files=watch.files(),
            figures=self._figures(description),
            missed=tuple(waiting),
        )

    def _interrupts(self, watch: Watch, timing: Timing, moment: Moment) -> bool:
        """Interrupt the job if its moment has come; False also if it came to its end in that very moment."""
        interrupted = watch.trains and timing.is_due(moment, watch.progress()) and watch.interrupt(moment)
        if interrupted:
            self._tell(f"interrupted {moment.cut}")
        return interrupted

    def _request(self, name: str) -> dict[str, Any]:
        limit = min(LONGEST_LIMIT_SECONDS, int(self._max_seconds * self._emulator.settings.speed * 2) + 3600)
        channels = [
            {
                "ChannelName": channel,
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": f"s3://{BUCKET}/input/{channel}/",
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
            for channel in self._source.channels
        ]
        return {
            "TrainingJobName": name,
            "RoleArn": "arn:aws:iam::123456789012:role/rehearsal",
            "AlgorithmSpecification": {"TrainingImage": "rehearsal:1", "TrainingInputMode": "File"},
            "HyperParameters": {
                **self._source.hyperparameters,
                "sagemaker_program": self._source.program,
                "sagemaker_submit_directory": f"s3://{BUCKET}/code/sourcedir.tar.gz",
            },
            **({"InputDataConfig": channels} if channels else {}),
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/output"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 500},
            "EnableManagedSpotTraining": True,
            "CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/{_CHECKPOINTS}/{name}"},
            "StoppingCondition": {"MaxRuntimeInSeconds": limit, "MaxWaitTimeInSeconds": limit},
        }

    def _figures(self, description: dict[str, Any]) -> dict[str, float]:
        """The numbers at the top of the JSON files in the model."""
        uri = description.get("ModelArtifacts", {}).get("S3ModelArtifacts")
        if not uri:
            return {}
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        archive = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        figures = {}
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for member in tar.getmembers():
                file = tar.extractfile(member) if member.name.endswith(".json") else None
                if file is None or member.size > _BIGGEST_FIGURES_FILE:
                    continue
                try:
                    content = json.load(file)
                except ValueError:
                    continue  # a file of the user's own; that it is named .json promises nothing
                for name, value in content.items() if isinstance(content, dict) else ():
                    if isinstance(value, int | float) and not isinstance(value, bool):
                        figures[f"{name} ({member.name})"] = float(value)
        return figures
