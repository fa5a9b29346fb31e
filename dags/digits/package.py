"""Put the training script and its data where SageMaker finds them."""

from __future__ import annotations

import io
import tarfile
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook


def upload_script(s3: S3Hook, uri: str) -> str:
    """Pack ``train.py`` as script mode takes it, to ``uri``."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.add(Path(__file__).with_name("train.py"), arcname="train.py")
    _upload(s3, archive.getvalue(), uri)
    return uri


def upload_digits(s3: S3Hook, uri: str) -> str:
    """Bring the handwritten digits that scikit-learn ships to ``uri``."""
    _upload(s3, files("sklearn.datasets.data").joinpath("digits.csv.gz").read_bytes(), uri)
    return uri


def _upload(s3: S3Hook, content: bytes, uri: str) -> None:
    bucket, key = s3.parse_s3_url(uri)
    s3.load_bytes(content, key, bucket, replace=True)
