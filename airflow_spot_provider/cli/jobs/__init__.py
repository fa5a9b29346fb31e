"""``airflow-spot jobs``: the jobs at SageMaker that are ours, and the tasks that wait for them."""

from __future__ import annotations
