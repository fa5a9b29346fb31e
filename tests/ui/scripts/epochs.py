"""A training script for pictures: an epoch takes so many seconds of the local SageMaker's time, which a test moves."""

from __future__ import annotations

import json
import math
import os
import sys
import time
import urllib.request
from datetime import datetime
from pathlib import Path

CHECKPOINT = Path(os.environ["SM_CHECKPOINT_DIR"]) / "epoch.json"
CLOCK = f"{os.environ['AWS_ENDPOINT_URL']}/_emulator/clock"


def now() -> float:
    """The local SageMaker's time."""
    with urllib.request.urlopen(CLOCK) as answer:  # noqa: S310 - its own address
        return datetime.fromisoformat(json.load(answer)["time"]).timestamp()


def main(epochs: int, seconds: float, forgets_after: int, fails_after: int) -> None:
    """Train.

    :param epochs: how many.
    :param seconds: for each.
    :param forgets_after: the epoch after which it writes no checkpoint any more.
    :param fails_after: the epoch after which it fails.
    """
    done = json.loads(CHECKPOINT.read_text())["epoch"] if CHECKPOINT.exists() else 0
    print(
        f"resumed from the checkpoint of epoch {done}" if done else "no checkpoint: from the start",
        flush=True,
    )
    begun, first = now(), done
    while done < epochs:
        if now() < begun + (done + 1 - first) * seconds:
            time.sleep(0.1)
            continue
        done += 1
        loss = 0.12 + 0.8 * math.exp(-done / 9) + 0.015 * math.sin(done * 2.4)
        print(f"epoch={done} loss={loss:.4f} accuracy={1 - loss / 1.9:.4f}", flush=True)
        if done == fails_after:
            (Path(os.environ["SM_OUTPUT_DIR"]) / "failure").write_text("KeyError: 'tenure'")
            sys.exit(1)
        if done <= forgets_after:
            part = CHECKPOINT.with_suffix(".part")
            part.write_text(json.dumps({"epoch": done}))
            part.rename(CHECKPOINT)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
