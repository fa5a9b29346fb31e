"""Apache Airflow provider for Amazon SageMaker managed spot training."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def get_provider_info() -> dict[str, Any]:
    """Describe this provider to Airflow (entry point ``apache_airflow_provider``)."""
    return {
        "package-name": "airflow-spot-provider",
        "name": "Amazon SageMaker managed spot training",
        "description": "Submit, watch, branch on and report SageMaker managed spot training jobs.",
        "integrations": [
            {
                "integration-name": "Amazon SageMaker managed spot training",
                "external-doc-url": "https://docs.aws.amazon.com/sagemaker/latest/dg/model-managed-spot-training.html",
                "tags": ["aws"],
            }
        ],
        "operators": [
            {
                "integration-name": "Amazon SageMaker managed spot training",
                "python-modules": [
                    "airflow_spot_provider.operators.training",
                    "airflow_spot_provider.operators.branch",
                ],
            }
        ],
        "hooks": [
            {
                "integration-name": "Amazon SageMaker managed spot training",
                "python-modules": ["airflow_spot_provider.hooks.sagemaker_spot"],
            }
        ],
        "triggers": [
            {
                "integration-name": "Amazon SageMaker managed spot training",
                "python-modules": ["airflow_spot_provider.triggers.training"],
            }
        ],
        "extra-links": [
            "airflow_spot_provider.links.sagemaker.SageMakerTrainingJobLink",
            "airflow_spot_provider.links.sagemaker.SageMakerTrainingLogsLink",
        ],
    }
