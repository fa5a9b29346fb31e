"""What SageMaker refuses in a training request, and what would do harm on spot, in sentences for the person who wrote it.

Sources: `CreateTrainingJob
<https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html>`_, `StoppingCondition
<https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StoppingCondition.html>`_ and `Managed Spot Training
<https://docs.aws.amazon.com/sagemaker/latest/dg/model-managed-spot-training.html>`_.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from airflow_spot_provider.training.exceptions import InvalidSpotRequest
from airflow_spot_provider.training.free_text import as_free_text
from airflow_spot_provider.training.naming import checked_job_name

Known = Callable[[object], bool]
"""Tells whether a value can be looked at already: a template cannot, before it is rendered."""

NOT_KNOWN = object()
"""Stands for a member that cannot be looked at yet."""

MEMBERS_WITH_FIELDS = ("CheckpointConfig", "OutputDataConfig", "ResourceConfig", "StoppingCondition")
"""The members that these rules look into."""

_TUNING_RESOURCES = "HyperParameterTuningResourceConfig"
"""What a tuning job's definition may have instead of a ResourceConfig."""

MAX_HYPERPARAMETERS = 100
MAX_TAGS = 50
"""SageMaker's limit on the tags of a job."""
OWN_TAGS = 3
"""Tags that a job cannot do without: whose it is, which try waits for it, and that its result was published."""
DEFAULT_MAX_RUNTIME_SECONDS = 86_400
"""What SageMaker takes for MaxRuntimeInSeconds when it is left out."""
MAX_WAIT_WITHOUT_CHECKPOINTING_SECONDS = 3_600
"""SageMaker's limit on MaxWaitTimeInSeconds for built-in algorithms that do not checkpoint."""
UNCHECKPOINTED_RUNTIME_SECONDS = 3_600
"""A longer MaxRuntime without checkpoints has to be insisted on."""

NON_CHECKPOINTING_ALGORITHMS = frozenset(
    {
        "blazingtext",
        "factorization-machines",
        "forecasting-deepar",
        "ipinsights",
        "kmeans",
        "knn",
        "lda",
        "linear-learner",
        "ntm",
        "object2vec",
        "pca",
        "randomcutforest",
        "seq2seq",
        "xgboost",
    }
)
"""Image names of SageMaker's built-in algorithms that do not checkpoint (``xgboost`` is the first-generation image;
``sagemaker-xgboost``, ``image-classification``, ``object-detection`` and ``semantic-segmentation`` do)."""

_ROLE = re.compile(r"arn:.+|[\w+=,.@/-]{1,512}")
"""An ARN (SageMaker looks at it more closely), or the name of a role as IAM takes them, with its path."""
_ECR_IMAGE = re.compile(r"\d{12}\.dkr\.ecr\.[^/]+/(?:[^/]+/)*(?P<name>[^/:@]+)(?:[:@].*)?")


def general_problems(request: Mapping[str, Any], known: Known) -> Iterator[str]:
    """What SageMaker would refuse, spot or not."""
    name = member_of(request, "TrainingJobName", known=known)
    if is_given(name):
        try:
            checked_job_name(name)
        except InvalidSpotRequest as error:
            yield from error.problems
    for member in MEMBERS_WITH_FIELDS:
        holder = member_of(request, member, known=known)
        if is_given(holder) and not isinstance(holder, Mapping):
            yield f"{member} is of type {type(holder).__name__}; it takes a dict, as CreateTrainingJob does."
    for path in (("RoleArn",), ("OutputDataConfig", "S3OutputPath"), ("StoppingCondition",)):
        if member_of(request, *path, known=known) is None:
            yield f"{'.'.join(path)} is missing from config; CreateTrainingJob requires it."
    yield from _choice_problems(request, known)
    output = member_of(request, "OutputDataConfig", "S3OutputPath", known=known)
    if is_given(output) and not re.match(r"(s3|https)://[^/]+", str(output)):
        yield f"OutputDataConfig.S3OutputPath is {output!r}; it takes s3://bucket/prefix."
    role = member_of(request, "RoleArn", known=known)
    if is_given(role) and not (isinstance(role, str) and _ROLE.fullmatch(role)):
        yield f"RoleArn is {role!r}; it takes a role's ARN, arn:aws:iam::<account>:role/<name>, or its name."
    checkpoint = member_of(request, "CheckpointConfig", "S3Uri", known=known)
    if is_given(checkpoint) and not re.match(r"s3://[^/]+", str(checkpoint)):
        yield f"The checkpoint URI is {checkpoint!r}; it takes s3://bucket/prefix (CheckpointConfig.S3Uri)."
    for field in ("MaxRuntimeInSeconds", "MaxWaitTimeInSeconds"):
        seconds = member_of(request, "StoppingCondition", field, known=known)
        if is_given(seconds) and (type(seconds) is not int or seconds < 1):
            yield f"StoppingCondition.{field} is {seconds!r}; it takes a whole number of seconds (int), 1 or more."
    yield from tag_problems(request, known)
    yield from _hyperparameter_problems(member_of(request, "HyperParameters", known=known), known)


def _choice_problems(request: Mapping[str, Any], known: Known) -> Iterator[str]:
    """Members of which SageMaker wants one or another."""
    if "ServerlessJobConfig" not in request:
        for member, instead in (("AlgorithmSpecification", ""), ("ResourceConfig", _TUNING_RESOURCES)):
            if all(member_of(request, each, known=known) is None for each in (member, instead)):
                yield f"{member} is missing from config; CreateTrainingJob requires it."
    if isinstance(member_of(request, "AlgorithmSpecification", known=known), Mapping):
        image, name = (
            member_of(request, "AlgorithmSpecification", each, known=known)
            for each in ("TrainingImage", "AlgorithmName")
        )
        if name is None and (image is None or (isinstance(image, str) and not image)):
            yield "AlgorithmSpecification has neither TrainingImage nor AlgorithmName; it takes one of them. Give the image."
        elif image is not None and name is not None:
            yield "AlgorithmSpecification has both TrainingImage and AlgorithmName; it takes one of them. Take the other out."
    if isinstance(member_of(request, "ResourceConfig", known=known), Mapping):
        instances = {
            each: member_of(request, "ResourceConfig", each, known=known)
            for each in ("InstanceType", "InstanceCount", "InstanceGroups", "InstancePreferences")
        }
        missing = [each for each in ("InstanceType", "InstanceCount") if instances[each] is None]
        if missing and instances["InstanceGroups"] is None and instances["InstancePreferences"] is None:
            yield f"ResourceConfig has no {' and no '.join(missing)}; it takes both, or InstanceGroups. Give what is missing."


def _hyperparameter_problems(parameters: object, known: Known) -> Iterator[str]:
    """Names are told, values never: they may be secrets."""
    if not is_given(parameters):
        return
    if not isinstance(parameters, Mapping):
        yield f"HyperParameters is of type {type(parameters).__name__}; it takes a dict of names to values."
        return
    if len(parameters) > MAX_HYPERPARAMETERS:
        yield f"There are {len(parameters)} hyperparameters; SageMaker takes at most {MAX_HYPERPARAMETERS}."
    for name, value in parameters.items():
        if not isinstance(name, str):
            yield f"The hyperparameter name {name!r} is of type {type(name).__name__}; names are strings."
        elif value is not None and known(value) and not isinstance(as_free_text(value), str):
            yield (
                f"Hyperparameter {name!r} is of type {type(value).__name__}; it takes text, or a number, True, False, list or dict "
                "that is written as text. Write it as the text that the training script reads, or leave it out."
            )


def tag_problems(request: Mapping[str, Any], known: Known) -> Iterator[str]:
    """Tags that SageMaker would refuse, together with the provider's own."""
    tags = member_of(request, "Tags", known=known)
    if not isinstance(tags, list):
        return
    most = MAX_TAGS - OWN_TAGS
    if len(tags) > most:
        yield (
            f"There are {len(tags)} Tags; SageMaker takes at most {MAX_TAGS} on a job, of which this provider needs {OWN_TAGS} (whose "
            f"the job is, which try waits for it, and that its result was published): {most} are left. Take "
            f"{len(tags) - most} out of config."
        )
    keys = [member_of(tag, "Key", known=known) for tag in tags if isinstance(tag, Mapping)]
    counted = Counter(key for key in keys if isinstance(key, str))
    if twice := [key for key, count in counted.items() if count > 1]:
        yield f"Tags have the keys {twice} more than once; SageMaker takes each key once. Leave one of each."


def spot_conflicts(request: Mapping[str, Any], known: Known) -> Iterator[str]:
    """Members that contradict managed spot training."""
    enabled = member_of(request, "EnableManagedSpotTraining", known=known)
    if is_given(enabled) and not isinstance(enabled, bool):
        yield flag_of_another_type(enabled)
    elif enabled is False:
        yield (
            f"EnableManagedSpotTraining is {enabled!r} in config, and this operator trains on spot; "
            "take it out of config, or pass managed_spot=False to train on demand."
        )
    for member, what in (
        ("KeepAlivePeriodInSeconds", "a warm pool"),
        ("InstancePreferences", "SageMaker's own list of instance types"),
    ):
        if is_given(member_of(request, "ResourceConfig", member, known=known)):
            yield (
                f"ResourceConfig.{member} ({what}) is given, and SageMaker does not take it together with "
                "managed spot training; take it out of config, or pass managed_spot=False."
            )


def flag_of_another_type(enabled: object) -> str:
    """What EnableManagedSpotTraining is when it is neither True nor False."""
    return (
        f"EnableManagedSpotTraining is {enabled!r}, of type {type(enabled).__name__}; it takes True or False. Write it so, or take it out "
        "of config: managed_spot says whether to train on spot."
    )


def wait_problems(
    request: Mapping[str, Any], known: Known, algorithm_checkpoints: bool | None
) -> Iterator[str]:
    """The rules on MaxWaitTimeInSeconds."""
    max_wait = member_of(request, "StoppingCondition", "MaxWaitTimeInSeconds", known=known)
    if max_wait is None:
        yield (
            "There is no MaxWait, and managed spot training requires it: pass max_wait=<seconds or timedelta>, or "
            "StoppingCondition.MaxWaitTimeInSeconds in config. It is the time for waiting plus running."
        )
        return
    max_runtime, told = _max_runtime(request, known)
    if type(max_wait) is not int:
        return
    if type(max_runtime) is int and max_wait < max_runtime:
        yield (
            f"MaxWaitTimeInSeconds is {max_wait} and MaxRuntimeInSeconds {told}; MaxWait covers waiting plus "
            "running, so it has to be equal to or greater than MaxRuntime. Raise max_wait or lower MaxRuntime."
        )
    image = member_of(request, "AlgorithmSpecification", "TrainingImage", known=known)
    if algorithm_checkpoints is None:
        algorithm_checkpoints = _built_in_algorithm(image) not in NON_CHECKPOINTING_ALGORITHMS
    if not algorithm_checkpoints and max_wait > MAX_WAIT_WITHOUT_CHECKPOINTING_SECONDS:
        yield (
            f"MaxWaitTimeInSeconds is {max_wait}, and {_built_in_algorithm(image) or 'this algorithm'} does not "
            f"checkpoint: SageMaker allows such algorithms at most {MAX_WAIT_WITHOUT_CHECKPOINTING_SECONDS} seconds. "
            "Lower max_wait, or pass algorithm_checkpoints=True if this image does checkpoint."
        )


def checkpoint_problems(request: Mapping[str, Any], known: Known) -> Iterator[str]:
    """A long spot job without checkpoints may never finish, and bills for every start from scratch."""
    max_runtime, told = _max_runtime(request, known)
    no_checkpoint = member_of(request, "CheckpointConfig", "S3Uri", known=known) is None
    if no_checkpoint and type(max_runtime) is int and max_runtime > UNCHECKPOINTED_RUNTIME_SECONDS:
        yield (
            f"MaxRuntimeInSeconds is {told} and there is no checkpoint URI: every interruption would start the "
            f"training from scratch, so one just before the end costs up to {max_runtime // 3600}h{max_runtime // 60 % 60:02}m that are "
            "trained, and billed, again. Pass checkpoint_s3_uri='s3://bucket/prefix' (the script has to load what it "
            "finds in /opt/ml/checkpoints), or insist with allow_no_checkpoint=True."
        )


def _max_runtime(request: Mapping[str, Any], known: Known) -> tuple[Any, str]:
    """MaxRuntimeInSeconds as it is given, or as SageMaker takes it; and how to tell it to whoever may not have given it."""
    given = member_of(request, "StoppingCondition", "MaxRuntimeInSeconds", known=known)
    if given is None:
        return (
            DEFAULT_MAX_RUNTIME_SECONDS,
            f"{DEFAULT_MAX_RUNTIME_SECONDS} (SageMaker's default, as config has none)",
        )
    return given, str(given)


def _built_in_algorithm(image: object) -> str | None:
    """The image's name if it stands in an ECR registry, as SageMaker's own images do."""
    match = _ECR_IMAGE.fullmatch(image) if isinstance(image, str) else None
    return match["name"] if match else None


def is_given(value: object) -> bool:
    """Whether a member is there and can be looked at."""
    return value is not None and value is not NOT_KNOWN


def member_of(request: Mapping[str, Any], *path: str, known: Known) -> Any:
    """The member at ``path``; None if it is absent, NOT_KNOWN if it, or what holds it, cannot be looked at yet."""
    value: Any = request
    for key in path:
        if not isinstance(value, Mapping):
            return NOT_KNOWN
        value = value.get(key)
        if value is None:
            return None
        if value is NOT_KNOWN or not known(value):
            return NOT_KNOWN
    return value
