"""How many arenas threads get is what glibc itself says of a process."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library has none")

COUNT = """
import ctypes, sys, tempfile, threading

from app.arenas import share_arenas

if sys.argv[1] == "shared":
    share_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fdopen.restype = ctypes.c_void_p
barrier = threading.Barrier(12)

def work():
    libc.malloc(100_000)
    barrier.wait()

threads = [threading.Thread(target=work) for _ in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with tempfile.TemporaryFile() as file:
    stream = libc.fdopen(file.fileno(), b"w")
    libc.malloc_info(0, ctypes.c_void_p(stream))
    libc.fflush(ctypes.c_void_p(stream))
    file.seek(0)
    print(file.read().count(b"<heap "))
"""


def arenas(how: str, **environment: str) -> int:
    """Of a process with twelve threads that want memory."""
    command = [sys.executable, "-c", COUNT, how]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_threads_share_two_arenas() -> None:
    assert arenas("own") > 2
    assert arenas("shared") == 2


def test_whoever_has_chosen_a_number_keeps_it() -> None:
    assert arenas("shared", MALLOC_ARENA_MAX="5") == 5
