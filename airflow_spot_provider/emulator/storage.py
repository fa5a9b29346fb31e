"""S3 as jobs use it: prefixes down to folders and up again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError


class Storage:
    """S3 of one server, for its jobs.

    :param s3: a boto3 S3 client.
    """

    def __init__(self, s3: Any) -> None:
        self._s3 = s3

    def download_file(self, uri: str, path: Path) -> None:
        """Download one object.

        :raises FileNotFoundError: there is no such object or bucket.
        """
        bucket, key = _split(uri)
        try:
            self._s3.download_file(bucket, key, str(path))
        except ClientError as error:
            raise FileNotFoundError(f"No S3 object found under {uri}") from error

    def download_prefix(self, uri: str, folder: Path) -> int:
        """Download what is under a prefix, with the folders below it, and say how many objects that were."""
        bucket, prefix = _split(uri)
        count = 0
        for key in self._keys(bucket, prefix):
            relative = key[len(prefix) :].lstrip("/") or key.rpartition("/")[2]
            target = (folder / relative).resolve()
            if not relative or key.endswith("/") or not target.is_relative_to(folder.resolve()):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            self._s3.download_file(bucket, key, str(target))
            count += 1
        return count

    def upload_file(self, path: Path, uri: str) -> None:
        """Upload one file."""
        bucket, key = _split(uri)
        self._s3.upload_file(str(path), bucket, key)

    def delete(self, uri: str) -> None:
        """Delete one object."""
        bucket, key = _split(uri)
        self._s3.delete_object(Bucket=bucket, Key=key)

    def _keys(self, bucket: str, prefix: str) -> Iterator[str]:
        try:
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for entry in page.get("Contents", ()):
                    yield entry["Key"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise


def _split(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri, allow_fragments=False)
    return parts.netloc, parts.path.lstrip("/")
