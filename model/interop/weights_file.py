"""Weights as a safetensors file, however large."""

import errno
import os
import re
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

METADATA = {"format": "pt"}  # which transformers asks for


def write_weights_file(tensors: dict[str, Tensor], path: Path) -> None:
    """Down to the disk, without a copy of all of them in memory. Raises OSError."""
    try:
        safetensors.torch.save_file(tensors, path, METADATA)
    except SafetensorError as error:
        code = re.search(r"os error (\d+)", str(error))  # as of a full disk
        number = int(code[1]) if code else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from None
    path.chmod(0o644)  # it is made for its owner alone
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
