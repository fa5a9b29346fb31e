"""Automatic model tuning: training jobs that look for the best hyperparameters."""
