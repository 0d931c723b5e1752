"""Where tensors live and work: the GPU where there is one."""

import os
import platform
import sys
from pathlib import Path

import psutil
import torch


class NoSuchDevice(ValueError):
    """A device that this machine does not have; the text names those it has."""


class DeviceSilent(Exception):
    """A device that is there and does not answer; the text says what its driver says."""


def choose_device(wanted: str = "auto") -> torch.device:
    """`auto` takes CUDA, then MPS, then the CPU; else `cpu`, `mps`, `cuda` or `cuda:1`.

    Raises NoSuchDevice.
    """
    present = present_devices()
    own = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"  # torchrun gives each process another one
    if wanted == "auto":
        return torch.device(own if own in present else present[0])
    if wanted == "cuda" and own in present:
        return torch.device(own)
    if wanted in present:
        return torch.device(wanted)
    raise NoSuchDevice(f"there is no device {wanted!r} here; there are {', '.join(present)}")


def present_devices() -> list[str]:
    """All of this machine's, the fastest first; the CPU counts as one."""
    gpus = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return [*gpus, *mps, "cpu"]


def device_name(device: str | torch.device) -> str:
    """As a person knows it: the model of the GPU or of the processor."""
    device = torch.device(device)
    if device.type == "cuda":
        try:
            return torch.cuda.get_device_name(device)
        except RuntimeError:  # whoever wants to use it is told why
            return f"{device}, which does not answer"
    if device.type == "mps":
        return f"{platform.processor() or 'Apple'} GPU"
    return f"{_processor()}, {os.cpu_count()} cores"


def device_memory(device: str | torch.device) -> int:
    """Bytes that the device has in all; on a container's CPU those it may use.

    Raises DeviceSilent.
    """
    device = torch.device(device)
    if device.type == "cuda":
        try:
            return int(torch.cuda.get_device_properties(device).total_memory)
        except RuntimeError as error:
            raise DeviceSilent(f"{device} does not answer: {first_line(error)}") from None
    return min(psutil.virtual_memory().total, _container_limit())


def first_line(error: BaseException) -> str:
    """What CUDA says in many lines, most of them for developers."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _container_limit() -> int:
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return sys.maxsize
    return sys.maxsize if limit == "max" else int(limit)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
