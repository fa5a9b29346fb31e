"""Plays the tables against AWS, prints what is different, and with ``--write`` records it. See README.md."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

TABLES = sorted(Path(__file__).parent.glob("*.json"))
_UNDO = {
    "CreateTrainingJob": ("StopTrainingJob", "DeleteTrainingJob", "TrainingJobName"),
    "CreateHyperParameterTuningJob": (
        "StopHyperParameterTuningJob",
        "DeleteHyperParameterTuningJob",
        "HyperParameterTuningJobName",
    ),
}


class Service:
    """SageMaker, called as it is on the wire.

    :param session: credentials and region.
    :param endpoint_url: another address than AWS's, to try the recorder itself.
    """

    def __init__(self, session: boto3.Session, endpoint_url: str | None = None) -> None:
        self._client = session.client("sagemaker", endpoint_url=endpoint_url)
        self._credentials = session.get_credentials()
        self._http = URLLib3Session()

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Status, code, message and members of an answer."""
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

    def undo(self, operation: str, request: dict[str, Any]) -> None:
        """Stop and delete what AWS has taken against expectation."""
        for undoing in _UNDO.get(operation, ())[:2]:
            name = _UNDO[operation][2]
            self.call(undoing, {name: request[name]})


def differences(expected: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    """What of an answer is not as a table says."""
    for member in ("status", "code"):
        if expected[member] != found[member]:
            yield f"{member} is {found[member]!r}, and in the table {expected[member]!r}"
    for words in expected.get("message_holds", ()):
        if words not in found["message"]:
            yield f"the message does not hold {words!r}: {found['message']!r}"
    for name, value in expected.get("members", {}).items():
        if found["members"].get(name) != value:
            yield f"{name} is {found['members'].get(name)!r}, and in the table {value!r}"


def main(arguments: list[str]) -> int:
    """Play the tables; 0 if AWS answers as they say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--yes", action="store_true", help="make the calls")
    parser.add_argument("--write", action="store_true", help="write the answers into the tables")
    parser.add_argument("--endpoint-url", help="call something else than AWS, to try this")
    options = parser.parse_args(arguments)
    if not options.yes:
        for table in TABLES:
            for entry in json.loads(table.read_text()):
                print(f"{table.stem}: {entry['operation']}: {entry['name']}")
        print(
            "No call was made. With --yes these are made, with the credentials and the region of your environment."
        )
        return 0
    service = Service(boto3.Session(), options.endpoint_url)
    count = 0
    for table in TABLES:
        entries = json.loads(table.read_text())
        for entry in entries:
            found = service.call(entry["operation"], entry["request"])
            if found["status"] < 400:
                service.undo(entry["operation"], entry["request"])
            for difference in differences(entry["answer"], found):
                count += 1
                print(f"{table.stem}: {entry['operation']}: {entry['name']}: {difference}")
            if options.write:
                entry |= {
                    "source": "recorded",
                    "recorded_on": datetime.now(UTC).date().isoformat(),
                    "recorded": {name: found[name] for name in ("status", "code", "message")},
                }
        if options.write:
            table.write_text(json.dumps(entries, indent=2) + "\n")
    print(f"{count} difference{'s' * (count != 1)}.")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
