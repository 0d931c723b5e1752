"""How far a job is, as its process notes it."""

import json
from pathlib import Path
from typing import Any

Progress = dict[str, Any]


def read_progress(folder: Path) -> Progress | None:
    """`model.training.Progress` as a dictionary, with the share that is done and the time left."""
    try:
        noted = json.loads((folder / "progress.json").read_bytes())
        done = noted["step"] / noted["max_iters"]
        elapsed_s = noted["elapsed_s"]
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return None
    remaining_s = elapsed_s / done - elapsed_s if done and elapsed_s else None
    return {**noted, "progress": done, "remaining_s": remaining_s}
