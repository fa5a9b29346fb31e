"""Notifications: how trainings ended, by any of Airflow's notifiers."""
