"""What the SageMaker training toolkit tells a script: arguments, settings in files, SM_* variables."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from airflow_spot_provider.emulator.spec import JobSpec

HOST = "algo-1"
_PASSED_ON = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "TZ",
    "VIRTUAL_ENV",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
)


def has_script(spec: JobSpec) -> bool:
    """Whether there is a script to run."""
    settings = Settings(spec)
    return bool(settings.program and settings.submit_directory)


class Settings:
    """The settings of one job's script, in script mode.

    :param spec: the job.
    """

    def __init__(self, spec: JobSpec) -> None:
        self._spec = spec
        self._resources = {
            "current_host": HOST,
            "current_instance_type": spec.instance_type,
            "hosts": [HOST],
            "network_interface_name": "lo",
        }
        self._parameters = {
            name: _plain(value)
            for name, value in spec.hyperparameters.items()
            if not name.startswith("sagemaker_")
        }

    @property
    def program(self) -> str:
        """The hyperparameter ``sagemaker_program``: the script's name."""
        return _plain(self._spec.hyperparameters.get("sagemaker_program", ""))

    @property
    def submit_directory(self) -> str:
        """The hyperparameter ``sagemaker_submit_directory``: a tar.gz on S3 with the script in it."""
        return _plain(self._spec.hyperparameters.get("sagemaker_submit_directory", ""))

    @property
    def arguments(self) -> list[str]:
        """The other hyperparameters, as the script's arguments."""
        return [part for name, value in self._parameters.items() for part in (f"--{name}", value)]

    def config_files(self) -> dict[str, Any]:
        """The contents of /opt/ml/input/config, by name."""
        return {
            "hyperparameters": dict(self._spec.hyperparameters),
            "resourceconfig": self._resources,
            "inputdataconfig": self._channels(),
            "checkpointconfig": self._spec.request.get("CheckpointConfig") or {},
        }

    def environment(self, root: Path, endpoint_url: str) -> dict[str, str]:
        """The script's environment: of the server's own, no more than any process needs.

        :param root: stands for ``/opt/ml``.
        :param endpoint_url: the emulator's own, so that the script can use AWS.
        """
        channels = list(self._channels())
        parameters = {name: _decoded(value) for name, value in self._parameters.items()}
        folders = {name: str(root / "input/data" / name) for name in channels}
        return {
            **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_ACCESS_KEY_ID": "emulator",
            "AWS_SECRET_ACCESS_KEY": "emulator",
            "AWS_DEFAULT_REGION": self._spec.region,
            "AWS_REGION": self._spec.region,
            "AWS_ENDPOINT_URL": endpoint_url,
            "TRAINING_JOB_NAME": self._spec.name,
            "TRAINING_JOB_ARN": self._spec.arn,
            "SM_MODEL_DIR": str(root / "model"),
            "SM_OUTPUT_DIR": str(root / "output"),
            "SM_OUTPUT_DATA_DIR": str(root / "output/data"),
            "SM_OUTPUT_INTERMEDIATE_DIR": str(root / "output/intermediate"),
            "SM_INPUT_DIR": str(root / "input"),
            "SM_INPUT_CONFIG_DIR": str(root / "input/config"),
            # The real container has one fixed path, /opt/ml/checkpoints, and no variable for it.
            "SM_CHECKPOINT_DIR": str(root / "checkpoints"),
            "SM_MODULE_DIR": self.submit_directory,
            "SM_MODULE_NAME": Path(self.program).stem,
            "SM_USER_ENTRY_POINT": self.program,
            "SM_USER_ARGS": json.dumps(self.arguments),
            "SM_CHANNELS": json.dumps(channels),
            "SM_HOSTS": json.dumps([HOST]),
            "SM_CURRENT_HOST": HOST,
            "SM_CURRENT_INSTANCE_TYPE": self._spec.instance_type,
            "SM_NUM_CPUS": str(os.cpu_count() or 1),
            "SM_NUM_GPUS": "0",
            "SM_HPS": json.dumps(parameters),
            "SM_RESOURCE_CONFIG": json.dumps(self._resources),
            "SM_INPUT_DATA_CONFIG": json.dumps(self._channels()),
            "SM_TRAINING_ENV": json.dumps(
                {
                    "channel_input_dirs": folders,
                    "current_host": HOST,
                    "hosts": [HOST],
                    "hyperparameters": parameters,
                    "job_name": self._spec.name,
                    "model_dir": str(root / "model"),
                    "output_data_dir": str(root / "output/data"),
                }
            ),
            **{f"SM_CHANNEL_{_variable(name)}": folder for name, folder in folders.items()},
            **{f"SM_HP_{_variable(name)}": value for name, value in self._parameters.items()},
            **(self._spec.request.get("Environment") or {}),
        }

    def _channels(self) -> dict[str, Any]:
        return {
            channel["ChannelName"]: {
                "TrainingInputMode": channel.get("InputMode", "File"),
                "S3DistributionType": "FullyReplicated",
                "RecordWrapperType": channel.get("RecordWrapperType", "None"),
            }
            for channel in self._spec.channels
        }


def _variable(name: str) -> str:
    return re.sub(r"\W", "_", name).upper()


def _plain(value: str) -> str:
    """A hyperparameter as it was meant: the SageMaker SDK encodes a string as JSON, quotes and all."""
    decoded = _decoded(value)
    return decoded if isinstance(decoded, str) else value


def _decoded(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value
