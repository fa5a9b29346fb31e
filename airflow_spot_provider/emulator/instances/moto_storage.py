"""S3 of this process, for jobs that are simulated: without a request, since there may be thousands of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from moto.s3.exceptions import MissingBucket
from moto.s3.models import s3_backends

from airflow_spot_provider.emulator.exceptions import TrainingProblem


class MotoStorage:
    """moto's S3, for the jobs of one account.

    :param account_id: whose jobs.
    :param written: is told of each object that is put: account, bucket, key.
    """

    def __init__(self, account_id: str, written: Callable[[str, str, str], None]) -> None:
        self._account_id = account_id
        self._written = written

    def holds(self, uri: str) -> bool:
        """Whether there is anything under a prefix; nothing is in a bucket that is not there."""
        bucket, key = _split(uri)
        try:
            keys = self._backend.get_bucket(bucket).keys
        except MissingBucket:
            return False
        return key in keys or any(name.startswith(key) for name in list(keys))

    def write(self, uri: str, content: bytes) -> None:
        """Put one object.

        :raises TrainingProblem: the bucket is not there.
        """
        bucket, key = _split(uri)
        try:
            self._backend.put_object(bucket, key, content)
        except MissingBucket as error:
            raise TrainingProblem(
                f"ClientError: Upload to {uri} failed: The specified bucket does not exist"
            ) from error
        self._written(self._account_id, bucket, key)

    @property
    def _backend(self) -> Any:
        return s3_backends[self._account_id]["aws"]


def _split(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri, allow_fragments=False)
    return parts.netloc, parts.path.lstrip("/")
