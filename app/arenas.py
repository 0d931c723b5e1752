"""Keeps the C library from holding freed memory in many places, so that a server takes less of it.

glibc gives threads arenas of their own, up to eight for each core, and what is free in one is of no
use to the others. Our threads come and go with requests and mostly wait for the interpreter.
"""

import ctypes
import os
import platform
from contextlib import suppress

M_ARENA_MAX = -8  # as glibc's malloc.h has it
ARENAS = 2


def share_arenas() -> None:
    """From now on at most two, where the C library is glibc and `MALLOC_ARENA_MAX` is not set."""
    if platform.libc_ver()[0] == "glibc" and "MALLOC_ARENA_MAX" not in os.environ:
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)
