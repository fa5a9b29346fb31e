"""``airflow-spot events`` on the emulator: what it makes, keeps, refuses and removes."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_spot_provider.aws import event_rules
from airflow_spot_provider.cli import main
from airflow_spot_provider.emulator import SageMakerEmulator

REGION = "us-east-1"
PUSH_PAGE = Path(__file__).parents[3] / "docs" / "push.md"


class Account:
    """An account of the test's own, and the command that works in it."""

    def __init__(self, emulator: SageMakerEmulator) -> None:
        self.id = str(random.SystemRandom().randrange(10**11, 10**12))
        self.emulator = emulator
        self.sqs, self.events = self.client("sqs"), self.client("events")

    def client(self, service: str) -> Any:
        return self.emulator.client(service, aws_access_key_id=self.id, aws_secret_access_key="secret")

    def run(self, action: str, *arguments: str) -> int:
        where = ("--region", REGION, "--endpoint-url", self.emulator.endpoint_url)
        return main(["events", action, *where, *arguments])

    def queues(self) -> list[str]:
        return sorted(url.rpartition("/")[2] for url in self.sqs.list_queues().get("QueueUrls", []))

    def rules(self) -> dict[str, list[str]]:
        return {
            rule["Name"]: sorted(
                target["Arn"].rpartition(":")[2]
                for target in self.events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
            )
            for rule in self.events.list_rules()["Rules"]
        }


@pytest.fixture
def account(emulator: SageMakerEmulator, monkeypatch: pytest.MonkeyPatch) -> Account:
    account = Account(emulator)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", account.id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return account


def test_each_triggerer_gets_a_queue_and_each_event_is_in_every_queue(
    account: Account, job_config: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert account.run("setup", "--triggerers", "2") == 0
    said = capsys.readouterr().out
    assert "events_queue = airflow-spot-events-{ordinal}" in said
    assert account.rules() == {"airflow-spot-events": ["airflow-spot-events-0", "airflow-spot-events-1"]}

    account.client("sagemaker").create_training_job(TrainingJobName="told", **job_config)
    for queue in account.queues():
        url = account.sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        [message] = account.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10)["Messages"]
        assert json.loads(message["Body"])["detail"]["TrainingJobName"] == "told"
        policy = account.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
        [statement] = json.loads(policy["Attributes"]["Policy"])["Statement"]
        assert statement["Principal"] == {"Service": "events.amazonaws.com"}
        assert statement["Condition"]["ArnEquals"]["aws:SourceArn"].endswith(":rule/airflow-spot-events")


def test_second_setup_changes_nothing_and_another_number_adds_or_removes(account: Account) -> None:
    for _ in range(2):
        assert account.run("setup", "--triggerers", "7") == 0
        assert len(account.queues()) == 7
        assert {rule: len(queues) for rule, queues in account.rules().items()} == {
            "airflow-spot-events": 5,
            "airflow-spot-events-2": 2,
        }

    assert account.run("setup", "--triggerers", "3") == 0
    assert account.queues() == [f"airflow-spot-events-{ordinal}" for ordinal in range(3)]
    assert account.rules() == {"airflow-spot-events": account.queues()}


def test_teardown_removes_what_setup_made_and_nothing_else_even_if_half_of_it_is_gone(
    account: Account,
) -> None:
    account.sqs.create_queue(QueueName="orders")
    account.run("setup", "--triggerers", "2")
    account.sqs.delete_queue(
        QueueUrl=account.sqs.get_queue_url(QueueName="airflow-spot-events-0")["QueueUrl"]
    )

    assert account.run("teardown") == 0
    assert account.queues() == ["orders"]
    assert account.rules() == {}
    assert account.run("teardown") == 0


def test_dry_run_only_says_what_it_would_do(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    assert account.run("setup", "--dry-run") == 0

    assert "would: queue airflow-spot-events-0" in capsys.readouterr().out
    assert (account.queues(), account.rules()) == ([], {})


@pytest.mark.parametrize("action", ["setup", "teardown"])
def test_queue_of_somebody_else_is_left_alone(
    account: Account, action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    account.sqs.create_queue(QueueName="airflow-spot-events-0")

    assert account.run(action) == 1
    assert "not ours to change. Take another --name" in capsys.readouterr().err
    assert account.queues() == ["airflow-spot-events-0"]


def test_missing_permission_is_named(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    denied = {"code": "AccessDenied", "message": "not authorized to perform sqs:CreateQueue", "status": 403}
    account.emulator.set_faults({"operation": "CreateQueue", "error": denied})
    try:
        assert account.run("setup") == 1
    finally:
        account.emulator.set_faults()
    said = capsys.readouterr()
    assert "CreateQueue is not permitted" in said.err
    assert "rule airflow-spot-events" in said.out


@pytest.mark.parametrize(
    "arguments", [("--triggerers", "0"), ("--triggerers", "101"), ("--name", "no spaces"), ("--name", "")]
)
def test_bad_input_fails_before_any_call(
    account: Account, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    before = account.emulator.calls()
    assert account.run("setup", *arguments) == 1
    assert "it takes" in capsys.readouterr().err
    assert account.emulator.calls() == before


@pytest.mark.parametrize("whom", ["triggerer", "setup"])
def test_policies_are_printed_as_json(
    account: Account, whom: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert account.run("policy", "--for", whom) == 0

    actions = [
        action for each in json.loads(capsys.readouterr().out)["Statement"] for action in each["Action"]
    ]
    assert ("sqs:ReceiveMessage" if whom == "triggerer" else "sqs:CreateQueue") in actions


class _Template(yaml.SafeLoader):
    """CloudFormation's short forms, such as !Sub, are read as their values."""


_Template.add_multi_constructor(
    "!",
    lambda loader, _tag, node: (
        loader.construct_scalar(node)
        if isinstance(node, yaml.ScalarNode)
        else loader.construct_sequence(node)
    ),
)


def test_template_in_the_docs_makes_what_the_command_makes() -> None:
    [template] = re.findall(
        r"```yaml\n(AWSTemplateFormatVersion.*?)```", PUSH_PAGE.read_text(), flags=re.DOTALL
    )
    resources = yaml.load(template, Loader=_Template)["Resources"]  # noqa: S506 - a SafeLoader

    of_type = lambda kind: [  # noqa: E731 - said once, used thrice
        each["Properties"] for each in resources.values() if each["Type"] == f"AWS::{kind}"
    ]
    [rule] = of_type("Events::Rule")
    assert rule["EventPattern"] == event_rules.PATTERN
    assert len(rule["Targets"]) == 2
    for queue in of_type("SQS::Queue"):
        attributes = {name: str(queue[name]).lower() for name in event_rules.QUEUE_ATTRIBUTES}
        assert attributes == event_rules.QUEUE_ATTRIBUTES
    [policy] = of_type("SQS::QueuePolicy")
    [statement] = policy["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Action"] == "sqs:SendMessage"
    assert list(statement["Condition"]) == ["ArnEquals"]
