"""Operators: train on spot, and branch on how it went."""
