"""The services around SageMaker, over HTTP, with boto3."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
import uuid
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from airflow_spot_provider.aws.errors import is_worth_a_retry
from airflow_spot_provider.emulator import SageMakerEmulator
from tests.integration.emulator.conftest import Jobs, until

NAMESPACE = "/aws/sagemaker/TrainingJobs"
ROLE_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


@pytest.fixture
def account(emulator: SageMakerEmulator) -> Any:
    """Makes clients of an account of this test's own."""
    number = f"{uuid.uuid4().int % 10**12:012}"

    def _client(service: str, **config: Any) -> Any:
        return boto3.client(
            service,
            endpoint_url=emulator.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id=number,
            aws_secret_access_key="secret",
            config=Config(retries={"max_attempts": 0}, proxies={}, **config),
        )

    _client.number = number
    return _client


def _refused(call: Any, **parameters: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response


def test_events_of_a_real_job_come_to_a_queue(jobs: Jobs) -> None:
    sqs, events = jobs.emulator.client("sqs"), jobs.emulator.client("events")
    queue = sqs.create_queue(QueueName=jobs.prefix)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Training Job State Change"],
        "detail": {"TrainingJobName": [{"prefix": jobs.prefix}]},
    }
    events.put_rule(Name=jobs.prefix, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=jobs.prefix, Targets=[{"Id": "1", "Arn": arn}])
    name = jobs.submit("interrupted-once")
    came: list[dict[str, Any]] = []

    def _has_completed() -> bool:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in answer.get("Messages", []):
            came.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return any(event["detail"]["SecondaryStatus"] == "Completed" for event in came)

    until(_has_completed)
    events.remove_targets(Rule=jobs.prefix, Ids=["1"])
    events.delete_rule(Name=jobs.prefix)
    told = [event["detail"]["SecondaryStatus"] for event in came]
    assert told.count("Training") == 2
    assert "Interrupted" in told
    described = jobs.describe(name)
    last = next(event for event in came if event["detail"]["SecondaryStatus"] == "Completed")
    assert last["detail"]["TrainingJobArn"] == described["TrainingJobArn"]
    assert last["detail"]["TrainingEndTime"] == pytest.approx(
        described["TrainingEndTime"].timestamp() * 1000, abs=1
    )


def test_prices_of_training_instances_are_paginated(emulator: SageMakerEmulator) -> None:
    pages = (
        emulator.client("pricing")
        .get_paginator("get_products")
        .paginate(
            ServiceCode="AmazonSageMaker",
            Filters=[{"Type": "TERM_MATCH", "Field": "regionCode", "Value": "us-east-1"}],
        )
    )
    products = [json.loads(product) for page in pages for product in page["PriceList"]]
    names = {product["product"]["attributes"]["instanceName"] for product in products}
    assert {"ml.m5.xlarge", "ml.p3.2xlarge", "ml.g5.xlarge"} <= names


def test_spot_prices_are_those_that_jobs_pay(emulator: SageMakerEmulator) -> None:
    ec2 = emulator.client("ec2")
    now = emulator.clock.now()
    pages = ec2.get_paginator("describe_spot_price_history").paginate(
        InstanceTypes=["m5.large"],
        ProductDescriptions=["Linux/UNIX"],
        StartTime=now - timedelta(hours=5),
        EndTime=now,
        PaginationConfig={"PageSize": 4},
    )
    entries = [entry for page in pages for entry in page["SpotPriceHistory"]]
    assert {entry["AvailabilityZone"] for entry in entries} == {"us-east-1a", "us-east-1b", "us-east-1c"}
    assert len(entries) in (18, 21)
    assert all(0.2 * 0.115 - 1e-6 <= float(entry["SpotPrice"]) <= 0.4 * 0.115 + 1e-6 for entry in entries)
    assert all(entry["Timestamp"] <= now for entry in entries)


def test_spot_prices_that_only_moto_has_are_still_answered(emulator: SageMakerEmulator) -> None:
    answer = emulator.client("ec2").describe_spot_price_history(InstanceTypes=["t2.micro"])
    assert {entry["InstanceType"] for entry in answer["SpotPriceHistory"]} == {"t2.micro"}
    error = _refused(emulator.client("ec2").describe_spot_price_history, NextToken="nonsense")
    assert error["Error"]["Code"] == "InvalidPaginationToken"


def test_quota_is_raised_through_service_quotas(account: Any) -> None:
    quotas, sagemaker = account("service-quotas"), account("sagemaker")
    pages = quotas.get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker")
    listed = {quota["QuotaName"]: quota for page in pages for quota in page["Quotas"]}
    quota = listed["ml.m5.large for spot training job usage"]
    asked = quotas.request_service_quota_increase(
        ServiceCode="sagemaker", QuotaCode=quota["QuotaCode"], DesiredValue=quota["Value"] + 1
    )["RequestedQuota"]
    assert asked["Status"] == "APPROVED"
    now = quotas.get_service_quota(ServiceCode="sagemaker", QuotaCode=quota["QuotaCode"])["Quota"]
    assert now["Value"] == quota["Value"] + 1
    assert quotas.list_aws_default_service_quotas(ServiceCode="vpc")["Quotas"]
    assert sagemaker.list_training_jobs()["TrainingJobSummaries"] == []


def _role(iam: Any, name: str = "training") -> str:
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(ROLE_TRUST))["Role"]
    assert iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"] == ROLE_TRUST
    return str(role["Arn"])


def _decisions(iam: Any, arn: str, *actions: str, **members: Any) -> dict[str, str]:
    pages = iam.get_paginator("simulate_principal_policy").paginate(
        PolicySourceArn=arn, ActionNames=list(actions), **members
    )
    return {
        result["EvalActionName"]: result["EvalDecision"]
        for page in pages
        for result in page["EvaluationResults"]
    }


def test_role_is_allowed_what_its_policies_allow(account: Any) -> None:
    iam = account("iam")
    arn = _role(iam)
    actions = ("s3:GetObject", "s3:DeleteObject", "sagemaker:CreateTrainingJob", "logs:PutLogEvents")
    assert set(_decisions(iam, arn, *actions).values()) == {"implicitDeny"}
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
            {"Effect": "Deny", "Action": "s3:Delete*", "Resource": "*"},
        ],
    }
    iam.put_role_policy(RoleName="training", PolicyName="inline", PolicyDocument=json.dumps(document))
    iam.attach_role_policy(RoleName="training", PolicyArn="arn:aws:iam::aws:policy/AmazonSageMakerFullAccess")
    assert _decisions(iam, arn, *actions) == {
        "s3:GetObject": "allowed",
        "s3:DeleteObject": "explicitDeny",
        "sagemaker:CreateTrainingJob": "allowed",
        "logs:PutLogEvents": "allowed",
    }
    (result,) = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=["s3:DeleteObject"])[
        "EvaluationResults"
    ]
    assert result["MatchedStatements"] == [{"SourcePolicyId": "inline", "SourcePolicyType": "role"}]


def test_condition_on_passed_role_is_met_by_context(account: Any) -> None:
    iam = account("iam")
    arn = _role(iam)
    iam.attach_role_policy(RoleName="training", PolicyArn="arn:aws:iam::aws:policy/AmazonSageMakerFullAccess")
    resource = f"arn:aws:iam::{account.number}:role/AmazonSageMaker-x"
    context = [
        {
            "ContextKeyName": "iam:PassedToService",
            "ContextKeyValues": ["sagemaker.amazonaws.com"],
            "ContextKeyType": "string",
        }
    ]
    assert _decisions(iam, arn, "iam:PassRole", ResourceArns=[resource]) == {"iam:PassRole": "implicitDeny"}
    allowed = _decisions(iam, arn, "iam:PassRole", ResourceArns=[resource], ContextEntries=context)
    assert allowed == {"iam:PassRole": "allowed"}


def test_user_has_the_policies_of_its_groups_and_a_boundary_limits_a_role(account: Any) -> None:
    iam = account("iam")
    allow_all = json.dumps(
        {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}], "Version": "2012-10-17"}
    )
    user = iam.create_user(UserName="someone")["User"]["Arn"]
    iam.create_group(GroupName="people")
    iam.add_user_to_group(GroupName="people", UserName="someone")
    iam.put_group_policy(GroupName="people", PolicyName="all", PolicyDocument=allow_all)
    assert _decisions(iam, user, "s3:GetObject") == {"s3:GetObject": "allowed"}

    arn = _role(iam)
    iam.put_role_policy(RoleName="training", PolicyName="all", PolicyDocument=allow_all)
    iam.put_role_permissions_boundary(
        RoleName="training", PermissionsBoundary="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    )
    assert _decisions(iam, arn, "s3:GetObject", "s3:PutObject") == {
        "s3:GetObject": "allowed",
        "s3:PutObject": "implicitDeny",
    }


def test_custom_policies_are_simulated_and_pages_followed(account: Any) -> None:
    iam = account("iam")
    document = json.dumps(
        {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}}
    )
    actions = [f"s3:{verb}Object" for verb in ("Get", "Put", "Delete")]
    pages = iam.get_paginator("simulate_custom_policy").paginate(
        PolicyInputList=[document], ActionNames=actions, PaginationConfig={"PageSize": 2}
    )
    results = [result for page in pages for result in page["EvaluationResults"]]
    assert [result["EvalDecision"] for result in results] == ["allowed", "implicitDeny", "implicitDeny"]
    assert [result["EvalActionName"] for result in results] == actions


@pytest.mark.parametrize(
    ("source", "action", "code"),
    [
        ("arn:aws:iam::{account}:role/nobody", "s3:GetObject", "NoSuchEntity"),
        ("arn:aws:iam::{account}:user/nobody", "s3:GetObject", "NoSuchEntity"),
        ("arn:aws:iam::{account}:role/path/training", "s3:GetObject", "NoSuchEntity"),
        ("arn:aws:s3:::a-bucket-of-mine", "s3:GetObject", "InvalidInput"),
        ("arn:aws:iam::{account}:role/training", "GetObject", "InvalidInput"),
    ],
)
def test_simulation_of_what_is_not_there_is_refused(
    account: Any, source: str, action: str, code: str
) -> None:
    iam = account("iam")
    _role(iam)
    error = _refused(
        iam.simulate_principal_policy,
        PolicySourceArn=source.format(account=account.number),
        ActionNames=[action],
    )
    assert error["Error"]["Code"] == code


def test_metrics_of_a_job_are_in_cloudwatch(jobs: Jobs) -> None:
    script = (
        "import time\nfor step in range(3):\n    print(f'loss={3 - step}', flush=True)\n    time.sleep(0.3)\n"
    )
    algorithm = {
        "TrainingImage": "local/image:1",
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
    }
    name = jobs.submit_script(script, AlgorithmSpecification=algorithm)
    described = jobs.ended(name)
    cloudwatch = jobs.emulator.client("cloudwatch")
    period = {
        "StartTime": described["TrainingStartTime"],
        "EndTime": described["TrainingEndTime"] + timedelta(minutes=1),
    }
    loss = {
        "Namespace": NAMESPACE,
        "MetricName": "loss",
        "Dimensions": [{"Name": "TrainingJobName", "Value": name}],
    }
    points = cloudwatch.get_metric_statistics(
        **loss, **period, Period=60, Statistics=["Minimum", "SampleCount"]
    )["Datapoints"]
    assert sum(point["SampleCount"] for point in points) == 3
    assert min(point["Minimum"] for point in points) == 1.0
    queries = [{"Id": "loss", "MetricStat": {"Metric": loss, "Period": 3600, "Stat": "Maximum"}}]
    (answer,) = cloudwatch.get_metric_data(MetricDataQueries=queries, **period)["MetricDataResults"]
    assert max(answer["Values"]) == 3.0
    host = [{"Name": "Host", "Value": f"{name}/algo-1"}]
    listed = cloudwatch.list_metrics(Namespace=NAMESPACE, Dimensions=host)["Metrics"]
    assert {metric["MetricName"] for metric in listed} == {
        "CPUUtilization",
        "MemoryUtilization",
        "DiskUtilization",
    }
    busy = cloudwatch.get_metric_statistics(
        Namespace=NAMESPACE,
        MetricName="CPUUtilization",
        Dimensions=host,
        Period=60,
        Statistics=["Average"],
        **period,
    )["Datapoints"]
    assert busy
    assert all(0 < point["Average"] <= 100 for point in busy)


def test_metrics_that_somebody_puts_are_motos_as_before(account: Any) -> None:
    cloudwatch = account("cloudwatch")
    cloudwatch.put_metric_data(Namespace="mine", MetricData=[{"MetricName": "m", "Value": 5.0}])
    assert [metric["MetricName"] for metric in cloudwatch.list_metrics(Namespace="mine")["Metrics"]] == ["m"]


@pytest.mark.parametrize(
    ("service", "method", "parameters", "code", "name"),
    [
        ("iam", "generate_service_last_accessed_details", {"Arn": "arn:aws:iam::1:role/a-role-of-mine"}, "InvalidAction", "iam:GenerateServiceLastAccessedDetails"),
        ("ec2", "describe_spot_datafeed_subscription", {}, "InvalidAction", "ec2:DescribeSpotDatafeedSubscription"),
        ("sqs", "list_message_move_tasks", {"SourceArn": "none"}, "UnknownOperationException", "sqs:ListMessageMoveTasks"),
        ("batch", "describe_service_job", {"jobId": "x"}, "UnknownOperationException", "batch:DescribeServiceJob"),
        ("lambda", "get_function_recursion_config", {"FunctionName": "x"}, "UnknownOperationException", "lambda:GetFunctionRecursionConfig"),
        ("cloudwatch", "describe_anomaly_detectors", {}, "UnknownOperationException", "cloudwatch:DescribeAnomalyDetectors"),
        ("workmail", "list_organizations", {}, "UnknownOperationException", "workmail"),
    ],
)  # fmt: skip
def test_operation_that_is_not_there_is_named_in_an_error_of_aws(
    account: Any, service: str, method: str, parameters: dict[str, Any], code: str, name: str
) -> None:
    error = _refused(getattr(account(service), method), **parameters)
    assert error["Error"]["Code"] == code
    assert name in error["Error"]["Message"]


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("sagemaker", "search", {"Resource": "TrainingJob"}),
        ("sagemaker", "list_training_jobs", {}),
        ("sagemaker", "list_models", {}),
        ("sqs", "list_queues", {}),
        ("ec2", "describe_regions", {}),
        ("cloudwatch", "list_metrics", {}),
    ],
)
def test_region_that_there_is_not_is_named_in_an_error_that_nobody_repeats(
    emulator: SageMakerEmulator, service: str, operation: str, parameters: dict[str, Any]
) -> None:
    client = emulator.client(service, region_name="eu-nope-9")
    with pytest.raises(ClientError, match=rf"eu-nope-9.*{service}.*us-east-1") as refused:
        getattr(client, operation)(**parameters)
    answer = refused.value.response["ResponseMetadata"]
    assert (answer["HTTPStatusCode"], answer["RetryAttempts"]) == (400, 0)
    assert not is_worth_a_retry(refused.value)


def test_errors_of_motos_own_pass_as_they_are(account: Any) -> None:
    assert _refused(account("iam").get_role, RoleName="none")["Error"]["Code"] == "NoSuchEntity"
    assert _refused(account("s3").head_bucket, Bucket="none")["Error"]["Code"] == "404"
    error = _refused(account("s3").get_object, Bucket="none", Key="none")
    assert error["Error"]["Code"] == "NoSuchBucket"
    assert _refused(account("logs").get_log_events, logGroupName="none", logStreamName="none")["Error"][
        "Code"
    ] == ("ResourceNotFoundException")


@pytest.mark.parametrize(
    ("service", "method"),
    [
        ("iam", "get_role"),
        ("iam", "simulate_principal_policy"),
        ("iam", "simulate_custom_policy"),
        ("iam", "put_role_policy"),
        ("sqs", "send_message"),
        ("sqs", "receive_message"),
        ("events", "put_rule"),
        ("events", "put_targets"),
        ("logs", "put_log_events"),
        ("cloudwatch", "get_metric_data"),
        ("sts", "assume_role"),
        ("pricing", "get_products"),
        ("service-quotas", "get_service_quota"),
    ],
)
def test_request_without_its_members_gets_an_error_of_aws_and_no_python(
    account: Any, service: str, method: str
) -> None:
    error = _refused(getattr(account(service, parameter_validation=False), method))
    text = json.dumps(error)
    assert error["Error"]["Code"]
    assert error["Error"]["Code"].isascii()
    for leak in ("Traceback", 'File \\"', ".py", "NoneType", "<html", "<!doctype", "KeyError", "moto"):
        assert leak not in text


def test_caller_identity_is_the_account_of_the_access_key(account: Any) -> None:
    assert account("sts").get_caller_identity()["Account"] == account.number


def test_presigned_urls_and_parts_of_an_upload_work(account: Any) -> None:
    s3 = account("s3")
    bucket = f"b{account.number}"
    s3.create_bucket(Bucket=bucket)
    put = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "a b/ü.html"})
    page = b"<!doctype html><html>mine</html>"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    kind = {"Content-Type": "text/html"}
    with opener.open(urllib.request.Request(put, page, kind, method="PUT")) as answer:  # noqa: S310 - loopback
        assert answer.status == 200
    get = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a b/ü.html"})
    with opener.open(get) as answer:
        assert answer.read() == page
    upload = s3.create_multipart_upload(Bucket=bucket, Key="large")["UploadId"]
    parts = []
    for number, part in enumerate((b"x" * 5_242_880, b"end"), start=1):
        tag = s3.upload_part(Bucket=bucket, Key="large", UploadId=upload, PartNumber=number, Body=part)[
            "ETag"
        ]
        parts.append({"PartNumber": number, "ETag": tag})
    s3.complete_multipart_upload(
        Bucket=bucket, Key="large", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    ending = s3.get_object(Bucket=bucket, Key="large", Range="bytes=-4")["Body"].read()
    assert ending == b"xend"


def test_long_poll_ends_when_a_message_comes(account: Any) -> None:
    sqs = account("sqs")
    queue = sqs.create_queue(QueueName="queue")["QueueUrl"]
    came: list[Any] = []
    waiting = threading.Thread(
        target=lambda: came.append(sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20))
    )
    waiting.start()
    account("sqs").send_message(QueueUrl=queue, MessageBody="here")
    waiting.join(timeout=15)
    assert [message["Body"] for message in came[0]["Messages"]] == ["here"]


def test_log_events_are_filtered_by_prefix_and_come_in_order_of_time(account: Any) -> None:
    logs, now = account("logs"), round(time.time() * 1000)
    logs.create_log_group(logGroupName="group")
    for stream, offset in (("job-1/algo-1", 0), ("job-1/algo-2", 1), ("job-10/algo-1", 2)):
        logs.create_log_stream(logGroupName="group", logStreamName=stream)
        lines = [
            {"timestamp": now + offset + 3 * number, "message": f"{stream} {number}"} for number in range(2)
        ]
        logs.put_log_events(logGroupName="group", logStreamName=stream, logEvents=lines)

    def _filtered(**members: Any) -> list[str]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName="group", **members)
        return [event["message"] for page in pages for event in page["events"]]

    of_job = ["job-1/algo-1 0", "job-1/algo-2 0", "job-1/algo-1 1", "job-1/algo-2 1"]
    assert _filtered(logStreamNamePrefix="job-1/") == of_job
    assert _filtered(logStreamNamePrefix="job-1/", limit=3) == of_job
    assert _filtered(logStreamNamePrefix="job-1/", startTime=now + 3) == of_job[2:]
    assert _filtered(logStreamNamePrefix="job-2/") == []
    assert len(_filtered()) == 6
    assert (
        _refused(logs.filter_log_events, logGroupName="group", logStreamNames=["a"], logStreamNamePrefix="b")[
            "Error"
        ]["Code"]
        == "InvalidParameterException"
    )
    assert _refused(logs.filter_log_events, logGroupName="none", logStreamNamePrefix="b")["Error"][
        "Code"
    ] == ("ResourceNotFoundException")


def test_objects_are_dated_by_the_emulated_clock() -> None:
    with SageMakerEmulator(clock="stepped") as emulator:
        s3 = emulator.client("s3")
        s3.create_bucket(Bucket="dated")
        written = []
        for key in ("first", "second"):
            s3.put_object(Bucket="dated", Key=key, Body=b"")
            written.append(emulator.clock.now().replace(microsecond=0))
            emulator.clock.advance(timedelta(hours=2))
        listed = s3.list_objects_v2(Bucket="dated")
        answered = listed["ResponseMetadata"]["HTTPHeaders"]["date"]

        assert [entry["LastModified"] for entry in listed["Contents"]] == written
        assert s3.head_object(Bucket="dated", Key="first")["LastModified"] == written[0]
        assert parsedate_to_datetime(answered) - written[1] == timedelta(hours=2)
