"""What a job runs: a script as the SageMaker SDK packs it, an entry point, or what an image stands for."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from airflow_spot_provider.emulator.exceptions import TrainingProblem
from airflow_spot_provider.emulator.spec import JobSpec

_OPT_ML = "/opt/ml"


@dataclass(frozen=True)
class Program:
    """What runs on each host of a job.

    :param command: the command line; empty for a script, whose depends on what its archive holds.
    :param script: ``sagemaker_program``, in script mode.
    :param archive: ``sagemaker_submit_directory``, in script mode.
    :param needs_opt_ml: whether it can only work where it sees /opt/ml.
    """

    command: tuple[str, ...] = ()
    script: str = ""
    archive: str = ""
    needs_opt_ml: bool = False

    def command_line(self, code: Path, arguments: list[str]) -> list[str]:
        """The command line on a host.

        :param code: the folder of the unpacked archive.
        :param arguments: the hyperparameters as arguments.
        :raises TrainingProblem: the archive does not hold the script.
        """
        if not self.script:
            return list(self.command)
        path = (code / self.script).resolve()
        if not path.is_file() or not path.is_relative_to(code.resolve()):
            raise TrainingProblem(
                f"ClientError: sagemaker_program is {self.script!r}, and {self.archive} has no such file."
            )
        if path.suffix == ".py":
            return [sys.executable, self.script, *arguments]
        # As the SageMaker training toolkit runs what is no Python program; exec lets signals through the shell.
        words = shlex.join([f"./{self.script}", *arguments])
        path.chmod(path.stat().st_mode | 0o100)
        return ["/bin/sh", "-c", f"exec {words}"]

    def is_lost_without_opt_ml(self, code: Path) -> bool:
        """Whether it names /opt/ml, and asks no SM_* variable where its folders are."""
        if self.needs_opt_ml:
            return True
        if not self.script:
            return False
        text = (code / self.script).read_text(errors="replace")
        return _OPT_ML in text and "SM_" not in text


def program_of(spec: JobSpec, images: Mapping[str, str]) -> Program | None:
    """What a job runs; None for one that is simulated.

    :param images: command lines by patterns of image names.
    """
    algorithm = spec.request.get("AlgorithmSpecification") or {}
    entry_point = algorithm.get("ContainerEntrypoint")
    arguments = tuple(algorithm.get("ContainerArguments") or ())
    if entry_point:
        command = (*entry_point, *arguments)
        return Program(command, needs_opt_ml=any(_OPT_ML in word for word in command))
    image = str(algorithm.get("TrainingImage") or "")
    for pattern, line in images.items():
        if fnmatchcase(image, pattern):
            # SageMaker runs an image with the argument train, unless the request has others.
            return Program((*shlex.split(line), *(arguments or ("train",))), needs_opt_ml=True)
    script = spec.plain_hyperparameter("sagemaker_program")
    archive = spec.plain_hyperparameter("sagemaker_submit_directory")
    return Program(script=script, archive=archive) if script and archive else None
