"""Triggers: wait for a training job in the triggerer."""
