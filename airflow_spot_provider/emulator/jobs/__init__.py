"""What a training job is, and what it goes through."""
