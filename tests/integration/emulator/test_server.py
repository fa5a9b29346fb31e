"""The server as a process: it starts, keeps to itself, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import pytest

from airflow_spot_provider.emulator import EmulatorError, SageMakerEmulator
from tests.integration.emulator.conftest import BUCKET, LOG_GROUP, Jobs, until

SLEEPS = """
import os, signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print(os.getpid(), child.pid, flush=True)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    signal.pause()
"""


def _runs(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent to take note does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _running_script(emulator: SageMakerEmulator) -> tuple[list[int], Path]:
    """Start a script that does not want to end; its processes, and the folder of its server."""
    emulator.client("s3").create_bucket(Bucket=BUCKET)
    jobs = Jobs(emulator, "sleeper")
    name = jobs.submit_script(SLEEPS)
    [[line]] = until(lambda: [lines for lines in jobs.log_of(name) if lines])
    parent, child = line.split()
    mounts = [mount.split() for mount in Path(f"/proc/{parent}/mountinfo").read_text().splitlines()]
    root = next(Path(source) for _, _, _, source, place, *_ in mounts if place == "/opt/ml")
    folder = next(path for path in root.parents if path.name.startswith("sagemaker-emulator-"))
    assert _runs(int(parent))
    assert _runs(int(child))
    assert folder.is_dir()
    return [int(parent), int(child)], folder


def _is_gone(pids: list[int], folder: Path) -> bool:
    return not any(_runs(pid) for pid in pids) and not folder.exists()


def test_two_servers_share_nothing() -> None:
    with SageMakerEmulator(speed=600) as one, SageMakerEmulator(speed=600, lifecycle="failed") as other:
        for emulator in (one, other):
            emulator.client("s3").create_bucket(Bucket=BUCKET)
        mine, theirs = Jobs(one, "mine"), Jobs(other, "theirs")
        first, second = mine.submit_script("print('mine')"), theirs.submit()
        assert mine.ended(first)["TrainingJobStatus"] == "Completed"
        assert theirs.ended(second)["TrainingJobStatus"] == "Failed"
        for jobs, name in ((mine, first), (theirs, second)):
            listed = jobs.sagemaker.list_training_jobs()["TrainingJobSummaries"]
            assert [summary["TrainingJobName"] for summary in listed] == [name]
        assert one.client("s3").list_objects_v2(Bucket=BUCKET)["KeyCount"] > 0
        assert other.client("s3").list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0
        assert other.client("logs").describe_log_groups(logGroupNamePrefix=LOG_GROUP)["logGroups"] == []
        assert one.calls() != other.calls()
        assert one.pid != other.pid


def test_all_times_go_by_one_fast_clock_and_logs_get_lost_on_none() -> None:
    with SageMakerEmulator(speed=36_000) as emulator:
        emulator.client("s3").create_bucket(Bucket=BUCKET)
        jobs = Jobs(emulator, "fast")
        tags = [{"Key": "emulator:training-seconds", "Value": "36000"}]
        limits = {"MaxRuntimeInSeconds": 86_400, "MaxWaitTimeInSeconds": 172_800}
        description = jobs.ended(jobs.submit(Tags=tags, StoppingCondition=limits))
        assert description["TrainingEndTime"] - description["TrainingStartTime"] > timedelta(hours=10)
        assert description["LastModifiedTime"] > datetime.now(UTC) + timedelta(hours=9)
        assert description["TrainingTimeInSeconds"] > 36_000
        limits = {"MaxRuntimeInSeconds": 2_000_000, "MaxWaitTimeInSeconds": 2_500_000}
        name = jobs.submit_script("for n in range(200): print(n)", StoppingCondition=limits)
        assert jobs.ended(name)["TrainingJobStatus"] == "Completed"
        assert jobs.log_of(name) == [[str(n) for n in range(200)]]


def test_end_of_the_server_ends_its_training_processes_and_removes_its_folder() -> None:
    with SageMakerEmulator(speed=60) as emulator:
        pids, folder = _running_script(emulator)
        server = emulator.pid
    assert not _runs(server)
    assert _is_gone(pids, folder)


def test_killed_server_leaves_nothing_behind_either() -> None:
    with SageMakerEmulator(speed=60) as emulator:
        pids, folder = _running_script(emulator)
        os.kill(emulator.pid, signal.SIGKILL)
        until(lambda: _is_gone(pids, folder))


@pytest.fixture
def parent() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that holds an emulator, and the emulator's address and pid on a line."""
    program = (
        "import signal\n"
        "from airflow_spot_provider.emulator import SageMakerEmulator\n"
        "with SageMakerEmulator(speed=60) as emulator:\n"
        "    print(emulator.endpoint_url, emulator.pid, flush=True)\n"
        "    signal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline()
        process.kill()


def test_server_ends_when_its_parent_is_killed(parent: tuple[subprocess.Popen[str], str]) -> None:
    process, line = parent
    server = int(line.split()[1])
    assert _runs(server)
    process.kill()
    until(lambda: not _runs(server))


def _is_closed(pipe: IO[str]) -> bool:
    """Whether nobody can write to a pipe any more, so that nobody has to read it."""
    os.set_blocking(pipe.fileno(), False)
    try:
        return os.read(pipe.fileno(), 1) == b""
    except BlockingIOError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_command_runs_until_it_is_told_to_end(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "airflow_spot_provider.emulator", "--port", "0", "--speed", "60"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            told = json.loads(process.stdout.readline())
            assert told["pid"] == process.pid
            assert told["endpoint_url"].startswith("http://127.0.0.1:")
            until(lambda: _is_closed(process.stdout))
            process.send_signal(number)
            assert process.wait(30) == 0
            assert process.stderr.read() == ""
        finally:
            process.kill()


def test_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "market.json").write_text('{"pools": [{"preset": "stormy"}]}')
    for arguments, told in (
        ({"host": "192.0.2.1"}, "annot assign"),
        ({"market": tmp_path / "market.json"}, "pools.0.preset: Input should be 'steady'"),
        ({"market": tmp_path / "nothing.json"}, "nothing.json cannot be read"),
    ):
        emulator = SageMakerEmulator(**arguments)
        with pytest.raises(EmulatorError, match=told), emulator:
            raise AssertionError("it started")


def test_server_filters_lists_first_and_regions_lack_what_its_market_file_says(tmp_path: Path) -> None:
    market = tmp_path / "market.json"
    market.write_text('{"unavailable": [{"instance_type": "ml.g5.*", "region": "eu-*"}]}')
    with SageMakerEmulator(list="filter-first", market=market, lifecycle="never-launched") as emulator:
        emulator.client("s3").create_bucket(Bucket=BUCKET)
        jobs = Jobs(emulator, "some")
        first, _ = jobs.submit(), jobs.submit()
        page = jobs.sagemaker.list_training_jobs(NameContains=first, MaxResults=1)
        assert [job["TrainingJobName"] for job in page["TrainingJobSummaries"]] == [first]
        assert "NextToken" not in page
        resources = {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1}
        request = jobs.request(ResourceConfig=resources)
        ireland = emulator.client("sagemaker", region_name="eu-west-1")
        with pytest.raises(ireland.exceptions.ResourceLimitExceeded, match="is not available in this region"):
            ireland.create_training_job(**request)
        jobs.sagemaker.create_training_job(**request)


def test_taken_port_is_told(emulator: SageMakerEmulator) -> None:
    port = int(emulator.endpoint_url.rpartition(":")[2])
    with pytest.raises(EmulatorError, match="did not start"), SageMakerEmulator(port=port):
        raise AssertionError("it started")


def test_pid_of_an_emulator_that_does_not_run_is_an_error() -> None:
    with pytest.raises(EmulatorError, match="does not run"):
        _ = SageMakerEmulator().pid


def test_settings_of_the_person_who_starts_it_do_not_reach_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the person's own")
    with SageMakerEmulator(speed=600) as emulator:
        environment = Path(f"/proc/{emulator.pid}/environ").read_bytes()
    assert b"AWS_" not in environment
