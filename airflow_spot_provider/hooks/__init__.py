"""Hooks: typed calls to SageMaker."""
