"""Stop a job that nobody waits for any more, and say by name what could not be stopped."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from airflow_spot_provider.aws.errors import code_of, is_denied
from airflow_spot_provider.aws.kinds import Kind
from airflow_spot_provider.aws.ownership import stop_unless_taken_over
from airflow_spot_provider.aws.watch import Log
from airflow_spot_provider.hooks._in_haste import InHaste
from airflow_spot_provider.hooks._jobs import SageMakerJobs
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.operators._submission import Names, newest_job
from airflow_spot_provider.training import TaskIdentity

HASTE_SECONDS = 40.0
"""How long a killed worker tries to stop its job. Airflow 3.3's supervisor ends it five seconds after a user's kill (``kill`` of
``airflow.sdk.execution_time.supervisor``), Kubernetes 30 after a pod's."""
FIND = "`airflow-spot jobs --stop-orphans` finds and stops it"


def stop_in_haste(
    hook: SageMakerSpotHook,
    kind: Kind,
    job_name: str,
    *,
    try_number: int,
    task: TaskIdentity | None,
    log: Log,
) -> None:
    """Stop the job of a task whose worker is being killed, in seconds. It raises nothing: there is nobody to handle it.

    :param hook: whose connection it is.
    :param kind: of the job.
    :param job_name: its name; it may have been created a moment ago, or is just being created.
    :param try_number: the try that waited for it.
    :param task: whose job it has to be.
    :param log: the task's log. What is not stopped is said before it is tried again, as the process may be ended meanwhile.
    """
    said = False

    def _say(error: Exception, _delay: float) -> None:
        nonlocal said
        if not said:
            said = True
            log.warning(
                "%s is not stopped yet (%s: %s): it is tried again for %.0f s. If nothing more is said of it here, the worker was ended "
                "before, and the job may go on and bill: %s.%s",
                job_name,
                code_of(error),
                error,
                HASTE_SECONDS,
                FIND,
                _grant(kind, error),
            )

    jobs = SageMakerJobs(InHaste(hook, seconds=HASTE_SECONDS, say=_say), kind, created=job_name)
    try:
        stops = stop_unless_taken_over(jobs, job_name, try_number=try_number, task=task)
    except Exception as error:  # noqa: BLE001 - whatever it is, the job may go on, and somebody has to know
        log.warning("%s", _not_stopped(kind, job_name, error))
        return
    if stops:
        log.info("SageMaker is stopping %s.", job_name)
    else:
        log.info(
            "%s needs no stop: it has ended, was never created, or another try or task has it.", job_name
        )


def stop_waited_for(
    jobs: SageMakerJobs, names: Names, *, try_number: int, task: TaskIdentity, why: str, log: Log
) -> None:
    """Stop the newest job of a task that gives up waiting, patiently. That it cannot be stopped is said and not raised: the task fails
    for another reason, which is not to be hidden by this one.

    :param jobs: describes and stops them.
    :param names: what the task's jobs are called.
    :param try_number: the try that waited.
    :param task: whose job it has to be.
    :param why: nobody waits for it any more.
    :param log: the task's log.
    """
    name = names(1)
    try:
        newest = newest_job(jobs, names)
        if newest is None:
            return
        name = newest
        stops = stop_unless_taken_over(jobs, name, try_number=try_number, task=task)
    except (BotoCoreError, ClientError) as error:
        log.warning("%s: %s", why, _not_stopped(jobs.kind, name, error))
        return
    if stops:
        log.warning("%s: stopping %s, so that it bills no more.", why, name)


def _not_stopped(kind: Kind, job_name: str, error: Exception) -> str:
    """Say that a job could not be stopped, why, and what to do."""
    return f"{job_name} could not be stopped ({code_of(error)}: {error}) and may go on and bill: {FIND}.{_grant(kind, error)}"


def _grant(kind: Kind, error: Exception) -> str:
    if not is_denied(error):
        return ""
    return f" Grant sagemaker:Describe{kind.resource}, sagemaker:Stop{kind.resource}, sagemaker:ListTags and sagemaker:AddTags."
