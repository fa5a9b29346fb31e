"""The ways to choose the next hyperparameters: pure rules, which give the same answer to the same question."""
