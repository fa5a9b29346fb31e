"""The one place for what differs between Airflow versions (3.0.6 to 3.3) and between Amazon providers (from 9.12 on)."""
