"""SpotOutcomeNotifier with Airflow's own notifiers: SNS on the emulator, e-mail over SMTP on loopback, and one of the test's own."""

from __future__ import annotations

import email
import json
import socketserver
import threading
from collections.abc import Iterator
from email.message import Message
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.amazon.aws.notifications.sns import SnsNotifier
from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import DAG
from airflow.sdk.bases.operator import BaseOperator

from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.notifications.spot_outcome import SpotOutcomeNotifier
from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.sensors.training import SageMakerSpotTrainingSensor
from airflow_spot_provider.training import (
    InvalidSpotRequest,
    Price,
    SpotTrainingError,
    SpotTrainingResult,
    progress_of,
)
from tests import alerting
from tests.airflow_versions import DagSerialization
from tests.builders import a_training_job

PRICE = Price(0.36, "USD", "2026-11-21")
HOSTILE = "<script>alert(1)</script> {{ 7 * 7 }} <!channel>"


class _TaskInstance:
    """XComs by task and key; of a mapped task, one for each index."""

    def __init__(self, xcoms: dict[tuple[str, str], Any] | None = None, *, map_index: int = -1) -> None:
        self.dag_id, self.run_id, self.task_id, self.map_index = "d", "r", "train", map_index
        self.state = "failed"
        self.xcoms = xcoms or {}

    def xcom_pull(self, task_ids: str, key: str, map_indexes: Any = None) -> Any:
        value = self.xcoms.get((task_ids, key))
        if isinstance(value, Exception):
            raise value
        return value[map_indexes] if isinstance(value, list) and map_indexes is not None else value


def _published(job: Any, *, task_id: str = "train", region: str | None = None) -> dict[tuple[str, str], Any]:
    description = job.described()
    result = SpotTrainingResult.of(description).priced(PRICE)
    return {
        (task_id, "return_value"): result.to_json(),
        (task_id, "spot_progress"): progress_of(description, result=result)
        | ({"region": region} if region else {}),
    }


def _context(ti: Any, **more: Any) -> Any:
    return {"ti": ti, "run_id": ti.run_id, **more}


def _told(ti: Any, **arguments: Any) -> str:
    notifier = SpotOutcomeNotifier(alerting.NoteNotifier, **arguments)
    alerting.told.clear()
    notifier(_context(ti))
    [told] = alerting.told
    text: str = told["text"]
    return text


def test_task_is_told_by_a_notifier_with_its_figures_and_the_console() -> None:
    job = a_training_job("j").interrupted(1).completed().billed(5_640, 1_455)

    lines = _told(_TaskInstance(_published(job), map_index=-1)).splitlines()

    assert lines[0] == "Training job j of d.train (run r) ended as Completed after 1 interruption."
    assert "Saved 74.2%: 1,455 s billed of 5,640 s trained. It cost 0.15 USD" in lines[1]
    assert lines[-1] == ("Console: https://console.aws.amazon.com/sagemaker/home?region=eu-west-1#/jobs/j")


@pytest.mark.parametrize(
    ("region", "domain"),
    [("cn-north-1", "console.amazonaws.cn"), ("us-gov-west-1", "console.amazonaws-us-gov.com")],
)
def test_console_is_the_one_of_the_regions_partition(region: str, domain: str) -> None:
    text = _told(_TaskInstance(_published(a_training_job().completed(), region=region)))
    assert f"https://{domain}/sagemaker/home?region={region}#" in text


def test_message_may_be_written_anew_from_what_was_published() -> None:
    job = a_training_job("j").interrupted(1).completed().billed(100, 20)

    text = _told(
        _TaskInstance(_published(job)),
        message="{{ ti.dag_id }}: {{ outcome }}, {{ '%.0f' % savings_percent }}%, {{ interruptions }}, {{ cost }}, {{ where }}",
        channel="#{{ outcome | lower }}",
    )

    assert text == "d: Completed, 80%, 1, 0.002, d.train (run r)"
    assert alerting.told[0]["channel"] == "#completed"


@pytest.mark.parametrize("message", ["{{ '%.0f' % savings_percent }}%", "{{ nobody.knows }}"])
def test_template_that_fails_for_want_of_a_figure_still_has_the_failure_told(message: str) -> None:
    text = _told(_TaskInstance(_published(a_training_job("j").failed("no data"))), message=message)
    assert text.startswith("Training job j of d.train (run r) ended as Failed")
    assert "message= cannot be rendered" in text.splitlines()[-1]


def test_what_a_job_says_is_never_taken_for_a_template() -> None:
    text = _told(_TaskInstance(_published(a_training_job().failed(HOSTILE))))

    assert "{{ 7 * 7 }}" in text
    assert "49" not in text.replace("14m05s", "")


def test_result_of_an_older_version_is_told_without_a_progress() -> None:
    xcoms = _published(a_training_job("old").completed().billed(100, 20))
    xcoms[("train", "spot_progress")] = {
        "job_name": "old",
        "status": "Training",
        "interruptions": 0,
        "timeline": [],
    }

    assert "Training job old of d.train (run r) ended as Completed" in _told(_TaskInstance(xcoms))
    del xcoms[("train", "spot_progress")]
    assert "Saved 80.0%" in _told(_TaskInstance(xcoms))


@pytest.mark.parametrize(
    ("xcoms", "error", "said"),
    [
        ({}, None, ["d.train (run r) ended as failed, and has published no result of a job."]),
        ({("train", "return_value"): 42}, None, ["has published no result of a job."]),
        ({("train", "spot_progress"): "text"}, None, ["cannot be read: something else wrote it"]),
        ({("train", "spot_progress"): {"job_name": ["x"], "outcome": "Completed", "timeline": 5}}, None, ["(job_name, timeline)"]),
        ({("train", "spot_progress"): ConnectionError()}, None, ["What it published cannot be read (ConnectionError)."]),
        ({("train", "spot_progress"): {"job_name": "j", "status": "Training"}}, None, ["while training job j was Training."]),
        ({}, ValueError("password=hunter2"), ["It raised ValueError; the task's log says more."]),
        ({}, SpotTrainingError("The quota is too small."), ["The quota is too small."]),
    ],
)  # fmt: skip
def test_what_is_missing_or_somebody_elses_is_said(xcoms: Any, error: Any, said: list[str]) -> None:
    alerting.told.clear()
    SpotOutcomeNotifier(alerting.NoteNotifier)(_context(_TaskInstance(xcoms), exception=error))

    text = alerting.told[0]["text"]
    assert all(part in text for part in said)
    assert "hunter2" not in text


@pytest.fixture
def dag(job_config: dict[str, Any]) -> DAG:
    with DAG("d", schedule=None) as dag:
        arguments: dict[str, Any] = {"config": job_config, "max_wait": 1_200}
        SageMakerSpotTrainingOperator(task_id="train", **arguments)
        SageMakerSpotTrainingOperator.partial(task_id="mapped", **arguments).expand(
            hyperparameters=[{"lr": 1}, {"lr": 2}]
        )
        SageMakerSpotTrainingSensor(task_id="watch", job_name="a")
        SageMakerSpotTrainingOperator(task_id="skipped", **arguments)
        BaseOperator(task_id="other")
    return dag


def test_run_is_summed_over_its_spot_tasks(dag: DAG) -> None:
    jobs = {name: a_training_job(name).interrupted(1).completed().billed(100, 20) for name in "abc"}
    a, b, c = (_published(job)["train", "spot_progress"] for job in jobs.values())
    xcoms = {
        ("train", "spot_progress"): a,
        ("watch", "spot_progress"): {**a, "observed": True},  # the same job: it is counted once
        ("mapped", "spot_progress"): [b, c],
        ("other", "spot_progress"): b,
    }
    alerting.told.clear()

    SpotOutcomeNotifier(alerting.NoteNotifier)(_context(_TaskInstance(xcoms), dag=dag, reason="success"))

    assert alerting.told[0]["text"].splitlines() == [
        "DAG d, run r: 3 spot tasks (3 Completed), 3 interruptions, 12m00s without an instance in all.",
        "Saved 80.0%: 60 instance-s billed of 300 instance-s trained. It cost 0.006 USD instead of 0.03 USD (prices of 2026-11-21).",
        "skipped has published nothing.",
    ]


def test_run_whose_xcoms_are_older_or_cannot_be_read_is_told_as_far_as_they_can(dag: DAG) -> None:
    older = _published(a_training_job("a").completed().billed(100, 20))
    xcoms = {
        ("train", "return_value"): older["train", "return_value"],
        ("mapped", "spot_progress"): ConnectionError(),
        ("watch", "spot_progress"): {"job_name": 5, "outcome": "Completed"},
        ("skipped", "spot_progress"): "text",
    }
    alerting.told.clear()

    SpotOutcomeNotifier(alerting.NoteNotifier)(_context(_TaskInstance(xcoms), dag=dag, reason="failed"))

    lines = alerting.told[0]["text"].splitlines()
    assert lines[0].startswith("DAG d, run r: 2 spot tasks (2 Completed)")
    assert lines[1].startswith("Saved 80.0%")
    assert "What mapped published cannot be read (ConnectionError)." in lines
    assert any(
        line.startswith("watch: Not all of what this task published can be read (job_name)") for line in lines
    )
    assert any(line.startswith("skipped: What this task published") for line in lines)


def test_run_is_told_without_a_task_instance(dag: DAG, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow knows no last task of a run that has timed out before one began."""
    from airflow.sdk.execution_time.xcom import XCom

    progress = _published(a_training_job("a").completed().billed(100, 20))["train", "spot_progress"]

    def _get_all(*, task_id: str, key: str, dag_id: str, run_id: str) -> Any:
        assert (dag_id, run_id) == ("d", "r")
        return [progress] if (task_id, key) == ("train", "spot_progress") else []

    monkeypatch.setattr(XCom, "get_all", _get_all)
    alerting.told.clear()

    SpotOutcomeNotifier(alerting.NoteNotifier)({"dag": dag, "run_id": "r", "reason": "timed_out"})

    assert alerting.told[0]["text"].startswith("DAG d, run r: 1 spot task (1 Completed)")


def test_dag_that_was_read_back_from_the_database_has_its_spot_tasks_found(dag: DAG) -> None:
    """So it is in ``dag.test()``."""
    progress = _published(a_training_job("a").completed().billed(100, 20))["train", "spot_progress"]
    stored = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    ti = _TaskInstance({("train", "spot_progress"): progress, ("mapped", "spot_progress"): [progress]})
    alerting.told.clear()

    SpotOutcomeNotifier(alerting.NoteNotifier)(_context(ti, dag=stored, reason="success"))

    lines = alerting.told[0]["text"].splitlines()
    assert lines[0].startswith("DAG d, run r: 1 spot task (1 Completed)")
    assert lines[2:] == ["watch has published nothing.", "skipped has published nothing."]


class _OnlyAsync(alerting.BaseNotifier):
    def __init__(self, *, text: str) -> None:
        super().__init__()
        self.text = text

    async def async_notify(self, _context: Any) -> None:
        alerting.told.append({"text": self.text})


def test_notifier_that_can_only_be_awaited_is_awaited() -> None:
    alerting.told.clear()
    SpotOutcomeNotifier(_OnlyAsync)(_context(_TaskInstance(_published(a_training_job("j").completed()))))
    assert "ended as Completed" in alerting.told[0]["text"]


@pytest.mark.parametrize(
    ("notifier", "arguments", "said"),
    [
        (SnsNotifier, {}, "SnsNotifier does not take these arguments: missing a required argument: 'target_arn'"),
        (SnsNotifier, {"target_arn": "a", "message": "{{ outcome"}, "message is no Jinja template"),
        (SnsNotifier, {"target_arn": "a", "message": 5}, "message is 5; it takes a Jinja template"),
        (SnsNotifier, {"target_arn": "a", "subject": "{{ outcome"}, "subject is no Jinja template"),
        (alerting.NoteNotifier, {"channel": ["a", "{% if %}"]}, "channel is no Jinja template"),
        (SnsNotifier, {"target_arn": "a", "text_field": "mesage"}, "missing a required argument: 'message'"),
        (alerting.NoteNotifier, {"text": "x"}, "text is given, and is what takes the message; pass message="),
        (_OnlyAsync, {"text_field": "body"}, "_OnlyAsync has no argument body; pass text_field=, one of text"),
        (_OnlyAsync, {"colour": "red"}, "unexpected keyword argument 'colour'"),
        (alerting.note_text, {}, "it takes a notifier's class"),
        (alerting.NoteNotifier(text="x"), {}, "it takes a notifier's class"),
        (SnsNotifier, {"target_arn": "a", "mesage": "x"}, "SnsNotifier does not take these arguments: "),
        ("tests.alerting.nothing", {}, "notifier is 'tests.alerting.nothing', which cannot be imported"),
        ("tests.alerting.note_text", {}, "it takes a notifier's class"),
    ],
)  # fmt: skip
def test_notifier_that_would_not_work_is_refused_at_parse(
    notifier: Any, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidSpotRequest) as error:
        SpotOutcomeNotifier(notifier, **arguments)
    assert said in str(error.value)


@pytest.mark.usefixtures("aws_connection")
def test_outcome_goes_to_sns(emulator: SageMakerEmulator, unique: str) -> None:
    sns, sqs = emulator.client("sns"), emulator.client("sqs")
    topic = sns.create_topic(Name=unique)["TopicArn"]
    queue = sqs.create_queue(QueueName=unique)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    job = a_training_job("jöb").interrupted(1).completed().billed(100, 20)
    ti = _TaskInstance(_published(job))

    SpotOutcomeNotifier(SnsNotifier, target_arn=topic, region_name="us-east-1")(_context(ti))

    [message] = sqs.receive_message(QueueUrl=queue)["Messages"]
    body = json.loads(message["Body"])
    assert body["Subject"] == "Completed, saved 80.0%: training job j?b"
    assert body["Message"].startswith(
        "Training job jöb of d.train (run r) ended as Completed after 1 interruption."
    )


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Message]]:
    """A mail server on loopback that keeps what it is sent."""
    messages: list[Message] = []

    class _Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            def _say(line: str) -> None:
                self.wfile.write(f"{line}\r\n".encode())

            _say("220 loopback")
            while command := self.rfile.readline().decode().strip().upper():
                if command == "DATA":
                    _say("354 go on")
                    lines = list(iter(self.rfile.readline, b".\r\n"))
                    messages.append(email.message_from_bytes(b"".join(lines)))
                _say("221 bye" if command == "QUIT" else "250 ok")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Session) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@example.org"}
        connection = {
            "conn_type": "smtp",
            "host": "127.0.0.1",
            "port": server.server_address[1],
            "extra": extra,
        }
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(connection))
        yield messages
        server.shutdown()


def _html_of(message: Message) -> str:
    [part] = [part for part in message.walk() if part.get_content_type() == "text/html"]
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content.decode()


def test_outcome_goes_by_e_mail_as_html_with_all_that_was_said_escaped(mailbox: list[Message]) -> None:
    ti = _TaskInstance(_published(a_training_job("j").failed(HOSTILE)))

    SpotOutcomeNotifier(SmtpNotifier, to="team@example.org")(_context(ti))

    [message] = mailbox
    assert message["Subject"] == "Failed: training job j"
    content = _html_of(message)
    assert "Training job j of d.train (run r) ended as Failed without an interruption.<br>" in content
    assert "&lt;script&gt;" in content
    assert "<script>" not in content
    assert "{{ 7 * 7 }}" in content


def test_own_html_keeps_its_marks_and_escapes_values(mailbox: list[Message]) -> None:
    ti = _TaskInstance(_published(a_training_job("j").failed(HOSTILE)))
    notifier = SpotOutcomeNotifier(
        SmtpNotifier,
        to="team@example.org",
        subject="{{ ti.task_id }}: {{ outcome }}",
        message="<b>{{ outcome }}</b> {{ failure_reason }}",
    )

    notifier(_context(ti))

    [message] = mailbox
    assert message["Subject"] == "train: Failed"
    assert "<b>Failed</b> &lt;script&gt;" in _html_of(message)


def test_same_notifier_tells_one_task_after_the_other() -> None:
    """Airflow keeps one notifier for all runs and members of a task."""
    notifier = SpotOutcomeNotifier(alerting.NoteNotifier, channel="#{{ outcome }}")
    alerting.told.clear()

    for job in (a_training_job("a").completed(), a_training_job("b").failed()):
        notifier(_context(_TaskInstance(_published(job))))

    assert [each["channel"] for each in alerting.told] == ["#Completed", "#Failed"]
    assert SimpleNamespace(**notifier.kwargs).channel == "#{{ outcome }}"
