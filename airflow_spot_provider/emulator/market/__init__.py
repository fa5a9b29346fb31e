"""Spot capacity, and what it costs."""
