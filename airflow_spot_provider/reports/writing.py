"""Reports go to any folder that fsspec writes: all files are made first, and then written."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from airflow.sdk import ObjectStoragePath

from airflow_spot_provider.reports.page import as_html
from airflow_spot_provider.reports.tables import as_csv, as_markdown, as_parquet
from airflow_spot_provider.training import InvalidSpotRequest, SpotTrainingError
from airflow_spot_provider.training.reported import Run

FORMATS = {
    "html": "report.html",
    "markdown": "report.md",
    "csv": "trainings.csv",
    "parquet": "trainings.parquet",
    "json": "report.json",
}
"""What there is, and what the files are called."""
_DEFAULT_AWS_CONNECTION = "aws_default"
_S3 = ("s3", "s3a", "s3n")
_WITHOUT_FOLDERS = (*_S3, "gs", "gcs", "abfs", "abfss", "adl", "az", "oss")
"""Object stores: a key is all there is, and to make a folder may make a bucket."""


def checked_formats(formats: Collection[str]) -> tuple[str, ...]:
    """The formats, if all of them can be written.

    :raises InvalidSpotRequest: they are none, one is unknown, or takes a package that is not installed.
    """
    known = list(FORMATS)
    if not isinstance(formats, Collection):
        raise InvalidSpotRequest([f"formats is {formats!r}; it takes some of {known}."])
    given = [formats] if isinstance(formats, str) else list(formats)
    unknown = [each for each in given if each not in known]
    if unknown:
        raise InvalidSpotRequest([f"formats names {unknown}; it takes some of {known}."])
    if "parquet" in given and find_spec("pyarrow") is None:
        raise InvalidSpotRequest(
            [
                (
                    "formats names 'parquet', which takes pyarrow where DAGs are parsed and where tasks run: "
                    "pip install 'airflow-spot-provider[reports]'; or leave it out."
                )
            ]
        )
    return tuple(dict.fromkeys(given))


def file_names(formats: Sequence[str]) -> list[str]:
    """What the files of some formats are called."""
    return [FORMATS[each] for each in formats]


def write(
    report: Mapping[str, Any],
    runs: Sequence[Run],
    path: str,
    *,
    formats: Sequence[str],
    title: str,
    conn_id: str | None = None,
) -> str:
    """Write a report's files: all are made before any is written, and those that are there are replaced whole.

    :param path: a folder: a local one, or a URL such as ``s3://bucket/reports``.
    :param formats: some of :data:`FORMATS`.
    :param title: the heading.
    :param conn_id: Airflow connection for the path (default: the one in the URL; for S3 ``aws_default``).
    :return: the folder.
    :raises InvalidSpotRequest: the path is empty or no text, as a template can make it.
    :raises SpotTrainingError: it cannot be written there.
    """
    if not isinstance(path, str) or not path.strip():
        raise InvalidSpotRequest(
            [
                f"path is {path!r} once its template is rendered; it takes a folder, such as s3://bucket/reports."
            ]
        )
    makers = {
        "html": lambda: as_html(report, title=title),
        "markdown": lambda: as_markdown(report, title=title),
        "csv": lambda: as_csv(runs),
        "parquet": lambda: as_parquet(runs),
        "json": lambda: json.dumps(report, indent=2).encode(),
    }
    contents = {FORMATS[each]: makers[each]() for each in formats}
    try:
        folder = _folder(path, conn_id)
        for name, content in contents.items():
            if folder.protocol == "file":
                _replace(Path(folder.path) / name, content)
            else:
                (folder / name).write_bytes(content)
    except Exception as error:
        raise SpotTrainingError(
            f"The report's files cannot be written to {path!r} ({type(error).__name__}: {error}). path takes a folder, which is made if it is not "
            "there: a local one, or a URL that fsspec can write, such as s3://bucket/reports. The worker, or the connection in the URL or in "
            "conn_id=, has to have the right to write there. The XCom is published."
        ) from error
    return str(folder)


def _folder(path: str, conn_id: str | None) -> ObjectStoragePath:
    # Not as_uri(): fsspec takes a URL's path as it is, and %3A would be part of a folder's name.
    url = path if "://" in path else f"file://{Path(path).expanduser().absolute()}"
    folder = ObjectStoragePath(url, conn_id=conn_id)
    if folder.protocol in _S3 and folder.conn_id is None:
        folder = ObjectStoragePath(url, conn_id=_DEFAULT_AWS_CONNECTION)
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
