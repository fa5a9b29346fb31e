"""``S3Operations`` of a config: buckets that are made and files that are uploaded before the job, as Amazon's operators do."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from airflow_spot_provider.aws.errors import code_of
from airflow_spot_provider.aws.watch import Log
from airflow_spot_provider.training import InvalidSpotRequest, SpotTrainingError
from airflow_spot_provider.training.rules import Known
from airflow_spot_provider.training.shapes import Shape, fitted

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

MEMBER = "S3Operations"
_SHAPE = Shape(
    MEMBER,
    {
        MEMBER: {
            "type": "structure",
            "members": {"S3CreateBucket": {"shape": "Buckets"}, "S3Upload": {"shape": "Uploads"}},
        },
        "Buckets": {"type": "list", "member": {"shape": "Bucket"}},
        "Bucket": {"type": "structure", "required": ["Bucket"], "members": {"Bucket": {"shape": "Text"}}},
        "Uploads": {"type": "list", "member": {"shape": "Upload"}},
        "Upload": {
            "type": "structure",
            "required": ["Path", "Bucket", "Key"],
            "members": {
                **{name: {"shape": "Text"} for name in ("Path", "Bucket", "Key")},
                "Tar": {"shape": "Flag"},
            },
        },
        "Text": {"type": "string", "min": 1},
        "Flag": {"type": "boolean"},
    },
)


def split(config: Any, *, known: Known) -> tuple[Any, Mapping[str, Any], list[str]]:
    """A config without its S3Operations, these, and what is wrong with them.

    :param known: tells whether a value can be looked at already.
    """
    if not isinstance(config, Mapping) or MEMBER not in config:
        return config, {}, []
    rest = {name: value for name, value in config.items() if name != MEMBER}
    if (given := config[MEMBER]) is None or not known(given):
        return rest, {}, []
    operations, problems = fitted(given, _SHAPE, known=known, complete=True)
    told = [problem.replace("config is", f"{MEMBER} is", 1) for problem in problems]
    return rest, operations if isinstance(operations, Mapping) else {}, told


def carry_out(operations: Mapping[str, Any], *, s3: S3Hook, log: Log) -> None:
    """Make the buckets, then upload the files; what is there already is taken, and overwritten.

    :param operations: as :func:`split` has them.
    :raises InvalidSpotRequest: a file is not there.
    :raises SpotTrainingError: S3 refuses.
    """
    uploads = operations.get("S3Upload", ())
    if missing := [each["Path"] for each in uploads if not Path(each["Path"]).exists()]:
        raise InvalidSpotRequest(
            [
                (
                    f"{MEMBER}.S3Upload: {missing} is not on this worker. Give paths that every worker has, or upload in a task of its own."
                )
            ]
        )
    for each in operations.get("S3CreateBucket", ()):
        bucket = each["Bucket"]
        _asked(f"S3CreateBucket {bucket!r}", "s3:CreateBucket", partial(_create, s3, bucket))
        log.info("Bucket %s is there (S3Operations).", bucket)
    for each in uploads:
        where = f"s3://{each['Bucket']}/{each['Key']}"
        _asked(f"S3Upload to {where}", "s3:PutObject", partial(_upload, s3, each))
        log.info("Uploaded %s to %s (S3Operations).", each["Path"], where)


def _create(s3: S3Hook, bucket: str) -> None:
    try:
        s3.create_bucket(bucket_name=bucket)
    except ClientError as error:
        if code_of(error) != "BucketAlreadyOwnedByYou":
            raise


def _upload(s3: S3Hook, upload: Mapping[str, Any]) -> None:
    path = Path(upload["Path"])
    if not upload.get("Tar"):
        s3.load_file(path, key=upload["Key"], bucket_name=upload["Bucket"], replace=True)
        return
    with tempfile.TemporaryFile() as packed:
        with tarfile.open(mode="w:gz", fileobj=packed) as tar:
            for file in sorted(path.iterdir()) if path.is_dir() else [path]:
                tar.add(file, arcname=file.name)
        packed.seek(0)
        s3.load_file_obj(packed, key=upload["Key"], bucket_name=upload["Bucket"], replace=True)


def _asked(what: str, permission: str, call: Callable[[], None]) -> None:
    try:
        call()
    except Exception as error:
        raise SpotTrainingError(
            f"{MEMBER}: {what} was not done ({code_of(error)}: {error}). It takes {permission}; or do it in a task of its own. Nothing has "
            "been submitted."
        ) from error
