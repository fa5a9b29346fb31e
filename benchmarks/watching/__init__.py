"""Waiting for many training jobs at once: the stock trigger, ours, and one that does nothing, side by side.

``make bench`` runs all of it; ``python -m benchmarks.watching --quick`` a minute and a half of it.
"""
