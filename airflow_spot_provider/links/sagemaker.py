"""Links from a task in the Airflow UI to its training job in the AWS console."""

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


class SageMakerTrainingLogsLink(BaseAwsLink):
    """The training job's log streams in CloudWatch Logs."""

    name = "Training log"
    key = "sagemaker_training_logs"
    # The console decodes the part after # twice: $252F is a slash, $3F a question mark, $3D an equals sign.
    format_str = (
        BASE_AWS_CONSOLE_LINK
        + "/cloudwatch/home?region={region_name}#logsV2:log-groups/log-group/"
        + "$252Faws$252Fsagemaker$252FTrainingJobs$3FlogStreamNameFilter$3D{job_name}$252F"
    )
