"""The input channels of a job: which objects each host gets, as files or through a pipe.

Source: `DataSource <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html>`_ and `Channel
<https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Channel.html>`_.
"""

from __future__ import annotations

import gzip
import json
import random
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_spot_provider.emulator.exceptions import TrainingProblem
from airflow_spot_provider.emulator.instances.storage import Storage

_RECORD_MAGIC = 0xCED7230A
"""What each record of the RecordIO format begins with."""


@dataclass(frozen=True)
class Entry:
    """One object of a channel.

    :param uri: where it is on S3.
    :param path: where it goes below the channel's folder.
    """

    uri: str
    path: str


class Channel:
    """One input channel, as one host sees it.

    :param request: an entry of InputDataConfig.
    :param input_mode: the algorithm's TrainingInputMode, which the channel may override.
    :param host_number: of the host, from 0.
    :param host_count: how many there are.
    :raises TrainingProblem: its data is elsewhere than on S3.
    """

    def __init__(
        self, request: Mapping[str, Any], input_mode: str, *, host_number: int = 0, host_count: int = 1
    ) -> None:
        source = (request.get("DataSource") or {}).get("S3DataSource")
        self.name = str(request["ChannelName"])
        if source is None:
            raise TrainingProblem(
                f"ClientError: Channel {self.name} has no S3DataSource, and only that is emulated."
            )
        self.uri = str(source["S3Uri"])
        self.mode = str(request.get("InputMode") or input_mode)
        self._kind = str(source.get("S3DataType") or "S3Prefix")
        self._attributes: Sequence[str] = source.get("AttributeNames") or ()
        self._sharded = source.get("S3DataDistributionType") == "ShardedByS3Key"
        self._host_number, self._host_count = host_number, host_count
        self._gzip = request.get("CompressionType") == "Gzip"
        self._record_io = request.get("RecordWrapperType") == "RecordIO"
        self._seed: int | None = (request.get("ShuffleConfig") or {}).get("Seed")
        self.config = {
            "TrainingInputMode": self.mode,
            "S3DistributionType": "ShardedByS3Key" if self._sharded else "FullyReplicated",
            "RecordWrapperType": "RecordIO" if self._record_io else "None",
            **({"ContentType": request["ContentType"]} if request.get("ContentType") else {}),
        }

    def is_there(self, storage: Storage) -> bool:
        """Whether there is anything in it."""
        return storage.holds(self.uri)

    def download(self, storage: Storage, folder: Path, region: str) -> None:
        """Download what this host gets.

        :raises TrainingProblem: there is nothing, or a name leads out of the folder.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for entry in self._entries(storage, region):
            target = (folder / entry.path).resolve()
            if not target.is_relative_to(folder.resolve()):
                raise TrainingProblem(f"ClientError: The S3 object {entry.uri} leads out of {self.uri}")
            target.parent.mkdir(parents=True, exist_ok=True)
            storage.download_file(entry.uri, target)

    def stream(self, storage: Storage, region: str, epoch: int) -> Iterator[bytes]:
        """What this host's pipe gives in one epoch.

        :raises TrainingProblem: there is nothing.
        """
        if self._kind == "AugmentedManifestFile":
            records = self._augmented(storage)
        else:
            records = (storage.read(entry.uri) for entry in self._entries(storage, region, epoch))
        for record in records:
            content = gzip.decompress(record) if self._gzip else record
            yield _framed(content) if self._record_io else content

    def _entries(self, storage: Storage, region: str, epoch: int = 0) -> list[Entry]:
        """The objects of this host, in their order."""
        match self._kind:
            case "S3Prefix":
                entries = [Entry(uri, path) for uri, path in storage.entries(self.uri)]
            case "ManifestFile":
                entries = list(self._manifest(storage))
            case _:
                raise TrainingProblem(
                    f"ClientError: Channel {self.name} is an {self._kind}, which takes the input mode Pipe; "
                    f"it is {self.mode}."
                )
        if not entries:
            raise missing_input(self.name, self.uri, region)
        if self._seed is not None:
            random.Random(f"{self._seed}/{epoch}").shuffle(entries)
        return entries[self._host_number :: self._host_count] if self._sharded else entries

    def _manifest(self, storage: Storage) -> Iterator[Entry]:
        content = self._json(storage.read(self.uri))
        match content:
            case [{"prefix": str(prefix)}, *rest] if all(isinstance(path, str) for path in rest):
                for path in rest:
                    yield Entry(f"{prefix}{path}", str(path))
            case _:
                raise TrainingProblem(
                    f"ClientError: The manifest {self.uri} is no list of a prefix and the paths below it: "
                    '[{"prefix": "s3://..."}, "path", ...]'
                )

    def _augmented(self, storage: Storage) -> Iterator[bytes]:
        """Each line of an augmented manifest: its attributes one after the other, those that are references by what they name."""
        lines = [self._json(line) for line in storage.read(self.uri).splitlines() if line.strip()]
        mine = lines[self._host_number :: self._host_count] if self._sharded else lines
        for line in mine:
            for attribute in self._attributes:
                if not isinstance(line, dict) or attribute not in line:
                    raise TrainingProblem(
                        f"ClientError: A line of {self.uri} has no attribute {attribute!r}, which AttributeNames lists."
                    )
                value = line[attribute]
                if attribute.endswith("-ref"):
                    yield storage.read(str(value))
                else:
                    yield (value if isinstance(value, str) else json.dumps(value)).encode()

    def _json(self, content: bytes) -> Any:
        try:
            return json.loads(content)
        except ValueError as error:
            raise TrainingProblem(f"ClientError: {self.uri} is no JSON: {error}") from error


def _framed(content: bytes) -> bytes:
    """A record of the RecordIO format: magic number, length, content, and what is missing to a multiple of four."""
    return struct.pack("<II", _RECORD_MAGIC, len(content)) + content + b"\0" * (-len(content) % 4)


def missing_input(name: str, uri: str, region: str) -> TrainingProblem:
    """What SageMaker says to a channel under whose prefix there is nothing."""
    return TrainingProblem(
        f'ClientError: Data download failed: No S3 objects found under S3 URL "{uri}" given in input '
        f"data source of channel {name}. Please ensure that the bucket exists in the selected region "
        f"({region}), that objects exist under that S3 prefix, and that the role has s3:ListBucket on it."
    )
