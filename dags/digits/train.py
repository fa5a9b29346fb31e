"""Train a classifier of handwritten digits in epochs, with a checkpoint after each: it can be interrupted at any time.

SageMaker's script mode runs it in the scikit-learn container, and the emulator runs it as a process; it is the same file.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import pickle
import signal
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier

CLASSES = np.arange(10)
CHECKPOINT = "checkpoint.pkl"


def main():
    """Train from the last checkpoint, or from scratch."""
    args = parse_arguments()
    images, labels = load_digits(args.data)
    train_images, train_labels = images[: args.train_size], labels[: args.train_size]
    test_images, test_labels = images[args.train_size :], labels[args.train_size :]

    model, random, first_epoch = restore(args.checkpoints)
    if model is None:
        model = new_model(args)
        random = np.random.RandomState(args.seed)
        first_epoch = 1
        print("starting from scratch")
    else:
        print(f"resumed from epoch {first_epoch}")

    stop = StopOnSignal()
    for epoch in range(first_epoch, args.epochs + 1):
        order = random.permutation(len(train_images))
        for batch in np.array_split(order, args.batches):
            model.partial_fit(train_images[batch], train_labels[batch], classes=CLASSES)
        print(f"epoch {epoch} {metrics_of(model, test_images, test_labels)}")
        save(args.checkpoints, model, random, next_epoch=epoch + 1)
        print(f"checkpoint saved: epoch {epoch}")
        if stop.asked(args.seconds_per_epoch):
            print(f"SIGTERM: stopping after epoch {epoch}; the checkpoint is saved")
            return

    if first_epoch > args.epochs:
        # The job before was lost, or its time was over, after its last epoch: this one's metrics are read from its own log.
        print(f"nothing left to train: {metrics_of(model, test_images, test_labels)}")
    accuracy = model.score(test_images, test_labels)
    Path(args.model_dir).mkdir(parents=True, exist_ok=True)
    with (Path(args.model_dir) / "model.pkl").open("wb") as file:
        pickle.dump(model, file)
    (Path(args.model_dir) / "metrics.json").write_text(json.dumps({"accuracy": accuracy}))
    print(f"trained {args.epochs} epochs: the accuracy is {accuracy:.4f}")


def metrics_of(model, images, labels):
    """What MetricDefinitions find in the log."""
    loss = log_loss(labels, model.predict_proba(images), labels=CLASSES)
    return f"loss={loss:.4f} accuracy={model.score(images, labels):.4f}"


def new_model(args):
    """A model that learns batch by batch, and so can be stopped after any epoch."""
    if args.model == "linear":
        return SGDClassifier(
            loss="log_loss", learning_rate="constant", eta0=args.learning_rate, random_state=args.seed
        )
    return MLPClassifier((args.hidden,), learning_rate_init=args.learning_rate, random_state=args.seed)


def parse_arguments():
    """Hyperparameters come as arguments, folders from SageMaker's variables."""
    environment = os.environ.get
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=("mlp", "linear"), default="mlp")
    parser.add_argument("--hidden", type=int, default=64, help="neurons in the hidden layer of the mlp")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--learning-rate", type=float, default=0.003)
    parser.add_argument("--batches", type=int, default=20, help="batches in an epoch")
    parser.add_argument("--train-size", type=int, default=1400, help="images to train on; the others test")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--seconds-per-epoch", type=float, default=0.0, help="a pause that stands for a larger model"
    )
    parser.add_argument("--data", default=environment("SM_CHANNEL_TRAINING", "/opt/ml/input/data/training"))
    parser.add_argument("--model-dir", default=environment("SM_MODEL_DIR", "/opt/ml/model"))
    # SageMaker mirrors this one folder to S3; only the emulator sets a variable, because it cannot always be at /opt/ml.
    parser.add_argument("--checkpoints", default=environment("SM_CHECKPOINT_DIR", "/opt/ml/checkpoints"))
    return parser.parse_args()


def load_digits(folder):
    """Images as rows of 64 numbers from 0 to 1, and their digits."""
    with gzip.open(Path(folder) / "digits.csv.gz", "rt") as file:
        table = np.loadtxt(file, delimiter=",")
    return table[:, :-1] / 16.0, table[:, -1].astype(int)


def restore(folder):
    """The model, the random numbers and the epoch to go on with, or nothing."""
    path = Path(folder) / CHECKPOINT
    if not path.exists():
        return None, None, None
    with path.open("rb") as file:
        checkpoint = pickle.load(file)  # noqa: S301 - our own checkpoint
    return checkpoint["model"], checkpoint["random"], checkpoint["next_epoch"]


def save(folder, model, random, next_epoch):
    """Write beside, then rename: an interruption in the middle leaves the last checkpoint whole."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    half_written = Path(folder) / (CHECKPOINT + ".tmp")
    with half_written.open("wb") as file:
        pickle.dump({"model": model, "random": random, "next_epoch": next_epoch}, file)
    half_written.replace(Path(folder) / CHECKPOINT)


class StopOnSignal:
    """SageMaker sends SIGTERM 120 seconds before it takes the instance away."""

    def __init__(self):
        self._asked = False
        signal.signal(signal.SIGTERM, self._remember)

    def _remember(self, _number, _frame):
        self._asked = True

    def asked(self, within_seconds):
        """Wait, and tell whether the signal has come."""
        end = time.monotonic() + within_seconds
        while not self._asked and time.monotonic() < end:
            time.sleep(0.05)
        return self._asked


if __name__ == "__main__":
    sys.exit(main())
