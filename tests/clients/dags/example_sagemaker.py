"""The stock Amazon provider as its own example DAG uses it: operators that do not wait, and sensors that do.

After ``example_sagemaker.py`` of the provider's system tests; the job is a spot one that trains.
"""

from __future__ import annotations

import json
import os
import sys

from airflow.providers.amazon.aws.operators.s3 import S3CreateBucketOperator
from airflow.providers.amazon.aws.operators.sagemaker import (
    SageMakerTrainingOperator,
    SageMakerTuningOperator,
)
from airflow.providers.amazon.aws.sensors.sagemaker import SageMakerTrainingSensor, SageMakerTuningSensor
from airflow.providers.amazon.aws.transfers.local_to_s3 import LocalFilesystemToS3Operator
from airflow.sdk import DAG, chain

ENV_ID = os.environ["ENV_ID"]
BUCKET = f"{ENV_ID}-sagemaker-example"
CODE = os.environ["CODE_ARCHIVE"]
POINTS = os.environ["POINTS"]

training_data = {
    "ChannelName": "training",
    "CompressionType": "None",
    "ContentType": "text/csv",
    "DataSource": {
        "S3DataSource": {
            "S3DataDistributionType": "FullyReplicated",
            "S3DataType": "S3Prefix",
            "S3Uri": f"s3://{BUCKET}/data/points.csv",
        }
    },
}
algorithm = {
    "TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/line:1",
    "TrainingInputMode": "File",
    "MetricDefinitions": [{"Name": "validation:loss", "Regex": "validation:loss=([0-9.e-]+)"}],
}
script = {
    "sagemaker_program": "train.py",
    "sagemaker_submit_directory": f"s3://{BUCKET}/code/sourcedir.tar.gz",
}
where = {
    "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/results/"},
    # As out of a template: the operator turns these into numbers.
    "ResourceConfig": {"InstanceCount": "1", "InstanceType": "ml.m5.large", "VolumeSizeInGB": "1"},
    "RoleArn": "training",
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": "14400", "MaxWaitTimeInSeconds": 28800},
}


def training_config(name: str) -> dict[str, object]:
    return {
        "TrainingJobName": f"{ENV_ID}-{name}",
        "AlgorithmSpecification": algorithm,
        "HyperParameters": {**script, "epochs": "12"},
        "InputDataConfig": [training_data],
        "CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/checkpoints/{name}"},
        **where,
    }


def tuning_config(name: str) -> dict[str, object]:
    return {
        "HyperParameterTuningJobName": f"{ENV_ID}-{name}",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {"MetricName": "validation:loss", "Type": "Minimize"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": "3", "MaxParallelTrainingJobs": "3"},
            "ParameterRanges": {
                "CategoricalParameterRanges": [],
                "IntegerParameterRanges": [{"Name": "epochs", "MinValue": "2", "MaxValue": "5"}],
            },
        },
        "TrainingJobDefinition": {
            "StaticHyperParameters": script,
            "AlgorithmSpecification": algorithm,
            "InputDataConfig": [training_data],
            "CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/checkpoints/{name}"},
            **where,
        },
    }


with DAG(dag_id="example_sagemaker", schedule=None) as dag:
    create_bucket = S3CreateBucketOperator(task_id="create_bucket", bucket_name=BUCKET)
    upload_code = LocalFilesystemToS3Operator(
        task_id="upload_code", filename=CODE, dest_bucket=BUCKET, dest_key="code/sourcedir.tar.gz"
    )
    upload_dataset = LocalFilesystemToS3Operator(
        task_id="upload_dataset", filename=POINTS, dest_bucket=BUCKET, dest_key="data/points.csv"
    )

    train_model = SageMakerTrainingOperator(
        task_id="train_model", config=training_config("train"), wait_for_completion=False
    )
    await_training = SageMakerTrainingSensor(
        task_id="await_training", job_name=f"{ENV_ID}-train", poke_interval=5
    )
    tune_model = SageMakerTuningOperator(
        task_id="tune_model", config=tuning_config("tune"), wait_for_completion=False
    )
    await_tuning = SageMakerTuningSensor(task_id="await_tuning", job_name=f"{ENV_ID}-tune", poke_interval=5)

    train_and_wait = SageMakerTrainingOperator(
        task_id="train_and_wait", config=training_config("wait"), check_interval=5
    )
    train_deferred = SageMakerTrainingOperator(
        task_id="train_deferred", config=training_config("defer"), check_interval=2, deferrable=True
    )
    tune_and_wait = SageMakerTuningOperator(
        task_id="tune_and_wait", config=tuning_config("tune-wait"), check_interval=2
    )
    tune_deferred = SageMakerTuningOperator(
        task_id="tune_deferred", config=tuning_config("tune-defer"), check_interval=2, deferrable=True
    )

    chain(
        *(create_bucket, upload_code, upload_dataset),
        *(train_model, await_training, train_and_wait, train_deferred),
        *(tune_model, await_tuning, tune_and_wait, tune_deferred),
    )

if __name__ == "__main__":
    run = dag.test()
    states = {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
    sys.stdout.write(f"RESULT {json.dumps(states)}\n")
