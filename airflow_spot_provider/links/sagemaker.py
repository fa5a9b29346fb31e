"""Links from a task in the Airflow UI to its training job or tuning job in the AWS console."""

from __future__ import annotations

from airflow.providers.amazon.aws.links.base_aws import (
    BASE_AWS_CONSOLE_LINK,
    BaseAwsLink,
)


class SageMakerTrainingJobLink(BaseAwsLink):
    """The training job's page in the SageMaker console."""

    name = "SageMaker training job"
    key = "sagemaker_training_job"
    format_str = BASE_AWS_CONSOLE_LINK + "/sagemaker/home?region={region_name}#/jobs/{job_name}"


# The console decodes the part after # twice: $252F is a slash, $3F a question mark, $3D an equals sign.
_LOG_STREAMS_OF = (
    BASE_AWS_CONSOLE_LINK
    + "/cloudwatch/home?region={region_name}#logsV2:log-groups/log-group/"
    + "$252Faws$252Fsagemaker$252FTrainingJobs$3FlogStreamNameFilter$3D{job_name}"
)


class SageMakerTrainingLogsLink(BaseAwsLink):
    """The training job's log streams in CloudWatch Logs."""

    name = "Training log"
    key = "sagemaker_training_logs"
    format_str = _LOG_STREAMS_OF + "$252F"


class SageMakerTuningJobLink(BaseAwsLink):
    """The tuning job's page in the SageMaker console, with all its training jobs."""

    name = "SageMaker tuning job"
    key = "sagemaker_tuning_job"
    format_str = BASE_AWS_CONSOLE_LINK + "/sagemaker/home?region={region_name}#/hyper-tuning-jobs/{job_name}"


class SageMakerTuningLogsLink(BaseAwsLink):
    """The log streams of all training jobs of the tuning job: SageMaker begins their names with the tuning job's."""

    name = "Training logs"
    key = "sagemaker_tuning_logs"
    format_str = _LOG_STREAMS_OF + "-"
