"""A training script as a user of SageMaker has it: it knows nothing of the emulator.

It fits a line by gradient descent, and goes on from the checkpoint that it finds.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import time
from pathlib import Path

CHECKPOINT = Path("/opt/ml/checkpoints/line.json")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--learning-rate", type=float, default=0.3)
    parser.add_argument("--seconds-per-epoch", type=float, default=0.4)
    parser.add_argument("--fail", default="")
    arguments, _ = parser.parse_known_args()
    if arguments.fail:
        Path("/opt/ml/output/failure").write_text(arguments.fail)
        sys.exit(3)

    with (Path(os.environ["SM_CHANNEL_TRAINING"]) / "points.csv").open() as file:
        points = [(float(x), float(y)) for x, y in csv.reader(file)]
    state = {"epoch": 0, "slope": 0.0, "intercept": 0.0}
    if CHECKPOINT.exists():
        state = json.loads(CHECKPOINT.read_text())
        print(f"resumed after epoch {state['epoch']}", flush=True)
    else:
        print("starting from scratch", flush=True)

    while state["epoch"] < arguments.epochs:
        errors = [(state["slope"] * x + state["intercept"] - y, x) for x, y in points]
        state["slope"] -= arguments.learning_rate * sum(error * x for error, x in errors) / len(points)
        state["intercept"] -= arguments.learning_rate * sum(error for error, _ in errors) / len(points)
        state["epoch"] += 1
        time.sleep(arguments.seconds_per_epoch)
        loss = sum(error**2 for error, _ in errors) / len(points)
        print(f"epoch={state['epoch']} validation:loss={loss:.6f}", flush=True)
        CHECKPOINT.parent.mkdir(parents=True, exist_ok=True)
        half_written = CHECKPOINT.with_suffix(".tmp")
        half_written.write_text(json.dumps(state))
        half_written.replace(CHECKPOINT)

    (Path(os.environ["SM_MODEL_DIR"]) / "line.json").write_text(json.dumps(state))
    print("trained", flush=True)


if __name__ == "__main__":
    main()
