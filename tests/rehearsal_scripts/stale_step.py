"""Names its checkpoints by their step, and takes the last one by name: to text, step-9 comes after step-10."""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=20)
parser.add_argument("--seconds", type=float, default=0.15)
arguments = parser.parse_args()

folder = Path(os.environ.get("SM_CHECKPOINT_DIR", "/opt/ml/checkpoints"))
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))

checkpoints = sorted(folder.glob("step-*.json"))
state = json.loads(checkpoints[-1].read_text()) if checkpoints else {"step": 0, "loss": 1.0}
print(f"resumed from step {state['step']}" if state["step"] else "starting from scratch")
while state["step"] < arguments.steps:
    time.sleep(arguments.seconds)
    state = {"step": state["step"] + 1, "loss": state["loss"] * 0.9}
    print(f"step {state['step']} loss={state['loss']:.6f}")
    checkpoint = folder / f"step-{state['step']}.json"
    half = checkpoint.with_suffix(".tmp")
    half.write_text(json.dumps(state))
    half.replace(checkpoint)
    if stopped:
        raise SystemExit(0)
model = Path(os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
(model / "metrics.json").write_text(json.dumps({"loss": state["loss"]}))
