"""How NVIDIA's GPUs are, as their driver says it.

The driver's own library (NVML) tells it without a CUDA context, which would take a few hundred
megabytes of each GPU from the jobs, and it counts what all processes use.
"""

import ctypes
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from app.figures.metrics import Row

LIBRARY = "libnvidia-ml.so.1"
OK = 0
NAME_BYTES = 96


class Gpu(NamedTuple):
    """One device at this moment; None for what its driver does not tell."""

    device: str  # "cuda:0", numbered as the driver does
    name: str
    used_bytes: int
    total_bytes: int
    busy: float | None  # share of the last moments in which it had work


class _Memory(ctypes.Structure):
    _fields_ = (
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    )


class _Utilization(ctypes.Structure):
    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


def gpu_rows(library: Any = None) -> Iterator[Row]:
    """The families are there on every machine, their numbers where a GPU is."""
    found = gpus(library or _library())
    told = (
        ("gpu_memory_used_bytes", "Memory in use, by every process.", "used_bytes"),
        ("gpu_memory_bytes", "Memory that there is.", "total_bytes"),
        ("gpu_busy_ratio", "Share of the last moments in which it had work.", "busy"),
    )
    for name, meaning, field in told:
        if not found:
            yield Row(name, "gauge", meaning, None)
        for gpu in found:
            labels = {"device": gpu.device, "name": gpu.name}
            yield Row(name, "gauge", meaning, getattr(gpu, field), labels)


def gpus(library: Any) -> list[Gpu]:
    """Those that `library` knows; none where there is no library."""
    if library is None:
        return []
    count = ctypes.c_uint()
    if library.nvmlDeviceGetCount_v2(ctypes.byref(count)) != OK:
        return []
    found = (_gpu(library, index) for index in range(count.value))
    return [gpu for gpu in found if gpu]


@cache
def _library() -> Any:
    """NVML, started; None on a machine without it."""
    try:
        library = ctypes.CDLL(LIBRARY)
        return library if library.nvmlInit_v2() == OK else None
    except (OSError, AttributeError):
        return None


def _gpu(library: Any, index: int) -> Gpu | None:
    """None for one that has dropped out."""
    handle, memory, busy = ctypes.c_void_p(), _Memory(), _Utilization()
    name = ctypes.create_string_buffer(NAME_BYTES)
    if library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(handle)) != OK:
        return None
    if library.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) != OK:
        return None
    library.nvmlDeviceGetName(handle, name, ctypes.c_uint(NAME_BYTES))
    told = library.nvmlDeviceGetUtilizationRates(handle, ctypes.byref(busy)) == OK
    return Gpu(
        device=f"cuda:{index}",
        name=name.value.decode(errors="replace"),
        used_bytes=memory.used,
        total_bytes=memory.total,
        busy=busy.gpu / 100 if told else None,
    )
