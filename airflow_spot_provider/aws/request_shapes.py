"""The types of the requests that create jobs, from botocore's model of SageMaker's API."""

from __future__ import annotations

from functools import cache
from typing import Any

from botocore.loaders import Loader, create_loader

from airflow_spot_provider.aws.kinds import TRAINING_JOBS, TUNING_JOBS, Kind
from airflow_spot_provider.aws.watching.model import keep_only
from airflow_spot_provider.training.shapes import Shape


def shape_of(kind: Kind) -> Shape:
    """The type of a Create operation's request.

    The model is a file of botocore's, read when it is first asked for: it takes some 60 ms of CPU once in a process, which is little
    beside importing Airflow's Amazon provider, and no network.

    :param kind: of the job that it creates.
    """
    model = _model()
    return Shape(model["operations"][f"Create{kind.resource}"]["input"]["shape"], model["shapes"])


@cache
def _model() -> Any:
    loader: Loader = create_loader()
    # The whole of the model takes ten megabytes.
    keep_only(loader, "sagemaker", {f"Create{kind.resource}" for kind in (TRAINING_JOBS, TUNING_JOBS)})
    return loader.load_service_model("sagemaker", "service-2")
