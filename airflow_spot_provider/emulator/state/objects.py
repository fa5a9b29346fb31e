"""S3's buckets and objects, kept as they are after each request that changed them."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from moto.s3.exceptions import MissingBucket
from moto.s3.models import s3_backends

from airflow_spot_provider.emulator.state.files import write_whole

log = logging.getLogger(__name__)

_PARTITION = "aws"


class ObjectStore:
    """The buckets of every account, in a folder. Versions, tags and policies are not kept.

    :param folder: where; a bucket is a folder there, an object two files in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def keep(self, account_id: str, bucket_name: str, key: str | None) -> None:
        """Keep an object, or with no key a bucket, as it is now.

        :param account_id: who asked; moto finds the bucket whosever it is.
        """
        with self._lock:
            backend: Any = s3_backends[account_id][_PARTITION]
            try:
                bucket = backend.get_bucket(bucket_name)
            except MissingBucket:
                shutil.rmtree(self._folder / bucket_name, ignore_errors=True)
                return
            place = self._folder / bucket.name
            if not (place / "bucket.json").exists():
                about = {"account_id": bucket.account_id, "region": bucket.region_name}
                write_whole(place / "bucket.json", json.dumps(about).encode())
            if key is None:
                self._forget_deleted(place, bucket)
            elif (stored := bucket.keys.get(key)) is None:
                _forget(place, _file_name(key))
            else:
                name = _file_name(key)
                write_whole(place / f"{name}.body", stored.value)
                about = {
                    "key": key,
                    "metadata": dict(stored.metadata or {}),
                    "etag": stored.etag.strip('"'),
                    "modified": stored.last_modified.isoformat(),
                }
                write_whole(place / f"{name}.json", json.dumps(about).encode())

    def restore(self) -> None:
        """Give moto all buckets and objects back."""
        for place in sorted(self._folder.glob("*/")):
            about = json.loads((place / "bucket.json").read_text())
            backend: Any = s3_backends[about["account_id"]][_PARTITION]
            backend.create_bucket(place.name, about["region"])
            for file in sorted(place.glob("*.json")):
                if file.name == "bucket.json":
                    continue
                about = json.loads(file.read_text())
                stored = backend.put_object(
                    place.name, about["key"], file.with_suffix(".body").read_bytes(), etag=about["etag"]
                )
                stored.set_metadata(about["metadata"])
                if "modified" in about:  # what an older version kept tells no time
                    stored.last_modified = datetime.fromisoformat(about["modified"])

    def _forget_deleted(self, place: Path, bucket: Any) -> None:
        """Remove what a request that deletes many objects has deleted."""
        kept = {_file_name(key) for key in bucket.keys}
        for file in place.glob("*.body"):
            if file.stem not in kept:
                _forget(place, file.stem)


def _forget(place: Path, name: str) -> None:
    for suffix in (".json", ".body"):
        (place / f"{name}{suffix}").unlink(missing_ok=True)


def _file_name(key: str) -> str:
    """A key's own file name: keys may be longer than file names, and lead out of folders."""
    return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
