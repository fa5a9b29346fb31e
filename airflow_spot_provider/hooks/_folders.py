"""Files go into a folder anywhere that fsspec writes: reports, and plots."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from airflow.sdk import ObjectStoragePath

from airflow_spot_provider.training import InvalidSpotRequest, SpotTrainingError

_DEFAULT_AWS_CONNECTION = "aws_default"
_S3 = ("s3", "s3a", "s3n")
_WITHOUT_FOLDERS = (*_S3, "gs", "gcs", "abfs", "abfss", "adl", "az", "oss")
"""Object stores: a key is all there is, and to make a folder may make a bucket."""
_ONE_SLASH = re.compile(r"[a-z][a-z0-9+.-]+:/(?!/)", re.IGNORECASE)


def path_problem(path: object) -> str | None:
    """What is wrong with a path, as far as that can be seen before anything is written; None if nothing is."""
    if not isinstance(path, str) or not path.strip():
        return f"path is {path!r}; it takes a folder: a local path, or a URL such as s3://bucket/reports."
    if _ONE_SLASH.match(path):
        return f"path is {path!r}, which has one slash after the colon; a URL has two, such as s3://bucket/reports."
    return None


def write_files(files: Mapping[str, bytes], path: str, *, conn_id: str | None = None) -> str:
    """Write files into a folder, which is made if it is not there. Files that are there are replaced whole.

    :param files: names and contents.
    :param path: a local folder, or a URL such as ``s3://bucket/reports``.
    :param conn_id: Airflow connection for the path (default: the one in the URL; for S3 ``aws_default``).
    :return: the folder.
    :raises InvalidSpotRequest: the path is empty, no text or half a URL, as a template can make it.
    :raises SpotTrainingError: it cannot be written there.
    """
    if problem := path_problem(path):
        raise InvalidSpotRequest([problem])
    try:
        folder = _folder(path, conn_id)
        for name, content in files.items():
            if folder.protocol == "file":
                _replace(Path(folder.path) / name, content)
            else:
                (folder / name).write_bytes(content)
    except Exception as error:
        raise SpotTrainingError(
            f"Files cannot be written to {path!r} ({type(error).__name__}: {error}). path takes a folder, which is made if it is not there: a local "
            "one, or a URL that fsspec can write, such as s3://bucket/reports. The worker, or the connection in the URL or in conn_id=, has to "
            "have the right to write there."
        ) from error
    return str(folder)


def _folder(path: str, conn_id: str | None) -> ObjectStoragePath:
    # Not as_uri(): fsspec takes a URL's path as it is, and %3A would be part of a folder's name.
    url = path if "://" in path else f"file://{Path(path).expanduser().absolute()}"
    parts = urlsplit(url)
    if conn_id is None and parts.scheme in _S3 and parts.username is None:
        conn_id = _DEFAULT_AWS_CONNECTION
    folder = ObjectStoragePath(url, conn_id=conn_id)
    if folder.protocol not in _WITHOUT_FOLDERS:
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _replace(file: Path, content: bytes) -> None:
    """Whoever reads the file meanwhile reads the old one or the new one, and never half of it."""
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as new:
        half = Path(new.name)
        try:
            new.write(content)
            new.flush()
            half.chmod(file.stat().st_mode & 0o777 if file.exists() else 0o644)
            half.replace(file)
        except BaseException:
            half.unlink()
            raise
