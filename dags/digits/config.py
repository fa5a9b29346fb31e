"""The training job of the handwritten digits, as CreateTrainingJob takes it. The same at AWS and on the emulator."""

from __future__ import annotations

from typing import Any

BUCKET = "s3://{{ var.value.spot_training_bucket }}"
RUN = "{{ dag.dag_id }}/{{ run_id | replace(':', '-') | replace('+', '-') }}"
"""Each DAG run has a folder of its own."""
SCRIPT = f"{BUCKET}/{RUN}/code/sourcedir.tar.gz"
DATA = f"{BUCKET}/{RUN}/data/digits.csv.gz"


def training_config(**hyperparameters: int | float) -> dict[str, Any]:
    """A config for the scikit-learn container in script mode.

    :param hyperparameters: arguments of ``train.py``.
    """
    return {
        "RoleArn": "{{ var.value.spot_training_role_arn }}",
        "AlgorithmSpecification": {
            "TrainingImage": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
            "TrainingInputMode": "File",
            "MetricDefinitions": [
                {"Name": "accuracy", "Regex": r"accuracy=([0-9.]+)"},
                {"Name": "loss", "Regex": r"loss=([0-9.]+)"},
            ],
        },
        "HyperParameters": {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": SCRIPT,
            **{name.replace("_", "-"): str(value) for name, value in hyperparameters.items()},
        },
        "InputDataConfig": [
            {
                "ChannelName": "training",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": DATA.rpartition("/")[0],
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
        ],
        "OutputDataConfig": {"S3OutputPath": f"{BUCKET}/{RUN}/models"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3000},
    }
