"""What has to be right before a server starts; what is not, in one line that names the setting."""

import difflib
import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.jobs.launcher import Launcher
from app.jobs.processes import Processes
from app.jobs.ray_cluster import RayCluster
from app.settings import Settings

PREFIX = "SIDELIGHT_"

# Of clients, compose.yaml, a job's process and the tests, and not misspelt: no settings.
OTHERS = {
    "SIDELIGHT_URL",
    "SIDELIGHT_MEMORY",
    "SIDELIGHT_JOB",
    "SIDELIGHT_SHOTS",
    "SIDELIGHT_README_PICTURE",
}


class CannotStart(Exception):
    """The text says which setting is wrong, and what to do."""


def read_settings(**given: Any) -> Settings:
    """From the environment and `given`. Raises CannotStart, also for one that there is not."""
    _require_known()
    try:
        return Settings(**given)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        name = "_".join(map(str, problem["loc"])).upper()
        what = problem["msg"].removeprefix("Value error, ")
        own = problem["type"] == "value_error"  # words of ours, which show what they may
        shown = "" if own else f", not {problem['input']!r}"
        raise CannotStart(f"{PREFIX}{name}: {what[:1].lower()}{what[1:]}{shown}") from None


def launcher_for(settings: Settings) -> Launcher:
    """Where jobs run. Raises CannotStart for a device that is not here."""
    if settings.ray_address:
        return RayCluster(
            settings.ray_address,
            cpus=settings.ray_cpus_per_job,
            gpus=settings.ray_gpus_per_job,
            python=settings.ray_python,
            stop_s=settings.ray_stop_seconds,
        )
    try:
        return Processes(settings.devices)
    except ValueError as error:
        raise CannotStart(f"SIDELIGHT_DEVICES: {error}") from None


def require_startable(settings: Settings) -> None:
    """Find out now what would fail later with a traceback. Raises CannotStart."""
    for name, folder in (("CHECKPOINTS", settings.checkpoints), ("DATA", settings.data)):
        if folder.exists() and not folder.is_dir():
            raise CannotStart(f"SIDELIGHT_{name}: {folder} is a file, not a folder")
    _require_writable(settings.data)
    launcher_for(settings)


def _require_known() -> None:
    """A limit that is misspelt would be no limit, and a key no key. Raises CannotStart."""
    settings = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    for name in sorted(os.environ):
        if name.upper().startswith(PREFIX) and name.upper() not in {*settings, *OTHERS}:
            (nearest,) = difflib.get_close_matches(name.upper(), settings, n=1, cutoff=0)
            raise CannotStart(f"{name}: there is no such setting; the nearest is {nearest}")


def _require_writable(folder: Path) -> None:
    try:
        (folder / "jobs").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStart(f"SIDELIGHT_DATA: {folder}: {error.strerror}") from None
    if not os.access(folder / "jobs", os.W_OK | os.X_OK):
        raise CannotStart(f"SIDELIGHT_DATA: {folder / 'jobs'} cannot be written to")
