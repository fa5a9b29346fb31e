"""The hook: patient calls to SageMaker, and the watcher's clients."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from socket import gethostname
from typing import Any, TypeVar, cast

from airflow.configuration import get_airflow_home
from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.providers.amazon.aws.hooks.logs import AwsLogsHook
from airflow.providers.amazon.aws.utils.connection_wrapper import AwsConnectionWrapper
from asgiref.sync import sync_to_async
from botocore.config import Config
from botocore.exceptions import ClientError

from airflow_spot_provider import __version__
from airflow_spot_provider._compat.sdk import conf
from airflow_spot_provider.aws.errors import Backoff, code_of, is_expired_credentials
from airflow_spot_provider.aws.kinds import Kind
from airflow_spot_provider.aws.lag import lag_seconds
from airflow_spot_provider.aws.patience import repeated
from airflow_spot_provider.aws.price_cache import PriceCache
from airflow_spot_provider.aws.prices import Prices, endpoint_region_of
from airflow_spot_provider.aws.training_log import MOST_CALLS, NewestLines, newest_lines
from airflow_spot_provider.aws.watching.events import checked_region, queue_of_host
from airflow_spot_provider.aws.watching.model import data_loader, keep_only, parse_timestamp
from airflow_spot_provider.hooks._jobs import SageMakerJobs
from airflow_spot_provider.hooks._logs import PatientLogs
from airflow_spot_provider.training import ConnectionNotFound, InvalidSpotRequest, Price, SpotTrainingError

PATIENCE_SECONDS = 600.0
"""How long a blocking call is repeated while SageMaker cannot be asked."""
LOG_PATIENCE_SECONDS = 60.0
"""How long reading a training log is tried again in all: what the job came to is known by then."""

_PROMPT: dict[str, Any] = {"connect_timeout": 10, "read_timeout": 20, "retries": {"total_max_attempts": 1}}

_BRIEF: dict[str, Any] = {"connect_timeout": 3, "read_timeout": 5, "retries": {"total_max_attempts": 2}}
"""What is nice to know is not waited for."""

_Answer = TypeVar("_Answer")


class SageMakerSpotHook(AwsBaseHook):
    """Talk to Amazon SageMaker about training jobs and tuning jobs.

    Blocking calls outlast throttling, 5xx answers, dropped connections and expired credentials for up to ten minutes,
    with capped exponential backoff and jitter.

    :param aws_conn_id: Airflow connection to take credentials, region, role and endpoint from.
    :param region_name: AWS region; None for the connection's.
    :param verify: whether to verify TLS certificates, or a path to a CA bundle.
    :param config: botocore client configuration, a ``botocore.config.Config`` or its keyword arguments.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "sagemaker"
        super().__init__(*args, **kwargs)
        self._jitter = random.Random()

    @cached_property
    def conn_config(self) -> AwsConnectionWrapper:
        """What the connection says.

        Amazon's own hooks go on without a connection that is not there, with whatever credentials boto3 finds on the host: another
        account's, it may be. That is documented of ``aws_default`` alone, and said loudly.

        :raises ConnectionNotFound: there is none of this id.
        """
        found: AwsConnectionWrapper = super().conn_config
        if not self.aws_conn_id or found:
            return found
        if self.aws_conn_id != self.default_conn_name:
            del self.__dict__["conn_config"]  # where super's has left it
            raise ConnectionNotFound(
                f"There is no Airflow connection {self.aws_conn_id!r} (aws_conn_id), and nothing has been submitted. Create it (`airflow "
                f"connections add {self.aws_conn_id} --conn-type aws`, a secrets backend, or the environment variable "
                f"AIRFLOW_CONN_{self.aws_conn_id.upper()}), correct the id, or pass aws_conn_id=None to use boto3's own credentials."
            )
        self.log.warning(
            "There is no Airflow connection %r: AWS is asked with the credentials that boto3 finds on this host (environment, ~/.aws, the "
            "instance's role), whosever account they are of. Create the connection, or pass aws_conn_id=None if that is what is wanted.",
            self.aws_conn_id,
        )
        return found

    def role_arn(self, role: str) -> str:
        """The ARN of a role that is given by its name, as Amazon's own operators take it too; an ARN as it is.

        :param role: such as ``training`` or ``service-role/training``.
        :raises InvalidSpotRequest: there is no such role in this account.
        :raises SpotTrainingError: IAM may not be asked.
        """
        if role.startswith("arn:"):
            return role
        name = role.rpartition("/")[2]
        try:
            return str(self.patiently(lambda: self.expand_role(name, region_name=self.region_name)))
        except ClientError as error:
            if code_of(error) == "NoSuchEntity":
                raise InvalidSpotRequest(
                    [
                        (
                            f"RoleArn is {role!r}, and IAM knows no role of that name in this account. Correct it, or give the role's ARN, "
                            "arn:aws:iam::<account>:role/<name>."
                        )
                    ]
                ) from None
            raise SpotTrainingError(
                f"RoleArn is {role!r}, the name of a role, and its ARN cannot be looked up ({code_of(error)}). Grant iam:GetRole, or give the "
                "ARN, arn:aws:iam::<account>:role/<name>. Nothing has been submitted."
            ) from error

    def jobs(self, kind: Kind) -> SageMakerJobs:
        """The jobs of one kind: to create, describe, stop and tag them.

        :param kind: ``TRAINING_JOBS`` or ``TUNING_JOBS`` of :mod:`airflow_spot_provider.aws.kinds`.
        """
        return SageMakerJobs(self, kind)

    def newest_log_lines(
        self,
        job_name: str,
        limit: int,
        *,
        patience: float = LOG_PATIENCE_SECONDS,
        most_calls: int = MOST_CALLS,
    ) -> tuple[list[str], bool]:
        """The newest lines of a job's training log in CloudWatch Logs, over all of its instances and starts.

        :param job_name: TrainingJobName.
        :param limit: how many lines at the most.
        :param patience: seconds for which AWS is asked again where it cannot answer just now, all calls together.
        :param most_calls: of GetLogEvents.
        :return: the lines, oldest first, and whether there are older ones. No lines if the job has not logged.
        """
        newest = self.newest_log_events(job_name, limit, patience=patience, most_calls=most_calls)
        return [text for _, text in newest.lines], newest.cut

    def newest_log_events(
        self,
        job_name: str,
        limit: int,
        *,
        patience: float = LOG_PATIENCE_SECONDS,
        most_calls: int = MOST_CALLS,
    ) -> NewestLines:
        """The newest lines of a job's training log, each with its time, and whether that is all of it.

        :param job_name: TrainingJobName.
        :param limit: how many lines at the most.
        :param patience: seconds for which AWS is asked again where it cannot answer just now, all calls together.
        :param most_calls: of GetLogEvents.
        :raises ClientError: AWS refuses, and nothing had been read.
        :raises BotoCoreError: AWS cannot be asked, and nothing had been read.
        """

        def _connect() -> Any:
            return AwsLogsHook(
                aws_conn_id=self.aws_conn_id,
                region_name=self._region_name,
                verify=self._verify,
                config=self._config,
            ).conn

        def _say(error: Exception, delay: float) -> None:
            self.log.warning(
                "CloudWatch Logs cannot be asked just now (%s); again in %.0f s.", code_of(error), delay
            )

        logs = PatientLogs(_connect, seconds=patience, say=_say, jitter=self._jitter)
        return newest_lines(logs.ask, job_name, limit, most_calls=most_calls)

    async def connect(self, service: str = "sagemaker") -> AbstractAsyncContextManager[Any]:
        """A new async client for the watcher, built in a thread: building one takes about 0.1 s of CPU.

        The watcher repeats what fails by itself, so the client does not, and it does not wait for a minute for an answer
        that does not come. What the connection or ``config`` say about that wins.
        """
        return cast("AbstractAsyncContextManager[Any]", await sync_to_async(self._async_client)(service))

    def events_queue(self) -> str | None:
        """The queue of this process with SageMaker's events: the connection's extra ``spot_events_queue``, or else the
        setting ``[airflow_spot] events_queue``; None to watch by polling alone.

        :raises ValueError: the queue cannot hold events of this region, or its name needs a number that this host's name
            does not end with.
        """
        setting = self.conn_config.extra_config.get("spot_events_queue") or conf.get(
            "airflow_spot", "events_queue", fallback=""
        )
        if not setting:
            return None
        return checked_region(queue_of_host(str(setting), gethostname()), self.conn_region_name)

    def price_of(self, instance_type: str | None) -> Price | None:
        """What an instance costs on demand in the connection's region; None if that is not known, or the setting
        ``[airflow_spot] prices`` is off.

        :param instance_type: such as ``ml.m5.xlarge``; None (instance groups of several types) has no price.
        """
        if instance_type is None or not self._asks_for_prices:
            return None
        region = self.conn_region_name
        endpoint_url = self.conn_config.get_service_endpoint_url(service_name="pricing")
        # The prices of a local SageMaker are not AWS's.
        whose = f"-{zlib.crc32(endpoint_url.encode()):08x}" if endpoint_url else ""
        given = conf.get("airflow_spot", "price_cache", fallback="")
        folder = Path(given).expanduser() if given else Path(get_airflow_home(), "airflow_spot", "prices")

        def _now() -> datetime:
            return datetime.now(UTC)

        def _client() -> Any:
            # Credentials come from where the job's came from: another region's STS may be out of reach.
            session: Any = self.get_session(region_name=region)
            there_are = session.get_available_regions("pricing", partition_name=self.conn_partition)
            where = endpoint_region_of(region, there_are)
            if where is None and endpoint_url is None:
                raise LookupError(f"{region} has none")
            return session.client(
                "pricing",
                region_name=where or region,
                endpoint_url=endpoint_url,
                config=self.config.merge(Config(**_BRIEF)),
                verify=self.verify,
            )

        prices = Prices(
            region,
            client=_client,
            cache=PriceCache(Path(folder, f"{region}{whose}.json"), now=_now),
            now=_now,
            asker=self.aws_conn_id or "",
        )
        return prices.of(instance_type)

    @property
    def _asks_for_prices(self) -> bool:
        """A setting that cannot be read is told, and fails nobody's task: its training has ended by now."""
        setting = str(conf.get("airflow_spot", "prices", fallback="True")).strip().lower()
        if setting not in ("true", "t", "1", "false", "f", "0"):
            self.log.warning(
                "[airflow_spot] prices is %r; it takes True or False. No price is asked for.", setting
            )
        return setting in ("true", "t", "1")

    def _async_client(self, service: str) -> Any:
        # Not _get_config(): it looks through all modules for the operator that calls, for a user agent. A watcher has none.
        config = Config(**_PROMPT, user_agent_extra=f"airflow-spot-provider/{__version__}").merge(self.config)
        session: Any = self.get_session(region_name=self.region_name, deferrable=True)
        loader = data_loader()
        if service == "s3":
            # Listing, and what the client itself asks about a bucket of another region: the whole model takes megabytes.
            keep_only(loader, service, {"ListObjectsV2", "HeadBucket"})
        session.register_component("data_loader", loader)
        parsers = session.get_component("response_parser_factory")
        parsers.set_parser_defaults(timestamp_parser=parse_timestamp)
        return session.create_client(
            service,
            endpoint_url=self.conn_config.get_service_endpoint_url(service_name=service),
            config=config,
            verify=self.verify,
        )

    def once(self, call: Callable[[], _Answer]) -> _Answer:
        """Make a call; if credentials have expired, the next one is made with a new client."""
        try:
            return call()
        except Exception as error:
            if is_expired_credentials(error):
                for cached in ("conn", "conn_config"):
                    self.__dict__.pop(cached, None)
            raise

    def patiently(self, call: Callable[[], _Answer], *, lagging: bool = False) -> _Answer:
        """Make a call, and repeat it for up to ten minutes while SageMaker cannot be asked.

        :param lagging: what is asked about is known to exist and may be new, so that "not found" and "denied" are repeated as well, for
            as long as they may be only a lag.
        :raises Exception: what the call raised last.
        """

        def _say(error: Exception, delay: float) -> None:
            what = (
                "knows little of a new job" if lagging and lag_seconds(error) else "cannot be asked just now"
            )
            self.log.warning("SageMaker %s (%s); again in %.0f s.", what, code_of(error), delay)

        return repeated(
            lambda: self.once(call),
            seconds=PATIENCE_SECONDS,
            backoff=Backoff(self._jitter),
            lagging=lagging,
            say=_say,
        )
