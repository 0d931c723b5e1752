"""Attention maps as bytes: the .npy file, and the compact form that the pages read.

Maps are float32, (H, T, T) for each layer.
"""

import io
import json
import struct
import zlib
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Encoding = Literal["uint8", "sqrt8"]
Maps = Sequence[NDArray[np.float32]]


def npy(maps: Maps) -> bytes:
    """A .npy file of (layer, head, T, T)."""
    file = io.BytesIO()
    np.save(file, np.stack(maps).astype("<f4", copy=False), allow_pickle=False)
    return file.getvalue()


def compact(header: dict[str, Any], maps: Maps, encoding: Encoding = "uint8") -> bytes:
    """A JSON header and one byte for each number p that is not zero by causality.

    First the header's length N as uint32, little-endian, then N bytes of JSON, padded with spaces
    to a multiple of 8 for what follows: for each layer and head the lower triangle row by row,
    T(T+1)/2 bytes. With "uint8" each is round(scale p), `scale` being 255, or less where a number
    beyond 1 needs it; with "sqrt8" round(255 sqrt(p / largest)).
    """
    largest, length = header["largest"], maps[0].shape[-1]
    document = header | {"length": length, "dtype": "uint8", "encoding": encoding}
    if encoding == "uint8":
        document["scale"] = scale = 255 if round(255 * largest) <= 255 else 255 / largest
    else:
        scale = 255**2 / largest if largest else 0
    document["order"] = "layer,head,query,key<=query"
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 4) % 8)
    lower = np.flatnonzero(np.tri(length))
    triangles = (_quantised(layer, lower, scale, encoding).data for layer in maps)
    return b"".join([struct.pack("<I", len(text)), text, *triangles])


def gzipped(body: bytes) -> bytes:
    """Made for maps, where a byte is often that before it, and longer patterns are rare.

    Looking for runs alone gives fewer bytes than zlib's level 1 does, in less time.
    """
    packer = zlib.compressobj(1, wbits=31, memLevel=9, strategy=zlib.Z_RLE)
    return packer.compress(body) + packer.flush()


def _quantised(
    maps: NDArray[np.float32], cells: NDArray[np.intp], scale: float, encoding: Encoding
) -> NDArray[np.uint8]:
    """(H, T, T) -> (H, N): those N cells of each map."""
    numbers = np.take(maps.reshape(len(maps), -1), cells, axis=1)
    numbers *= scale
    if encoding == "sqrt8":
        np.sqrt(numbers, out=numbers)
    return np.rint(numbers, out=numbers).astype(np.uint8)
