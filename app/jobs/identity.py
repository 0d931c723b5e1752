"""Which process it is: ids alone are used again, and the clock may jump while a process lives."""

from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
STARTED = 19  # field of /proc/PID/stat behind the name: ticks from the machine's start to its own
SAME_S = 1.0


def birth_of(pid: int) -> str:
    """When the process began, in a word that no other process of that id has ever had.

    On Linux it is counted from the machine's start, which no clock can change; elsewhere it is a
    time of day. Raises psutil.NoSuchProcess.
    """
    with suppress(OSError, IndexError):
        stat = Path(f"/proc/{pid}/stat").read_text()
        return f"{stat.rpartition(')')[2].split()[STARTED]}@{_boot()}"
    return str(psutil.Process(pid).create_time())


def is_of(birth: str, pid: int) -> bool:
    """Whether the process of that id now is the one that had that birth."""
    try:
        now = birth_of(pid)
        if "@" in birth or "@" not in now:
            return now == birth or _are_close(now, birth)
        return _are_close(str(psutil.Process(pid).create_time()), birth)  # as it was told once
    except psutil.Error:
        return False


def _are_close(one: str, other: str) -> bool:
    with suppress(ValueError):
        return abs(float(one) - float(other)) < SAME_S
    return False


@cache
def _boot() -> str:
    return BOOT_ID.read_text().strip()
