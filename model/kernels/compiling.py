"""How the kernels are compiled, and where the result is kept for the next start."""

import hashlib
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numba
from llvmlite import binding
from numba.core import config as numba_config

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

log = logging.getLogger("sidelight")

# Columns of a matrix product that are worked out together: as many as the registers hold for
# four rows.
PANEL = 64 if binding.get_host_cpu_features().get("avx512f") else 16

# `reassoc` lets a sum be made in lanes: in another order, but always in the same.
OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz", "arcp"},
    "boundscheck": False,
}


def compiled(kernel: Kernel) -> Kernel:
    """`kernel` as machine code, made at its first call or taken from an earlier start."""
    config: Any = numba_config
    before, config.CACHE_DIR = config.CACHE_DIR, _cache_folder()
    try:
        done: Any = _forgiving(numba.njit(cache=True, **OPTIONS)(kernel))
    except RuntimeError:  # the folder cannot be written to
        done = numba.njit(**OPTIONS)(kernel)
    finally:
        config.CACHE_DIR = before
    machine_code: Kernel = done
    return machine_code


def _forgiving(dispatcher: Any) -> Any:
    """One that compiles anew what it cannot load, and works where nothing can be kept."""
    cache = dispatcher._cache  # noqa: SLF001 (numba has no other way to it)
    load, save = cache.load_overload, cache.save_overload

    def load_or_none(*asked: Any) -> Any:
        try:
            return load(*asked)
        except Exception:  # noqa: BLE001 (torn by a crash, or by whatever else was done to it)
            log.warning("kernels that were kept cannot be loaded, and are compiled anew")
            with suppress(OSError):
                cache.flush()
            return None

    def save_if_possible(*made: Any) -> None:
        try:
            save(*made)
        except Exception as error:  # noqa: BLE001 (a full disk, a folder that is gone)
            log.warning("compiled kernels cannot be kept for the next start: %s", error)

    cache.load_overload, cache.save_overload = load_or_none, save_if_possible
    return dispatcher


def part(kernel: Kernel) -> Kernel:
    """A part of the kernels that call it: compiled with each of them, and not once more alone.

    numba optimises all that a kernel calls again for each that calls it, so every level of calls
    costs seconds.
    """
    inlined: Any = numba.njit(inline="always", **OPTIONS)(kernel)
    machine_code: Kernel = inlined
    return machine_code


def _cache_folder() -> str:
    """A folder for this very code: numba itself does not notice a change in a file it calls into.

    Never one that others may write to, since what lies there is run.
    """
    base = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(base) if base else Path("~/.cache").expanduser() / "sidelight"
    return str(folder / f"kernels-{_SOURCES}")


def _sources() -> str:
    """A short hash of everything that the machine code depends on, but the machine."""
    found = hashlib.sha256(f"{sys.version} {numba.__version__}".encode())
    folder = Path(__file__).parent
    for path in (*sorted(folder.glob("*.py")), folder.parent / "sampling.py"):
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


_SOURCES = _sources()
