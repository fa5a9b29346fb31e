"""The control API, and the Python object's side of it."""

from __future__ import annotations

import http.client
import json
import re
import urllib.request
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import pytest

from airflow_spot_provider.emulator import EmulatorError, SageMakerEmulator
from tests.integration.emulator.conftest import Jobs, statuses


def _ask(emulator: SageMakerEmulator, path: str, body: bytes | None = None) -> tuple[int, Any]:
    url = f"{emulator.endpoint_url}/_emulator{path}"
    try:
        with urllib.request.urlopen(url, body, timeout=30) as answer:  # noqa: S310 - loopback
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_plan_is_for_the_next_job_and_wins_over_its_tag(jobs: Jobs) -> None:
    jobs.emulator.plan("failed")
    planned, usual = jobs.submit("uninterrupted"), jobs.submit("uninterrupted")
    assert jobs.ended(planned)["TrainingJobStatus"] == "Failed"
    assert jobs.ended(usual)["TrainingJobStatus"] == "Completed"


def test_plan_by_name_is_for_that_job(jobs: Jobs) -> None:
    jobs.emulator.plan("failed", job_name=f"{jobs.prefix}-2")
    first, second = jobs.submit(), jobs.submit()
    assert jobs.ended(first)["TrainingJobStatus"] == "Completed"
    assert jobs.ended(second)["TrainingJobStatus"] == "Failed"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", "Send a JSON object with lifecycle, job_name"),
        (b"[]", "Send a JSON object"),
        (b"\xff", "Send a JSON object"),
        (b'{"lifecycle": "nope"}', "choose one of uninterrupted"),
        (b"{}", "lifecycle: Field required"),
        (b'{"lifecycle": "failed", "job_name": 5}', "job_name: Input should be a valid string"),
        (b'{"lifecycle": "failed", "jobname": "a"}', "jobname: Extra inputs are not permitted"),
    ],
)
def test_bad_plan_is_refused_with_what_is_allowed(
    emulator: SageMakerEmulator, body: bytes, told: str
) -> None:
    status, answer = _ask(emulator, "/plans", body)
    assert status == 400
    assert told in answer["error"]


def test_unknown_page_and_wrong_method_are_errors_in_json(emulator: SageMakerEmulator) -> None:
    assert _ask(emulator, "/nothing")[0] == 404
    assert _ask(emulator, "/plans")[0] == 405
    assert _ask(emulator, "/jobs/nobody/interrupt", b"")[0] == 404


def test_plan_of_an_unknown_lifecycle_is_an_error_in_python(emulator: SageMakerEmulator) -> None:
    with pytest.raises(EmulatorError, match="no lifecycle 'nope'; choose one of"):
        emulator.plan("nope")


def test_only_a_spot_job_in_training_can_be_interrupted(jobs: Jobs) -> None:
    name = jobs.submit("never-launched")
    with pytest.raises(EmulatorError, match=f"{name} is Starting; only a managed spot"):
        jobs.emulator.interrupt(name)
    with pytest.raises(EmulatorError, match="no training job 'nobody'"):
        jobs.emulator.interrupt("nobody")


def test_jobs_are_shown_with_their_timelines_and_without_secrets(jobs: Jobs) -> None:
    name = jobs.submit(Environment={"TOKEN": "hunter2"}, HyperParameters={"password": "hunter2"})
    description = jobs.ended(name)
    status, answer = _ask(jobs.emulator, "/")
    assert status == 200
    [job] = [job for job in answer["jobs"] if job["job_name"] == name]
    assert (job["status"], job["secondary_status"]) == ("Completed", "Completed")
    assert [entry[0] for entry in job["timeline"]] == statuses(description)
    assert "hunter2" not in json.dumps(answer)


def test_region_has_what_it_is_said_to_have(jobs: Jobs) -> None:
    emulator = jobs.emulator
    resources = {"InstanceType": "ml.p5.48xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1}
    request = jobs.request("never-launched", ResourceConfig=resources)
    pricing = emulator.client("pricing")

    def _prices() -> int:
        terms = {"instanceName": "ml.p5.48xlarge", "regionCode": "us-east-1"}
        filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in terms.items()]
        return len(pricing.get_products(ServiceCode="AmazonSageMaker", Filters=filters)["PriceList"])

    emulator.set_availability("ml.p5.*", available=False)
    try:
        with pytest.raises(jobs.sagemaker.exceptions.ResourceLimitExceeded) as caught:
            jobs.sagemaker.create_training_job(**request)
        assert caught.value.response["Error"]["Message"] == (
            "The requested resource training-job/ml.p5.48xlarge is not available in this region"
        )
        assert _prices() == 0
        entry = {"instance_type": "ml.p5.*", "region": "us-east-1", "available": False}
        assert entry in _ask(emulator, "/market/availability")[1]
    finally:
        emulator.set_availability("ml.p5.*", available=None)
    jobs.sagemaker.create_training_job(**request)
    assert _prices() == 1
    status, answer = _ask(emulator, "/market/availability", b'{"instance_type": "ml.p5.*"}')
    assert (status, "available: Field required" in answer["error"]) == (400, True)


def test_region_lacks_what_it_is_known_to_lack(jobs: Jobs) -> None:
    resources = {"InstanceType": "ml.p2.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1}
    request = jobs.request("never-launched", ResourceConfig=resources)
    california = jobs.emulator.client("sagemaker", region_name="us-west-1")
    with pytest.raises(
        california.exceptions.ResourceLimitExceeded, match=r"training-job/ml\.p2\.xlarge is not"
    ):
        california.create_training_job(**request)
    jobs.sagemaker.create_training_job(**request)


def test_health_tells_the_emulated_time(emulator: SageMakerEmulator) -> None:
    status, answer = _ask(emulator, "/health")
    assert (status, answer["status"], answer["speed"]) == (200, "ok", 60.0)
    assert answer["time"].endswith("+00:00")


def test_calls_are_counted_by_operation(jobs: Jobs) -> None:
    before = jobs.emulator.calls()
    name = jobs.submit("never-launched")
    for _ in range(3):
        jobs.describe(name)
    jobs.emulator.client("sts").get_caller_identity()
    after = jobs.emulator.calls()

    def _made(operation: str) -> int:
        return after.get(operation, 0) - before.get(operation, 0)

    assert _made("CreateTrainingJob") == 1
    assert _made("DescribeTrainingJob") == 3
    assert _made("GetCallerIdentity") == 1
    assert _made("StopTrainingJob") == 0


def test_airflow_connection_leads_to_the_emulator(emulator: SageMakerEmulator) -> None:
    connection = json.loads(emulator.airflow_connection())
    assert connection["conn_type"] == "aws"
    assert connection["extra"] == {"endpoint_url": emulator.endpoint_url, "region_name": "us-east-1"}


def test_browser_gets_a_page_that_needs_nothing_else(emulator: SageMakerEmulator) -> None:
    address = urlsplit(emulator.endpoint_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    connection.request("GET", "/_emulator/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    answer = connection.getresponse()
    page = answer.read().decode()
    connection.close()
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<title>SageMaker emulator</title>" in page
    assert not re.findall(r'(?:src|href)="(?!data:)[^"]*"', page)
    # What the page asks for is there.
    for path in set(re.findall(r'asked\("(/[a-z/]*)"', page)) | {
        "/jobs",
        "/health",
        "/market",
        "/calls",
        "/faults",
    }:
        assert _ask(emulator, path)[0] == 200


def test_job_is_told_with_its_stays_and_can_be_stopped(jobs: Jobs) -> None:
    name = jobs.submit("interrupted-once")
    jobs.ended(name)
    told = jobs.emulator.job(name)
    assert [stay["why"] for stay in told["stays"]] == ["interrupted", "done"]
    assert told["managed_spot"] is True
    waiting = jobs.submit("never-launched")
    assert _ask(jobs.emulator, f"/jobs/{waiting}/stop", b"")[0] == 200
    assert jobs.ended(waiting)["SecondaryStatus"] == "Stopped"
    status, answer = _ask(jobs.emulator, f"/jobs/{waiting}/stop", b"")
    assert (status, "only a job in progress" in answer["error"]) == (400, True)
