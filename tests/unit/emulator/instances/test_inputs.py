"""Which objects of a channel each host gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_spot_provider.emulator.exceptions import TrainingProblem
from airflow_spot_provider.emulator.instances.inputs import Channel


def _channel(uri: str, *, host: int = 0, hosts: int = 1, mode: str = "File", **members: Any) -> Channel:
    source = {"S3Uri": uri, **members.pop("source", {})}
    request = {"ChannelName": "train", "DataSource": {"S3DataSource": source}, **members}
    return Channel(request, mode, host_number=host, host_count=hosts)


@pytest.fixture
def data(storage: Any) -> Any:
    """Six objects under s3://bucket/data."""
    for number in range(6):
        storage.write(f"s3://bucket/data/{number}", str(number).encode())
    return storage


def _downloaded(channel: Channel, storage: Any, folder: Path) -> list[str]:
    channel.download(storage, folder, "us-east-1")
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_shards_are_apart_and_together_the_whole(data: Any, tmp_path: Path) -> None:
    shards = [
        _downloaded(
            _channel(
                "s3://bucket/data", host=host, hosts=4, source={"S3DataDistributionType": "ShardedByS3Key"}
            ),
            data,
            tmp_path / str(host),
        )
        for host in range(4)
    ]
    assert shards == [["0", "4"], ["1", "5"], ["2"], ["3"]]
    replicated = _channel("s3://bucket/data", host=1, hosts=2)
    assert len(_downloaded(replicated, data, tmp_path / "all")) == 6


def test_shuffle_is_another_in_each_epoch_and_the_same_for_the_same_seed(data: Any) -> None:
    def _order(seed: int, epoch: int) -> bytes:
        channel = _channel("s3://bucket/data", ShuffleConfig={"Seed": seed})
        return b"".join(channel.stream(data, "us-east-1", epoch))

    assert sorted(_order(1, 0)) == sorted(b"012345")
    assert _order(1, 0) == _order(1, 0)
    assert len({_order(1, epoch) for epoch in range(5)}) > 1


@pytest.mark.parametrize(
    "manifest", ["{", "{}", "[]", '["a"]', '[{"prefix": 1}, "a"]', '[{"prefix": "s3://bucket/"}, 1]']
)
def test_manifest_that_is_none_fails_the_job_with_its_name(data: Any, tmp_path: Path, manifest: str) -> None:
    data.write("s3://bucket/manifest", manifest.encode())
    channel = _channel("s3://bucket/manifest", source={"S3DataType": "ManifestFile"})
    with pytest.raises(TrainingProblem, match="s3://bucket/manifest is no"):
        channel.download(data, tmp_path, "us-east-1")


def test_augmented_manifest_takes_a_pipe(data: Any, tmp_path: Path) -> None:
    source = {"S3DataType": "AugmentedManifestFile", "AttributeNames": ["a"]}
    with pytest.raises(TrainingProblem, match="takes the input mode Pipe; it is File"):
        _channel("s3://bucket/data", source=source).download(data, tmp_path, "us-east-1")
    data.write("s3://bucket/lines", json.dumps({"b": 1}).encode())
    with pytest.raises(TrainingProblem, match="has no attribute 'a'"):
        list(_channel("s3://bucket/lines", source=source).stream(data, "us-east-1", 0))


def test_channel_from_elsewhere_than_s3_is_refused() -> None:
    with pytest.raises(TrainingProblem, match="has no S3DataSource"):
        Channel({"ChannelName": "train", "DataSource": {"FileSystemDataSource": {}}}, "File")


def test_channel_s_own_input_mode_wins() -> None:
    assert _channel("s3://bucket/a", InputMode="FastFile").mode == "FastFile"
    assert _channel("s3://bucket/a", mode="Pipe").mode == "Pipe"
