"""``python -m airflow_spot_provider.cli``."""

from __future__ import annotations

import sys

from airflow_spot_provider.cli import main

sys.exit(main())
