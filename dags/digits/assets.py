"""What is trained on, and what is trained, as Airflow assets."""

from __future__ import annotations

from airflow.sdk import Asset

from airflow_spot_provider.assets import model_asset

DATA_SET = Asset("digits")
"""Whoever has new data updates it."""
MODEL = model_asset("digits_classifier")
