"""Talking to AWS beyond one call: watching a job, and which errors are worth a retry."""
