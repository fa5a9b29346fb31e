"""Plays the tables against AWS, prints what is different, and with ``--write`` records it. See README.md."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

TABLES = sorted(Path(__file__).parent.glob("*.json"))
_KINDS = {"CreateTrainingJob": "TrainingJob", "CreateHyperParameterTuningJob": "HyperParameterTuningJob"}
_GOES_ON = ("InProgress", "Stopping")
_LONGEST_STOP_SECONDS = 900


@dataclass(frozen=True)
class Place:
    """Where the tables are played: what stands in them for an account, a region, a role and a bucket, and what is there.

    :param account_id: whose account.
    :param region: which region.
    :param role_arn: a role that SageMaker may take; None: one that is not there.
    :param bucket: a bucket that is there; None: one that is not.
    """

    account_id: str
    region: str
    role_arn: str | None = None
    bucket: str | None = None

    @property
    def _names(self) -> list[tuple[str, str]]:
        role = "arn:aws:iam::123456789012:role/sagemaker-training"
        names = [(role, self.role_arn or role), ("parity-bucket", self.bucket or "parity-bucket")]
        return [*names, ("123456789012", self.account_id), ("us-east-1", self.region)]

    def here(self, value: Any) -> Any:
        """A part of a table with the names of this place."""
        text = json.dumps(value)
        for written, real in self._names:
            text = text.replace(written, real)
        return json.loads(text)

    def anywhere(self, value: Any) -> Any:
        """An answer with the names of the tables: nobody's account is written down."""
        text = json.dumps(value)
        for written, real in self._names:
            text = text.replace(real, written)
        return json.loads(text)


class Service:
    """SageMaker, called as it is on the wire.

    :param session: credentials and region.
    :param endpoint_url: another address than AWS's, to try the recorder itself.
    :param role_arn: a role that SageMaker may take.
    :param bucket: a bucket that is there.
    """

    def __init__(
        self,
        session: boto3.Session,
        endpoint_url: str | None = None,
        *,
        role_arn: str | None = None,
        bucket: str | None = None,
    ) -> None:
        self._client = session.client("sagemaker", endpoint_url=endpoint_url)
        self._credentials = session.get_credentials()
        self._http = URLLib3Session()
        account_id = session.client("sts", endpoint_url=endpoint_url).get_caller_identity()["Account"]
        self.place = Place(account_id, self._client.meta.region_name, role_arn, bucket)

    def play(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Make an entry's calls, undo what they made, and return the last one's answer: status, code, message, members."""
        made = []
        try:
            for step in (*entry.get("before", ()), entry):
                operation, request = step["operation"], self.place.here(step["request"])
                found = self._call(operation, request)
                if found["status"] < 400 and operation in _KINDS:
                    made.append((_KINDS[operation], request))
                if found["status"] >= 400 and step is not entry:
                    found["message"] = f"{operation}, which comes before: {found['message']}"
                    break
        finally:
            for kind, request in reversed(made):
                self._undo(kind, {f"{kind}Name": request[f"{kind}Name"]})
        return dict(self.place.anywhere(found))

    def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        meta = self._client.meta
        headers = {"X-Amz-Target": f"SageMaker.{operation}", "Content-Type": "application/x-amz-json-1.1"}
        sent = AWSRequest("POST", meta.endpoint_url + "/", headers=headers, data=json.dumps(request))
        SigV4Auth(self._credentials, "sagemaker", meta.region_name).add_auth(sent)
        answer = self._http.send(sent.prepare())
        body = json.loads(answer.content or b"{}")
        if answer.status_code < 400:
            return {"status": answer.status_code, "code": None, "message": "", "members": body}
        code = str(body.get("__type", "")).rpartition("#")[2]
        message = body.get("message") or body.get("Message") or ""
        return {"status": answer.status_code, "code": code, "message": message, "members": {}}

    def _undo(self, kind: str, name: dict[str, str]) -> None:
        """Stop a job, and delete it when it has stopped; a tuning job with its training jobs."""
        self._call(f"Stop{kind}", name)
        deadline, pause = time.monotonic() + _LONGEST_STOP_SECONDS, 0.1
        while time.monotonic() < deadline:
            status = self._call(f"Describe{kind}", name)["members"].get(f"{kind}Status")
            if status not in _GOES_ON:
                break
            time.sleep(pause)
            pause = min(2 * pause, 15)
        children = self._call(f"ListTrainingJobsFor{kind}", name) if kind == "HyperParameterTuningJob" else {}
        for child in children.get("members", {}).get("TrainingJobSummaries", ()):
            self._undo("TrainingJob", {"TrainingJobName": child["TrainingJobName"]})
        gone = self._call(f"Delete{kind}", name)
        if gone["status"] >= 400:
            print(f"{name} is still there, delete it: {gone['message']}", file=sys.stderr)


def differences(expected: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    """What of an answer is not as a table says."""
    for member in ("status", "code"):
        if expected[member] != found[member]:
            told = f": {found['message']!r}" if member == "code" else ""
            yield f"{member} is {found[member]!r}, and in the table {expected[member]!r}{told}"
    for words in expected.get("message_holds", ()):
        if words not in found["message"]:
            yield f"the message does not hold {words!r}: {found['message']!r}"
    for name, value in expected.get("members", {}).items():
        if found["members"].get(name) != value:
            yield f"{name} is {found['members'].get(name)!r}, and in the table {value!r}"


def _makes_jobs(entry: dict[str, Any]) -> bool:
    """Whether jobs have to be there before its answer can be seen, or are made by it."""
    return bool(entry.get("before")) or (entry["operation"] in _KINDS and entry["answer"]["status"] == 200)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--yes", action="store_true", help="make the calls")
    parser.add_argument("--jobs", action="store_true", help="those that need jobs too; they cost a few cents")
    parser.add_argument("--role-arn", help="a role that SageMaker may take (default: one that is not there)")
    parser.add_argument("--bucket", help="a bucket that is there (default: one that is not)")
    parser.add_argument("--write", action="store_true", help="write the answers into the tables")
    parser.add_argument("--endpoint-url", help="call something else than AWS, to try this")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Play the tables; 0 if AWS answers as they say."""
    options = _options(arguments)
    tables = {table: json.loads(table.read_text()) for table in TABLES}
    wanted = [
        (table, entry)
        for table, entries in tables.items()
        for entry in entries
        if options.jobs or not _makes_jobs(entry)
    ]
    if not options.yes:
        for table, entry in wanted:
            print(f"{table.stem}: {entry['operation']}: {entry['name']}")
        print(
            "No call was made. With --yes these are made, with the credentials and the region of your environment."
        )
        return 0
    service = Service(boto3.Session(), options.endpoint_url, role_arn=options.role_arn, bucket=options.bucket)
    print(f"Account {service.place.account_id}, region {service.place.region}")
    count = 0
    for table, entry in wanted:
        found = service.play(entry)
        for difference in differences(entry["answer"], found):
            count += 1
            print(f"{table.stem}: {entry['operation']}: {entry['name']}: {difference}")
        if options.write:
            entry |= {
                "source": "recorded",
                "recorded_on": datetime.now(UTC).date().isoformat(),
                "recorded": {name: found[name] for name in ("status", "code", "message")},
            }
            # After each: what has been recorded is kept when a later call cannot be made.
            table.write_text(json.dumps(tables[table], indent=2) + "\n")
    print(f"{count} difference{'s' * (count != 1)}.")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
