"""Attention maps as bytes: the .npy file, and the compact form that the pages read."""

import io
import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray


def npy(maps: NDArray[np.float32]) -> bytes:
    """A .npy file of the array as it is."""
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(maps, dtype="<f4"), allow_pickle=False)
    return file.getvalue()


def compact(header: dict[str, Any], maps: NDArray[np.float32]) -> bytes:
    """A JSON header and one byte for each number that is not zero by causality.

    `maps` is (layer, head, T, T). First the header's length N as uint32, little-endian, then N
    bytes of JSON, padded with spaces to a multiple of 8 for what follows: for each layer and head
    the lower triangle row by row, T(T+1)/2 bytes, each round(255 p).
    """
    length = maps.shape[-1]
    document = header | {
        "length": length,
        "dtype": "uint8",
        "scale": 255,
        "order": "layer,head,query,key<=query",
    }
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 4) % 8)
    rows, columns = np.tril_indices(length)
    triangles = np.rint(maps[:, :, rows, columns] * 255).astype(np.uint8)
    return struct.pack("<I", len(text)) + text + triangles.tobytes()
