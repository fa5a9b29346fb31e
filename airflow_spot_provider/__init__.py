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
                    "airflow_spot_provider.operators.tuning",
                    "airflow_spot_provider.operators.branch",
                    "airflow_spot_provider.operators.report",
                ],
            }
        ],
        "sensors": [
            {
                "integration-name": "Amazon SageMaker managed spot training",
                "python-modules": [
                    "airflow_spot_provider.sensors.training",
                    "airflow_spot_provider.sensors.tuning",
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
                "python-modules": [
                    "airflow_spot_provider.triggers.training",
                    "airflow_spot_provider.triggers.tuning",
                    "airflow_spot_provider.triggers.turn",
                ],
            }
        ],
        "notifications": ["airflow_spot_provider.notifications.spot_outcome.SpotOutcomeNotifier"],
        "cli": ["airflow_spot_provider.cli.airflow_commands.spot_commands"],
        "plugins": [
            {
                "name": "spot_training",
                "plugin-class": "airflow_spot_provider.ui.plugin.SpotTrainingPlugin",
            }
        ],
        "config": {
            "airflow_spot": {
                "description": "Spot training on Amazon SageMaker.",
                "options": {
                    "deployment": {
                        "description": (
                            "Which Airflow this is. Give each deployment its own if several with the same DAGs share an "
                            "AWS account and region (staging and production): training job names are derived from it, "
                            "and without it they would take each other's jobs for their own."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "staging",
                        "default": "",
                    },
                    "prices": {
                        "description": (
                            "Whether to ask the AWS Price List (pricing:GetProducts) what instances cost on demand, for the cost of "
                            "jobs to be published. Off: costs are not known."
                        ),
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": None,
                        "default": "True",
                    },
                    "price_cache": {
                        "description": (
                            "Folder in which prices are kept, with their date, for a week. Empty: airflow_spot/prices in "
                            "AIRFLOW_HOME."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/var/cache/airflow-spot",
                        "default": "",
                    },
                    "events_queue": {
                        "description": (
                            "SQS queue (name or URL) with SageMaker's events, for changes to be known within a second. Each "
                            "triggerer needs one of its own: {{ordinal}} stands for the number at the end of its host name. "
                            "The extra spot_events_queue of an AWS connection wins over it. Empty: jobs are polled."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "airflow-spot-events-{{ordinal}}",
                        "default": "",
                    },
                },
            }
        },
        "extra-links": [
            "airflow_spot_provider.links.sagemaker.SageMakerTrainingJobLink",
            "airflow_spot_provider.links.sagemaker.SageMakerTrainingLogsLink",
            "airflow_spot_provider.links.sagemaker.SageMakerTuningJobLink",
            "airflow_spot_provider.links.sagemaker.SageMakerTuningLogsLink",
        ],
    }
