"""The demo as a command: when it ends, nothing that it started is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.e2e

DAGS = Path(__file__).parents[2] / "dags"


def test_demo_ended_by_ctrl_c_in_the_middle_leaves_no_process(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-u",
        "-c",
        "import sys; from airflow_spot_provider.cli import main; sys.exit(main())",
    ]
    with subprocess.Popen(
        [*command, "demo", "--dags", str(DAGS), "--build", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "AIRFLOW__CORE__UNIT_TEST_MODE": "False"},
    ) as demo:
        assert demo.stdout is not None
        # By then there are the emulator, all of Airflow, tasks and a training script.
        reached = any("Training" in line for line in demo.stdout)
        started = psutil.Process(demo.pid).children(recursive=True)
        demo.send_signal(signal.SIGINT)
        said, _ = demo.communicate(timeout=300)

    _, left = psutil.wait_procs(started, timeout=60)
    assert reached
    assert len(started) > 6
    assert left == []
    assert demo.returncode == 130
    assert "nothing is left running" in said
