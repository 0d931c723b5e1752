"""Compiling the kernels before anybody waits for them."""

from model.config import GPTConfig
from model.cpu_batch import CpuBatch
from model.gpt import GPT
from model.sequence import Sequence


def warm() -> None:
    """Compile them, or load what an earlier start has kept. Every model uses the same."""
    batch = CpuBatch(GPT(GPTConfig(block_size=4, n_layer=1, n_head=1, n_embd=8)))
    batch.join(Sequence([0], alternatives=1))
    batch.advance(8)
