"""A rehearsal: a training script is run uninterrupted, then interrupted, and what became of its work is reported."""
