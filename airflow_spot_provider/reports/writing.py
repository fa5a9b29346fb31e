"""Reports go to any folder that fsspec writes: all files are made first, and then written."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from airflow_spot_provider.hooks._folders import write_files
from airflow_spot_provider.reports.page import as_html
from airflow_spot_provider.reports.tables import as_csv, as_markdown, as_parquet
from airflow_spot_provider.training import InvalidSpotRequest
from airflow_spot_provider.training.reported import Run

FORMATS = {
    "html": "report.html",
    "markdown": "report.md",
    "csv": "trainings.csv",
    "parquet": "trainings.parquet",
    "json": "report.json",
}
"""What there is, and what the files are called."""


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
    makers = {
        "html": lambda: as_html(report, title=title),
        "markdown": lambda: as_markdown(report, title=title),
        "csv": lambda: as_csv(runs),
        "parquet": lambda: as_parquet(runs),
        "json": lambda: json.dumps(report, indent=2).encode(),
    }
    contents = {FORMATS[each]: makers[each]() for each in formats}
    return write_files(contents, path, conn_id=conn_id)
