"""A model with some of its heads switched off."""

from typing import Literal

Fill = Literal["zero", "mean"]
