"""``airflow-spot events`` on the emulator: what it makes, keeps, refuses and removes."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from airflow_spot_provider.aws import event_rules
from airflow_spot_provider.cli import main
from airflow_spot_provider.emulator import SageMakerEmulator

REGION = "us-east-1"
NAME = "airflow-spot-events"
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

    def url(self, queue: str) -> str:
        return str(self.sqs.get_queue_url(QueueName=queue)["QueueUrl"])

    def queues(self) -> list[str]:
        return sorted(url.rpartition("/")[2] for url in self.sqs.list_queues().get("QueueUrls", []))

    def attributes(self, queue: str) -> dict[str, str]:
        answer = self.sqs.get_queue_attributes(QueueUrl=self.url(queue), AttributeNames=["All"])
        return dict(answer["Attributes"])

    def rules(self) -> dict[str, list[str]]:
        return {
            rule["Name"]: sorted(
                target["Arn"].rpartition(":")[2]
                for target in self.events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
            )
            for rule in self.events.list_rules()["Rules"]
        }

    def make_rule_of_somebody_else(self, name: str) -> None:
        self.events.put_rule(Name=name, EventPattern='{"source": ["orders"]}')


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
    assert f"events_queue = {NAME}-{{ordinal}}" in capsys.readouterr().out
    assert account.rules() == {NAME: [f"{NAME}-0", f"{NAME}-1"]}

    account.client("sagemaker").create_training_job(TrainingJobName="told", **job_config)
    for queue in account.queues():
        url = account.url(queue)
        [message] = account.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10)["Messages"]
        assert json.loads(message["Body"])["detail"]["TrainingJobName"] == "told"
        attributes = account.attributes(queue)
        assert attributes.items() >= event_rules.QUEUE_ATTRIBUTES.items()
        [statement] = json.loads(attributes["Policy"])["Statement"]
        assert statement["Principal"] == {"Service": "events.amazonaws.com"}
        assert statement["Condition"] == {
            "ArnEquals": {"aws:SourceArn": f"arn:aws:events:{REGION}:{account.id}:rule/{NAME}"}
        }


def test_second_setup_changes_nothing_and_another_number_adds_or_removes(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    for triggerers, rules in (
        (1, {NAME: 1}),
        (7, {NAME: 5, f"{NAME}-2": 2}),
        (7, {NAME: 5, f"{NAME}-2": 2}),
        (3, {NAME: 3}),
    ):
        capsys.readouterr()
        assert account.run("setup", "--triggerers", str(triggerers)) == 0
        assert account.queues() == [f"{NAME}-{ordinal}" for ordinal in range(triggerers)]
        assert {rule: len(queues) for rule, queues in account.rules().items()} == rules
    before = account.emulator.calls()
    assert account.run("setup", "--triggerers", "3") == 0
    assert "Nothing to change." in capsys.readouterr().out
    # Without a number nobody's queue is removed.
    assert account.run("setup") == 0
    assert "Nothing to change." in capsys.readouterr().out
    after = account.emulator.calls()
    called = {operation for operation, times in after.items() if times > before.get(operation, 0)}
    assert all(operation.startswith(("List", "Get")) for operation in called), called


def test_setup_mends_what_somebody_changed(account: Account) -> None:
    assert account.run("setup") == 0
    account.events.put_rule(Name=NAME, EventPattern='{"source": ["orders"]}', State="DISABLED")
    account.sqs.set_queue_attributes(
        QueueUrl=account.url(f"{NAME}-0"), Attributes={"VisibilityTimeout": "1", "Policy": ""}
    )
    account.events.remove_targets(Rule=NAME, Ids=[f"{NAME}-0"])

    assert account.run("setup") == 0
    rule = account.events.describe_rule(Name=NAME)
    assert (rule["State"], json.loads(rule["EventPattern"])) == ("ENABLED", event_rules.PATTERN)
    attributes = account.attributes(f"{NAME}-0")
    assert attributes.items() >= event_rules.QUEUE_ATTRIBUTES.items()
    assert "Policy" in attributes
    assert account.rules() == {NAME: [f"{NAME}-0"]}


def test_teardown_removes_what_setup_made_and_nothing_else_even_if_half_of_it_is_gone(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = ["orders", f"{NAME}-prod", f"{NAME}-100"]
    for queue in theirs:
        account.sqs.create_queue(QueueName=queue)
    account.make_rule_of_somebody_else(f"{NAME}-prod")
    account.run("setup", "--triggerers", "6")
    account.sqs.delete_queue(QueueUrl=account.url(f"{NAME}-0"))
    account.events.remove_targets(Rule=f"{NAME}-2", Ids=[f"{NAME}-5"])
    account.events.delete_rule(Name=f"{NAME}-2")

    for _ in range(2):
        assert account.run("teardown") == 0
        assert account.queues() == sorted(theirs)
        assert account.rules() == {f"{NAME}-prod": []}
    assert "Nothing to change." in capsys.readouterr().out


def test_dry_run_only_says_what_it_would_do(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    assert account.run("setup", "--dry-run") == 0
    assert f"would make queue {NAME}-0" in capsys.readouterr().out
    assert (account.queues(), account.rules()) == ([], {})

    assert account.run("setup") == 0
    capsys.readouterr()
    assert account.run("teardown", "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "dry_run": True,
        "changes": [
            f"would remove targets of rule {NAME}: {NAME}-0",
            f"would remove rule {NAME}",
            f"would remove queue {NAME}-0",
        ],
        "events_queue": None,
    }
    assert (account.queues(), account.rules()) == ([f"{NAME}-0"], {NAME: [f"{NAME}-0"]})


@pytest.mark.parametrize("action", ["setup", "teardown"])
def test_what_is_somebody_elses_is_left_alone_and_so_is_all_else(
    account: Account, action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    account.run("setup", "--triggerers", "2")
    account.sqs.untag_queue(QueueUrl=account.url(f"{NAME}-1"), TagKeys=[event_rules.TAG])
    account.make_rule_of_somebody_else(f"{NAME}-2")

    assert account.run(action) == 1
    said = capsys.readouterr().err
    assert f"not ours to change: rule {NAME}-2, queue {NAME}-1." in said
    assert f"Take another --name than {NAME}" in said
    assert account.queues() == [f"{NAME}-0", f"{NAME}-1"]
    assert account.rules() == {NAME: [f"{NAME}-0", f"{NAME}-1"], f"{NAME}-2": []}


def test_two_setups_whose_names_meet_do_not_touch_each_other(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    assert account.run("setup", "--name", f"{NAME}-2") == 0
    assert account.run("setup") == 0
    assert account.run("setup", "--triggerers", "6") == 1
    assert f"rule {NAME}-2 belongs to what was set up with --name {NAME}-2" in capsys.readouterr().err

    assert account.run("teardown") == 0
    assert account.rules() == {f"{NAME}-2": [f"{NAME}-2-0"]}


@pytest.mark.parametrize(
    ("operation", "permission", "done"),
    [
        ("CreateQueue", "sqs:CreateQueue", f"made rule {NAME}"),
        ("PutTargets", "events:PutTargets", f"made rule {NAME}; made queue {NAME}-0"),
        ("PutRule", "events:PutRule", "nothing"),
    ],
)
def test_missing_permission_is_named_with_what_was_done_and_the_next_run_finishes(
    account: Account, operation: str, permission: str, done: str, capsys: pytest.CaptureFixture[str]
) -> None:
    denied = {"code": "AccessDeniedException", "message": "not authorized", "status": 403}
    account.emulator.set_faults({"operation": operation, "error": denied})
    try:
        assert account.run("setup") == 1
    finally:
        account.emulator.set_faults()
    said = capsys.readouterr().err
    assert f"{permission} is not permitted" in said
    assert f"Done before: {done}. A second run goes on from there." in said

    assert account.run("setup") == 0
    assert account.rules() == {NAME: [f"{NAME}-0"]}


def test_refused_target_is_an_error_although_eventbridge_answers_200(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.run("setup")
    account.events.remove_targets(Rule=NAME, Ids=[f"{NAME}-0"])
    # Neither moto nor the emulator refuses a target: the answer is written as EventBridge's API describes it.
    session = boto3.Session(region_name=REGION)
    client = session.client

    def _client(service: str, **options: Any) -> Any:
        made = client(service, **options)
        if service == "events":
            made.put_targets = lambda **_: {
                "FailedEntryCount": 1,
                "FailedEntries": [{"TargetId": f"{NAME}-0", "ErrorCode": "ConcurrentModificationException"}],
            }
        return made

    monkeypatch.setattr(session, "client", _client)
    admin = event_rules.EventRulesAdmin(session, endpoint_url=account.emulator.endpoint_url)
    with pytest.raises(event_rules.EventRulesError, match=f"{NAME}-0: ConcurrentModificationException"):
        admin.setup(event_rules.EventRules())


def test_setup_tells_as_json(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    assert account.run("setup", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "dry_run": False,
        "changes": [f"made rule {NAME}", f"made queue {NAME}-0", f"made targets of rule {NAME}: {NAME}-0"],
        "events_queue": f"{NAME}-0",
    }


def test_policy_of_a_queue_is_the_one_it_gets(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    assert account.run("setup", "--triggerers", "6") == 0
    capsys.readouterr()
    assert account.run("policy", "--for", "queue", "--triggerers", "6") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == {queue: json.loads(account.attributes(queue)["Policy"]) for queue in account.queues()}


def test_policy_for_a_named_account_asks_nobody(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    before = account.emulator.calls()
    assert account.run("policy", "--account", "999988887777") == 0
    assert f"arn:aws:sqs:{REGION}:999988887777:{NAME}-?" in capsys.readouterr().out
    assert account.emulator.calls() == before
    assert account.run("policy", "--account", "me") == 1
    assert "--account is 'me'; it takes the 12 digits" in capsys.readouterr().err


def test_setup_and_teardown_call_nothing_that_their_policy_does_not_name(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    before = account.emulator.calls()
    assert account.run("setup", "--triggerers", "6") == 0
    assert account.run("setup", "--triggerers", "6") == 0
    account.sqs.set_queue_attributes(QueueUrl=account.url(f"{NAME}-0"), Attributes={"VisibilityTimeout": "1"})
    assert account.run("setup", "--triggerers", "1") == 0
    assert account.run("teardown") == 0
    after = account.emulator.calls()
    capsys.readouterr()
    assert account.run("policy", "--for", "setup") == 0
    allowed = {
        action.partition(":")[2]
        for statement in json.loads(capsys.readouterr().out)["Statement"]
        for action in statement["Action"]
    }
    called = {operation for operation, times in after.items() if times > before.get(operation, 0)}
    # GetCallerIdentity needs no permission; GetQueueUrl is the test's own call.
    assert called - {"GetCallerIdentity", "GetQueueUrl"} <= allowed
    assert allowed - called == {"TagQueue", "TagResource"}, "asked of who makes something with tags"


def _snippet(language: str, beginning: str) -> str:
    [snippet] = re.findall(
        rf"```{language}\n({re.escape(beginning)}.*?)```", PUSH_PAGE.read_text(), flags=re.DOTALL
    )
    return str(snippet)


def test_template_in_the_docs_makes_what_the_command_makes(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    template = _snippet("yaml", "AWSTemplateFormatVersion")
    account.client("cloudformation").create_stack(StackName="push", TemplateBody=template)
    by_template = account.rules(), [_made(account, queue) for queue in account.queues()]
    pattern = account.events.describe_rule(Name=NAME)["EventPattern"]
    # moto makes no policies of queues by CloudFormation: they are read from the template.
    policies = _policies(template, account.id)
    account.client("cloudformation").delete_stack(StackName="push")
    assert account.queues() == []

    assert account.run("setup", "--triggerers", "2") == 0
    assert (account.rules(), [_made(account, queue) for queue in account.queues()]) == by_template
    assert json.loads(pattern) == event_rules.PATTERN
    capsys.readouterr()
    assert account.run("policy", "--for", "queue", "--triggerers", "2") == 0
    assert json.loads(capsys.readouterr().out) == policies


def _made(account: Account, queue: str) -> dict[str, str]:
    attributes = account.attributes(queue)
    return {name: attributes[name] for name in event_rules.QUEUE_ATTRIBUTES}


def _policies(template: str, account_id: str) -> dict[str, Any]:
    """The policies of queues, with what ``!GetAtt`` and ``!Ref`` stand for."""
    names: dict[str, str] = {}
    arns = event_rules.Arns("aws", REGION, account_id)

    class _Loader(yaml.SafeLoader):
        """Reads CloudFormation's short forms."""

    _Loader.add_constructor("!Ref", lambda _, node: names.get(node.value))
    _Loader.add_constructor("!GetAtt", lambda _, node: names.get(node.value))
    for resource, each in yaml.load(template, Loader=_Loader)["Resources"].items():  # noqa: S506 - a SafeLoader
        properties = each["Properties"]
        if each["Type"] == "AWS::SQS::Queue":
            names |= {
                resource: properties["QueueName"],
                f"{resource}.Arn": arns.queue(properties["QueueName"]),
            }
        elif each["Type"] == "AWS::Events::Rule":
            names[f"{resource}.Arn"] = arns.rule(properties["Name"])
    resources = yaml.load(template, Loader=_Loader)["Resources"].values()  # noqa: S506 - a SafeLoader
    return {
        queue: each["Properties"]["PolicyDocument"]
        for each in resources
        if each["Type"] == "AWS::SQS::QueuePolicy"
        for queue in each["Properties"]["Queues"]
    }


def test_policy_of_a_triggerer_in_the_docs_is_the_printed_one() -> None:
    arns = event_rules.Arns("aws", REGION, "123456789012")
    assert json.loads(_snippet("json", "{")) == event_rules.triggerer_policy(event_rules.EventRules(), arns)


def test_terraform_in_the_docs_names_the_same_pattern_and_attributes() -> None:
    module = _snippet("hcl", "variable")
    for terraform, aws in (
        ("message_retention_seconds", "MessageRetentionPeriod"),
        ("receive_wait_time_seconds", "ReceiveMessageWaitTimeSeconds"),
        ("sqs_managed_sse_enabled", "SqsManagedSseEnabled"),
        ("visibility_timeout_seconds", "VisibilityTimeout"),
    ):
        assert re.search(rf"{terraform} += {event_rules.QUEUE_ATTRIBUTES[aws]}\n", module)
    for name, values in event_rules.PATTERN.items():
        assert re.search(rf"{name} += {re.escape(json.dumps(values))}\n", module)
