"""One id per byte of UTF-8: 256 tokens that can write every text."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.tokenizer_base import Tokenizer, utf8

BYTES = 256


class ByteTokenizer(Tokenizer):
    """A byte's id is its value."""

    kind = "byte"
    unit = "bytes"

    def __init__(self) -> None:
        super().__init__(bytes([value]) for value in range(BYTES))

    def document(self) -> dict[str, Any]:
        return {"kind": self.kind}

    def encode_array(self, text: str) -> NDArray[np.int64]:
        return np.frombuffer(utf8(text), dtype=np.uint8).astype(np.int64)
