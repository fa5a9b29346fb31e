"""Writes its checkpoint in place, and fails on a half one."""

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

checkpoint = Path(os.environ.get("SM_CHECKPOINT_DIR", "/opt/ml/checkpoints")) / "state.json"
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))

state = json.loads(checkpoint.read_text()) if checkpoint.exists() else {"step": 0, "loss": 1.0}
print(f"resumed from step {state['step']}" if state["step"] else "starting from scratch")
while state["step"] < arguments.steps:
    time.sleep(arguments.seconds)
    state = {"step": state["step"] + 1, "loss": state["loss"] * 0.9}
    print(f"step {state['step']} loss={state['loss']:.6f}")
    checkpoint.write_text(json.dumps(state))
    if stopped:
        raise SystemExit(0)
model = Path(os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
(model / "metrics.json").write_text(json.dumps({"loss": state["loss"]}))
