"""Reports go to any folder that fsspec writes: all files are made first, and then written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from airflow.sdk import ObjectStoragePath

from airflow_spot_provider.reports.page import as_html
from airflow_spot_provider.reports.tables import as_csv, as_markdown, as_parquet
from airflow_spot_provider.training import InvalidSpotRequest
from airflow_spot_provider.training.report import Run

FORMATS = {
    "html": "report.html",
    "markdown": "report.md",
    "csv": "trainings.csv",
    "parquet": "trainings.parquet",
    "json": "report.json",
}
"""What there is, and what the files are called."""


def checked_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """The formats, if all of them can be written.

    :raises InvalidSpotRequest: one is unknown, or takes a package that is not installed.
    """
    given = (formats,) if isinstance(formats, str) else tuple(formats)
    unknown = [each for each in given if each not in FORMATS]
    if unknown:
        raise InvalidSpotRequest([f"formats names {unknown}; it takes some of {list(FORMATS)}."])
    if "parquet" in given and find_spec("pyarrow") is None:
        raise InvalidSpotRequest(
            [
                (
                    "formats names 'parquet', which takes pyarrow where DAGs are parsed and where tasks run: "
                    "pip install 'airflow-spot-provider[reports]'; or leave it out."
                )
            ]
        )
    return given


def write(
    report: Mapping[str, Any],
    runs: Sequence[Run],
    path: str,
    *,
    formats: Sequence[str],
    title: str,
    conn_id: str | None = None,
) -> list[str]:
    """Write a report's files.

    :param path: a folder: a local one, or a URL such as ``s3://bucket/reports``.
    :param formats: some of :data:`FORMATS`.
    :param title: the heading.
    :param conn_id: Airflow connection for the path.
    :return: where the files are.
    """
    makers = {
        "html": lambda: as_html(report, runs, title=title),
        "markdown": lambda: as_markdown(report, runs, title=title),
        "csv": lambda: as_csv(runs),
        "parquet": lambda: as_parquet(runs),
        "json": lambda: json.dumps(report, indent=2).encode(),
    }
    contents = {FORMATS[each]: makers[each]() for each in formats}
    url = path if "://" in path else Path(path).absolute().as_uri()
    if url.startswith(("s3://", "s3a://")) and conn_id is None and "@" not in url.split("/")[2]:
        conn_id = "aws_default"
    folder = ObjectStoragePath(url, conn_id=conn_id)
    if folder.protocol == "file":
        folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        written.append(str(folder / name))
    return written
