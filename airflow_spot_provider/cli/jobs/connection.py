"""How a command line reaches SageMaker: by an Airflow connection, or as the AWS CLI does."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

from airflow.models.connection import Connection
from airflow.providers.amazon.aws.utils.connection_wrapper import AwsConnectionWrapper

from airflow_spot_provider._compat.sdk import AirflowNotFoundException
from airflow_spot_provider.aws.errors import Backoff, code_of, is_expired_credentials, is_worth_a_retry
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook

PATIENCE_SECONDS = 60.0
"""Somebody sits in front of it."""
_DEFAULT = "aws_default"
_BRISK: dict[str, Any] = {"connect_timeout": 5, "read_timeout": 30, "retries": {"total_max_attempts": 1}}

_Answer = TypeVar("_Answer")


class NoConnection(Exception):
    """The connection that was asked for is not there; the message says so."""


class HookOfACommand(SageMakerSpotHook):
    """Waits for a minute while SageMaker throttles or cannot be reached, and says so; for credentials it does not wait.

    :param conn_id: Airflow connection; None for ``aws_default``, which need not be there.
    :param region: AWS region; None for the connection's, or boto3's.
    :param profile: AWS profile, instead of a connection.
    :param endpoint_url: another AWS, instead of a connection's.
    :param warn: is told, in a sentence, that it waits.
    """

    def __init__(
        self,
        *,
        conn_id: str | None,
        region: str | None,
        profile: str | None,
        endpoint_url: str | None,
        warn: Callable[[str], None],
    ) -> None:
        super().__init__(aws_conn_id=conn_id or _DEFAULT, region_name=region, config=_BRISK)
        self._may_be_missing = conn_id is None
        self._instead = {"profile_name": profile, "endpoint_url": endpoint_url}
        self._warn = warn

    @cached_property
    def conn_config(self) -> Any:
        """What the connection says.

        :raises NoConnection: there is none of that name.
        """
        return AwsConnectionWrapper(
            conn=self._connection(),
            region_name=self._region_name,
            botocore_config=self._config,
            verify=self._verify,
        )

    def patiently(self, call: Callable[[], _Answer], *, lagging: bool = False) -> _Answer:  # noqa: ARG002
        """Make a call, and repeat it for a minute while SageMaker cannot be asked.

        :raises Exception: what the call raised last.
        """
        backoff = Backoff(random.Random(), cap=8.0)
        started = time.monotonic()
        while True:
            try:
                return self.once(call)
            except Exception as error:
                in_vain = is_expired_credentials(error) or not is_worth_a_retry(error)
                if in_vain or time.monotonic() - started > PATIENCE_SECONDS:
                    raise
                delay = backoff.next_delay()
                self._warn(f"SageMaker cannot be asked just now ({code_of(error)}); again in {delay:.0f} s.")
            time.sleep(delay)

    def _connection(self) -> Connection | None:
        instead = {name: value for name, value in self._instead.items() if value is not None}
        if instead:
            return Connection(conn_id="of_this_command", conn_type="aws", extra=json.dumps(instead))
        try:
            return Connection.get_connection_from_secrets(str(self.aws_conn_id))
        except AirflowNotFoundException:
            if self._may_be_missing:
                return None
            raise NoConnection(
                f"There is no Airflow connection {self.aws_conn_id!r}: `airflow connections list` tells those there are (an "
                f"environment variable AIRFLOW_CONN_{str(self.aws_conn_id).upper()} makes one). Without --conn-id boto3's own "
                "configuration is used where there is no aws_default."
            ) from None
