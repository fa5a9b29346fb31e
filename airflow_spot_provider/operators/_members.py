"""Members of a mapped task: each has checkpoints of its own, as what another has written is not its to go on from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def reads_map_index(checkpoint_s3_uri: object, config: object) -> bool:
    """Whether the template of the checkpoint prefix tells members apart by itself.

    :param checkpoint_s3_uri: the operator's argument, before it is rendered.
    :param config: the operator's, before it is rendered.
    """
    if checkpoint_s3_uri is None and isinstance(config, Mapping):
        checkpoints = config.get("CheckpointConfig")
        checkpoint_s3_uri = checkpoints.get("S3Uri") if isinstance(checkpoints, Mapping) else None
    return isinstance(checkpoint_s3_uri, str) and "map_index" in checkpoint_s3_uri


def with_own_checkpoints(request: dict[str, Any], member: int | str) -> dict[str, Any]:
    """The request of one member, with ``/<member>`` added to its checkpoint prefix, if it has one.

    :param member: the map index, or what else tells members apart.
    """
    checkpoints = request.get("CheckpointConfig")
    if not checkpoints or "S3Uri" not in checkpoints:
        return request
    own = f"{checkpoints['S3Uri'].rstrip('/')}/{member}"
    return {**request, "CheckpointConfig": {**checkpoints, "S3Uri": own}}
