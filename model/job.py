"""One training run as a process of its own: `python -m model.job FOLDER/spec.json`.

Beside its specification the process keeps `progress.json` and, when it ends, leaves
`outcome.json`. SIGTERM makes it keep what it has and end.
"""

import json
import logging
import os
import signal
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import Literal

from pydantic import BaseModel, ConfigDict

from model.atomic_file import write_atomically
from model.config import RunPlan

Ending = Literal["done", "failed", "cancelled"]

# What a process without a disk to write on can still say.
EXIT_FAILED, EXIT_CANCELLED, EXIT_DISK_FULL = 1, 3, 28

log = logging.getLogger("sidelight.job")


class JobSpec(BaseModel):
    """All that the process needs to know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    plan: RunPlan
    folder: Path  # of the run
    corpus: str  # `tinyshakespeare`, or the path of a text file
    corpus_name: str  # as the run tells it
    device: str = "auto"


class Outcome(BaseModel):
    """How the process ended; `message` says why, and what to do about it."""

    state: Ending
    message: str = ""


def read_outcome(folder: Path) -> Outcome | None:
    """What the job's process left there, if it could."""
    try:
        return Outcome.model_validate_json((folder / "outcome.json").read_bytes())
    except (OSError, ValueError):
        return None


def main(spec_path: str) -> int:
    """Run the job; the exit status tells its ending as well."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    folder = Path(spec_path).parent
    stop = _StopOnSignal()
    outcome, status = _outcome_of(folder, stop)
    log.info("%s %s", outcome.state, outcome.message)
    try:
        write_atomically(folder / "outcome.json", outcome.model_dump_json().encode())
    except OSError as error:
        log.error("the outcome could not be written: %s", error)  # noqa: TRY400
    return status


class _StopOnSignal:
    """Whether the process was asked to stop; the signal that asked is not answered otherwise."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True

    def __call__(self) -> bool:
        return self.asked


def _outcome_of(folder: Path, stop: _StopOnSignal) -> tuple[Outcome, int]:
    """Train, and put whatever comes of it into words."""
    from torch import OutOfMemoryError

    from model.device import first_line

    try:
        spec = JobSpec.model_validate_json((folder / "spec.json").read_bytes())
        finished = _train(spec, folder, stop)
    except (OutOfMemoryError, MemoryError) as error:
        return _failed(f"out of memory: lower batch_size, or raise grad_accum ({error})")
    except OSError as error:
        outcome, status = _failed(_disk_trouble(error, spec.folder))
        return outcome, EXIT_DISK_FULL if error.errno == EXIT_DISK_FULL else status
    except Exception as error:
        log.exception("the training failed")
        if "can't allocate memory" in str(error):  # torch has no error of its own for the CPU's
            return _failed("out of memory: lower batch_size, or raise grad_accum")
        if "CUDA" in str(error):
            return _failed(f"the GPU failed: {first_line(error)}")
        return _failed(str(error) or type(error).__name__)
    if finished:
        return Outcome(state="done"), 0
    return Outcome(state="cancelled", message="what was trained is kept"), EXIT_CANCELLED


def _failed(message: str) -> tuple[Outcome, int]:
    return Outcome(state="failed", message=message), EXIT_FAILED


def _disk_trouble(error: OSError, run: Path) -> str:
    if error.errno == EXIT_DISK_FULL:
        return "the disk is full: make room, then resume"
    if not run.is_dir():
        return "the run's folder was deleted while it trained"
    return str(error)


def _train(spec: JobSpec, folder: Path, stop: _StopOnSignal) -> bool:
    """Raises what `train` raises, and ValueError for a text or weights that do not fit."""
    from model.corpus import load_corpus
    from model.device import choose_device
    from model.run_folder import RunFolder
    from model.starting import prepare
    from model.training import Progress, Watcher, train

    progress_path = folder / "progress.json"

    def note_progress(progress: Progress) -> None:
        """Without waiting for the disk: an old one is no loss."""
        beside = progress_path.with_suffix(".new")
        beside.write_text(json.dumps(asdict(progress)))
        os.replace(beside, progress_path)

    device = choose_device(spec.device)
    if device.type == "cpu":
        os.nice(5)  # whoever prompts a run meanwhile comes first
    corpus = replace(load_corpus(spec.corpus), name=spec.corpus_name)
    run_folder = RunFolder(spec.folder)
    start = prepare(run_folder, spec.plan, corpus, device)
    log.info("%s on %s: %s parameters", spec.plan.id, device, f"{start.run.params:,}")
    watcher = Watcher(on_progress=note_progress, wants_stop=stop)
    began = time.perf_counter()
    finished = train(run_folder, start.run, corpus, start.tokenizer, device, watcher, start.model)
    log.info("after %.1f s", time.perf_counter() - began)
    return finished


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
