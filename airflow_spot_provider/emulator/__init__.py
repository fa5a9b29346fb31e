"""A local SageMaker: it really trains, and it really interrupts."""

from __future__ import annotations

from airflow_spot_provider.emulator.handle import EmulatorError, SageMakerEmulator

__all__ = ["EmulatorError", "SageMakerEmulator"]
