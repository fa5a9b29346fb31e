"""What the SageMaker training toolkit tells a script: arguments, settings in files, SM_* variables."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow_spot_provider.emulator.instances.inputs import Channel
from airflow_spot_provider.emulator.spec import OBJECTIVE_PARAMETER, JobSpec, plain

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


class Settings:
    """The settings of one job's program on one of its hosts.

    :param spec: the job.
    :param channels: its channels, as this host sees them.
    :param number: of the host, from 0.
    """

    def __init__(self, spec: JobSpec, channels: Sequence[Channel] = (), number: int = 0) -> None:
        self._spec = spec
        self._channels = channels
        self._hosts = [host_name(number) for number in range(len(spec.hosts))]
        self._host = host_name(number)
        instance_type, group = spec.hosts[number]
        groups = list(dict.fromkeys(spec.hosts))
        self._resources = {
            "current_host": self._host,
            "current_instance_type": instance_type,
            "current_group_name": group or "homogeneousCluster",
            "hosts": self._hosts,
            "instance_groups": [
                {
                    "instance_group_name": name or "homogeneousCluster",
                    "instance_type": kind,
                    "hosts": [
                        host
                        for host, entry in zip(self._hosts, spec.hosts, strict=True)
                        if entry == (kind, name)
                    ],
                }
                for kind, name in groups
            ],
            "network_interface_name": "lo",
        }
        self._parameters = {
            name: plain(value)
            for name, value in spec.hyperparameters.items()
            # As the training toolkit does it: a script's parser need not know what is SageMaker's own.
            if not name.startswith("sagemaker_") and name != OBJECTIVE_PARAMETER
        }

    @property
    def program(self) -> str:
        """The hyperparameter ``sagemaker_program``: the script's name."""
        return self._spec.plain_hyperparameter("sagemaker_program")

    @property
    def submit_directory(self) -> str:
        """The hyperparameter ``sagemaker_submit_directory``: a tar.gz on S3 with the script in it."""
        return self._spec.plain_hyperparameter("sagemaker_submit_directory")

    @property
    def arguments(self) -> list[str]:
        """The other hyperparameters, as the script's arguments."""
        return [part for name, value in self._parameters.items() for part in (f"--{name}", value)]

    def config_files(self) -> dict[str, Any]:
        """The contents of /opt/ml/input/config, by name."""
        return {
            "hyperparameters": dict(self._spec.hyperparameters),
            "resourceconfig": self._resources,
            "inputdataconfig": self._channel_configs,
            "checkpointconfig": self._spec.request.get("CheckpointConfig") or {},
        }

    def environment(self, root: Path, checkpoints: Path, endpoint_url: str) -> dict[str, str]:
        """The program's environment: of the server's own, no more than any process needs.

        :param root: where the program sees what is at ``/opt/ml`` in a container.
        :param checkpoints: where it sees its checkpoints.
        :param endpoint_url: the emulator's own, so that the script can use AWS.
        """
        channels = [channel.name for channel in self._channels]
        parameters = {name: _decoded(value) for name, value in self._parameters.items()}
        folders = {name: str(root / "input/data" / name) for name in channels}
        return {
            **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            # python is the one that runs the emulator, in an entry point too.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
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
            "SM_CHECKPOINT_DIR": str(checkpoints),
            "SM_MODULE_DIR": self.submit_directory,
            "SM_MODULE_NAME": Path(self.program).stem,
            "SM_USER_ENTRY_POINT": self.program,
            "SM_USER_ARGS": json.dumps(self.arguments),
            "SM_CHANNELS": json.dumps(channels),
            "SM_HOSTS": json.dumps(self._hosts),
            "SM_CURRENT_HOST": self._host,
            "SM_CURRENT_INSTANCE_TYPE": self._resources["current_instance_type"],
            "SM_NUM_CPUS": str(os.cpu_count() or 1),
            "SM_NUM_GPUS": "0",
            "SM_HPS": json.dumps(parameters),
            "SM_RESOURCE_CONFIG": json.dumps(self._resources),
            "SM_INPUT_DATA_CONFIG": json.dumps(self._channel_configs),
            "SM_TRAINING_ENV": json.dumps(
                {
                    "channel_input_dirs": folders,
                    "current_host": self._host,
                    "hosts": self._hosts,
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

    @property
    def _channel_configs(self) -> dict[str, Any]:
        return {channel.name: channel.config for channel in self._channels}


def host_name(number: int) -> str:
    """The name of a host, from its number, which counts from 0."""
    return f"algo-{number + 1}"


def _variable(name: str) -> str:
    return re.sub(r"\W", "_", name).upper()


def _decoded(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value
