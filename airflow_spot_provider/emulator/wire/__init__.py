"""SageMaker on the wire: which requests it takes, and what it answers."""
