"""S3 as jobs use it: prefixes down to folders and up again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from airflow_spot_provider.emulator.exceptions import TrainingProblem

_IN_THIS_THREAD = TransferConfig(use_threads=False)


class Storage(Protocol):
    """What a job needs of S3. Each raises :class:`TrainingProblem` where the bucket is not there."""

    def holds(self, uri: str) -> bool:
        """Whether there is anything under a prefix."""

    def entries(self, uri: str) -> list[tuple[str, str]]:
        """The objects under a prefix in the order of their keys, and each one's path below it."""

    def read(self, uri: str) -> bytes:
        """The content of one object."""

    def download_file(self, uri: str, path: Path) -> None:
        """Download one object."""

    def download_prefix(self, uri: str, folder: Path) -> int:
        """Download what is under a prefix, with the folders below it, and say how many objects that were."""

    def upload_file(self, path: Path, uri: str) -> None:
        """Upload one file; FileNotFoundError if it is gone."""

    def delete_file(self, uri: str) -> None:
        """Delete one object; nothing happens if it is not there."""


class S3Storage:
    """S3 of one server, for its jobs.

    :param s3: a boto3 S3 client.
    """

    def __init__(self, s3: Any) -> None:
        self._s3 = s3

    def holds(self, uri: str) -> bool:
        """Whether there is anything under a prefix; nothing is in a bucket that is not there."""
        try:
            return next(self._keys(uri), None) is not None
        except TrainingProblem:
            return False

    def entries(self, uri: str) -> list[tuple[str, str]]:
        """The objects under a prefix in the order of their keys, and each one's path below it."""
        bucket, prefix = _split(uri)
        keys = (key for key in self._keys(uri) if not key.endswith("/"))  # not the folders' own markers
        return [(f"s3://{bucket}/{key}", _relative(key, prefix)) for key in sorted(keys)]

    def read(self, uri: str) -> bytes:
        """The content of one object."""
        bucket, key = _split(uri)
        try:
            content: bytes = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            raise TrainingProblem(f"ClientError: No S3 object found under {uri}") from error
        return content

    def download_file(self, uri: str, path: Path) -> None:
        """Download one object."""
        bucket, key = _split(uri)
        try:
            self._s3.download_file(bucket, key, str(path), Config=_IN_THIS_THREAD)
        except ClientError as error:
            raise TrainingProblem(f"ClientError: No S3 object found under {uri}") from error

    def download_prefix(self, uri: str, folder: Path) -> int:
        """Download what is under a prefix, with the folders below it, and say how many objects that were."""
        bucket, prefix = _split(uri)
        count = 0
        for key in self._keys(uri):
            if key.endswith("/"):
                continue  # a folder's own marker
            target = (folder / _relative(key, prefix)).resolve()
            if not target.is_relative_to(folder.resolve()):
                raise TrainingProblem(f"ClientError: The S3 key s3://{bucket}/{key} leads out of {uri}")
            target.parent.mkdir(parents=True, exist_ok=True)
            self._s3.download_file(bucket, key, str(target), Config=_IN_THIS_THREAD)
            count += 1
        return count

    def upload_file(self, path: Path, uri: str) -> None:
        """Upload one file; FileNotFoundError if it is gone."""
        bucket, key = _split(uri)
        try:
            self._s3.upload_file(str(path), bucket, key, Config=_IN_THIS_THREAD)
        except S3UploadFailedError as error:
            raise TrainingProblem(
                f"ClientError: Upload to {uri} failed: {error.__cause__ or error}"
            ) from error

    def delete_file(self, uri: str) -> None:
        """Delete one object; nothing happens if it is not there."""
        bucket, key = _split(uri)
        try:
            self._s3.delete_object(Bucket=bucket, Key=key)
        except ClientError as error:
            raise TrainingProblem(
                f"ClientError: {uri} cannot be deleted: {error.response['Error']['Message']}"
            ) from error

    def _keys(self, uri: str) -> Iterator[str]:
        bucket, prefix = _split(uri)
        try:
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for entry in page.get("Contents", ()):
                    yield entry["Key"]
        except ClientError as error:
            raise TrainingProblem(
                f"ClientError: {uri} cannot be read: {error.response['Error']['Message']}"
            ) from error


def _split(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri, allow_fragments=False)
    return parts.netloc, parts.path.lstrip("/")


def _relative(key: str, prefix: str) -> str:
    """A key's path below a prefix that may end within a name: ``data/train`` matches ``data/train-2/x`` too."""
    if not prefix or prefix.endswith("/"):
        return key[len(prefix) :].lstrip("/")
    if key.startswith(f"{prefix}/"):
        return key[len(prefix) + 1 :].lstrip("/")
    return key[prefix.rfind("/") + 1 :]
