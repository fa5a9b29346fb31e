"""S3 prefixes as folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_spot_provider.emulator.exceptions import TrainingProblem
from airflow_spot_provider.emulator.instances.storage import S3Storage


class Objects:
    """An S3 client over a list of keys; each object holds its own key."""

    def __init__(self, *keys: str) -> None:
        self._keys = keys

    def get_paginator(self, _operation: str) -> Objects:
        return self

    def paginate(self, **arguments: str) -> Iterator[dict[str, Any]]:
        for key in self._keys:
            if key.startswith(arguments["Prefix"]):
                yield {"Contents": [{"Key": key}]}

    def download_file(self, _bucket: str, key: str, path: str, **_more: Any) -> None:
        Path(path).write_text(key)


@pytest.mark.parametrize(
    ("prefix", "paths"),
    [
        ("data/", {"a.csv", "deep/b.csv"}),
        ("data", {"a.csv", "deep/b.csv", "data-2/c.csv"}),
        ("data/a", {"a.csv"}),
        ("data/deep/b.csv", {"b.csv"}),
        ("", {"data/a.csv", "data/deep/b.csv", "data-2/c.csv"}),
        ("other", set()),
    ],
)
def test_prefix_becomes_a_folder(tmp_path: Path, prefix: str, paths: set[str]) -> None:
    storage = S3Storage(Objects("data/", "data/a.csv", "data/deep/b.csv", "data-2/c.csv"))
    assert storage.download_prefix(f"s3://bucket/{prefix}", tmp_path) == len(paths)
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == paths
    assert storage.holds(f"s3://bucket/{prefix}") is bool(paths)


@pytest.mark.parametrize("key", ["data/../../escaped", "data/deep/../../../escaped"])
def test_key_that_leads_out_of_the_folder_is_refused(tmp_path: Path, key: str) -> None:
    folder = tmp_path / "inside/folder"
    folder.mkdir(parents=True)
    with pytest.raises(TrainingProblem, match="leads out of s3://bucket/data/"):
        S3Storage(Objects(key)).download_prefix("s3://bucket/data/", folder)
    assert not list(tmp_path.rglob("escaped"))
