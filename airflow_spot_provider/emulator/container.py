"""The container of a training job, as far as a script can tell: folders, settings, process, signals.

Source: `How SageMaker runs your training image
<https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html>`_ and the environment
variables of the `SageMaker Training Toolkit
<https://github.com/aws/sagemaker-training-toolkit/blob/master/ENVIRONMENT_VARIABLES.md>`_.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from airflow_spot_provider.emulator.storage import Storage

HOST = "algo-1"
_SCRIPT_SETTINGS = ("sagemaker_program", "sagemaker_submit_directory")
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "TZ")


class InputProblem(Exception):
    """An input of the job that is not there or not usable; the message is its FailureReason."""


class Container:
    """One start of a job on an instance.

    :param root: stands for ``/opt/ml``; a new, empty folder.
    :param request: the job's CreateTrainingJob request.
    :param arn: TrainingJobArn.
    :param region: AWS region.
    :param storage: S3.
    :param endpoint_url: the emulator's own, so that a script can use AWS.
    """

    def __init__(
        self,
        root: Path,
        request: Mapping[str, Any],
        *,
        arn: str,
        region: str,
        storage: Storage,
        endpoint_url: str,
    ) -> None:
        self.root = root
        self._request = request
        self._arn = arn
        self._region = region
        self._storage = storage
        self._endpoint_url = endpoint_url
        self._parameters: dict[str, str] = dict(request.get("HyperParameters") or {})
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    @property
    def has_script(self) -> bool:
        """Whether there is something to run."""
        return all(self._setting(name) for name in _SCRIPT_SETTINGS)

    def prepare(self) -> None:
        """Make the folders, write the settings, download the channels and the script.

        :raises InputProblem: an input is missing.
        """
        for folder in (
            "input/config",
            "input/data",
            "model",
            "output/data",
            "output/intermediate",
            "checkpoints",
            "code",
        ):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        settings = {
            "hyperparameters": self._parameters,
            "resourceconfig": self._resources(),
            "inputdataconfig": self._channels(),
            "checkpointconfig": self._request.get("CheckpointConfig") or {},
        }
        for name, content in settings.items():
            (self.root / f"input/config/{name}.json").write_text(json.dumps(content))
        for channel in self._request.get("InputDataConfig") or ():
            self._download(channel)
        if self.has_script:
            self._unpack_script()

    def start(self, on_line: Callable[[str], None], on_exit: Callable[[int], None]) -> None:
        """Run the script.

        :param on_line: is given each line that it prints, on a thread of its own.
        :param on_exit: is given its exit status after the last line.
        """
        arguments = [
            part for name, value in self._script_parameters().items() for part in (f"--{name}", value)
        ]
        self._process = subprocess.Popen(
            [sys.executable, self._setting("sagemaker_program"), *arguments],
            cwd=self.root / "code",
            env=self._environment(arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        process = self._process

        def _read() -> None:
            assert process.stdout is not None
            with process.stdout:
                for line in process.stdout:
                    on_line(line.rstrip("\n"))
            on_exit(process.wait())

        self._reader = threading.Thread(target=_read, name="training-output", daemon=True)
        self._reader.start()

    def stop(self, grace_seconds: float) -> None:
        """SIGTERM to all of the script's processes, SIGKILL after the grace (real seconds); returns when they have ended."""
        if self._process is None:
            return
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_seconds)
        self._signal(signal.SIGKILL)
        self._process.wait()
        if self._reader is not None:
            self._reader.join()

    def failure(self) -> str:
        """What the script wrote to /opt/ml/output/failure, at most 1,024 characters."""
        path = self.root / "output" / "failure"
        return path.read_text(errors="replace")[:1024].strip() if path.is_file() else ""

    def pack_model(self) -> Path | None:
        """model.tar.gz of /opt/ml/model, or None if that is empty."""
        model = self.root / "model"
        if not model.is_dir() or not any(model.iterdir()):
            return None
        archive = self.root / "model.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(model, arcname=".")
        return archive

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _setting(self, name: str) -> str:
        """A ``sagemaker_`` hyperparameter; the SageMaker SDK encodes it as JSON."""
        value = self._parameters.get(name, "")
        try:
            decoded = json.loads(value)
        except ValueError:
            return value
        return decoded if isinstance(decoded, str) else value

    def _script_parameters(self) -> dict[str, str]:
        names = (name for name in self._parameters if not name.startswith("sagemaker_"))
        return {name: self._setting(name) for name in names}

    def _download(self, channel: Mapping[str, Any]) -> None:
        name = channel["ChannelName"]
        source = (channel.get("DataSource") or {}).get("S3DataSource")
        if source is None:
            raise InputProblem(f"ClientError: Channel {name} has no S3DataSource, and only that is emulated.")
        folder = self.root / "input/data" / name
        folder.mkdir(parents=True, exist_ok=True)
        if not self._storage.download_prefix(source["S3Uri"], folder):
            raise InputProblem(
                f'ClientError: Data download failed: No S3 objects found under S3 URL "{source["S3Uri"]}" given in '
                f"input data source of channel {name}. Please ensure that the bucket exists in the selected region "
                f"({self._region}), that objects exist under that S3 prefix, and that the role has s3:ListBucket on it."
            )

    def _unpack_script(self) -> None:
        uri = self._setting("sagemaker_submit_directory")
        archive = self.root / "sourcedir.tar.gz"
        try:
            self._storage.download_file(uri, archive)
            with tarfile.open(archive) as tar:
                tar.extractall(self.root / "code", filter="data")
        except (FileNotFoundError, tarfile.TarError) as error:
            raise InputProblem(
                f"ClientError: The training code could not be fetched from {uri}: {error}"
            ) from error
        program = (self.root / "code" / self._setting("sagemaker_program")).resolve()
        if not program.is_file() or not program.is_relative_to((self.root / "code").resolve()):
            raise InputProblem(
                f"ClientError: sagemaker_program is {self._setting('sagemaker_program')!r}, and {uri} has no such file."
            )

    def _resources(self) -> dict[str, Any]:
        resources = self._request.get("ResourceConfig") or {}
        return {
            "current_host": HOST,
            "current_instance_type": resources.get("InstanceType", ""),
            "hosts": [HOST],
            "network_interface_name": "lo",
        }

    def _channels(self) -> dict[str, Any]:
        return {
            channel["ChannelName"]: {
                "TrainingInputMode": channel.get("InputMode", "File"),
                "S3DistributionType": "FullyReplicated",
                "RecordWrapperType": channel.get("RecordWrapperType", "None"),
            }
            for channel in self._request.get("InputDataConfig") or ()
        }

    def _environment(self, arguments: list[str]) -> dict[str, str]:
        root = self.root
        channels = list(self._channels())
        parameters = {name: _decoded(value) for name, value in self._script_parameters().items()}
        program = self._setting("sagemaker_program")
        return {
            **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_ACCESS_KEY_ID": "emulator",
            "AWS_SECRET_ACCESS_KEY": "emulator",
            "AWS_DEFAULT_REGION": self._region,
            "AWS_REGION": self._region,
            "AWS_ENDPOINT_URL": self._endpoint_url,
            "TRAINING_JOB_NAME": self._request["TrainingJobName"],
            "TRAINING_JOB_ARN": self._arn,
            "SM_MODEL_DIR": str(root / "model"),
            "SM_OUTPUT_DIR": str(root / "output"),
            "SM_OUTPUT_DATA_DIR": str(root / "output/data"),
            "SM_OUTPUT_INTERMEDIATE_DIR": str(root / "output/intermediate"),
            "SM_INPUT_DIR": str(root / "input"),
            "SM_INPUT_CONFIG_DIR": str(root / "input/config"),
            # The real container has one fixed path, /opt/ml/checkpoints, and no variable for it.
            "SM_CHECKPOINT_DIR": str(root / "checkpoints"),
            "SM_MODULE_DIR": self._setting("sagemaker_submit_directory"),
            "SM_MODULE_NAME": Path(program).stem,
            "SM_USER_ENTRY_POINT": program,
            "SM_USER_ARGS": json.dumps(arguments),
            "SM_CHANNELS": json.dumps(channels),
            "SM_HOSTS": json.dumps([HOST]),
            "SM_CURRENT_HOST": HOST,
            "SM_CURRENT_INSTANCE_TYPE": self._resources()["current_instance_type"],
            "SM_NUM_CPUS": str(os.cpu_count() or 1),
            "SM_NUM_GPUS": "0",
            "SM_HPS": json.dumps(parameters),
            "SM_RESOURCE_CONFIG": json.dumps(self._resources()),
            "SM_INPUT_DATA_CONFIG": json.dumps(self._channels()),
            "SM_TRAINING_ENV": json.dumps(
                {
                    "channel_input_dirs": {name: str(root / "input/data" / name) for name in channels},
                    "current_host": HOST,
                    "hosts": [HOST],
                    "hyperparameters": parameters,
                    "job_name": self._request["TrainingJobName"],
                    "model_dir": str(root / "model"),
                    "output_data_dir": str(root / "output/data"),
                }
            ),
            **{f"SM_CHANNEL_{_variable(name)}": str(root / "input/data" / name) for name in channels},
            **{f"SM_HP_{_variable(name)}": value for name, value in self._script_parameters().items()},
            **(self._request.get("Environment") or {}),
        }


def _variable(name: str) -> str:
    return re.sub(r"\W", "_", name).upper()


def _decoded(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value
