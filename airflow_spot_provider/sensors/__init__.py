"""Sensors: wait for jobs that something else has started."""
