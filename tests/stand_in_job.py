"""Stands in for `model.job`: ends, fails or goes on as its specification says."""

import json
import os
import signal
import sys
import time
from pathlib import Path

path = Path(sys.argv[1])
folder = path.parent
spec = json.loads(path.read_text())
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
(folder / "new").write_text(str(os.getppid()))
(folder / "new").replace(folder / "began")
print("gpus", repr(os.environ.get("CUDA_VISIBLE_DEVICES")), flush=True)
end = time.monotonic() + spec.get("seconds", 0)
while time.monotonic() < end and not stopped and not (folder / "end").exists():
    time.sleep(0.02)
if stopped:
    time.sleep(spec.get("saving", 0))
if "raise" in spec:
    raise ValueError(spec["raise"])
if "signal" in spec:
    os.kill(os.getpid(), spec["signal"])
state = "cancelled" if stopped else spec.get("state", "done")
outcome = {"state": state, "message": spec.get("message", "")}
(folder / "new").write_text(json.dumps(outcome))
(folder / "new").replace(folder / "outcome.json")
sys.exit({"done": 0, "cancelled": 3, "failed": 1}[state])
