"""transformers' GPT-2 of a given size, a peer of `generation.py`."""

import nanogpt
import torch
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.utils import logging

from model.config import GPTConfig


class Transformers:
    """Random weights, its own growing cache, torch's fused attention; all its biases are there."""

    def __init__(self, config: GPTConfig) -> None:
        logging.set_verbosity_error()
        self._context = config.block_size
        self.model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=config.vocab_size,
                n_positions=config.block_size,
                n_layer=config.n_layer,
                n_head=config.n_head,
                n_embd=config.n_embd,
                bos_token_id=None,
                eos_token_id=None,
                pad_token_id=0,
                attn_implementation="sdpa",
            )
        ).eval()

    def sample(self, ids: list[int], max_new_tokens: int) -> list[int]:
        """What it writes after `ids`, drawn as nanoGPT's `sample.py` draws."""
        inside = min(max_new_tokens, max(0, self._context - len(ids)))
        x = torch.tensor([ids])
        if inside:
            x = self.model.generate(
                x,
                attention_mask=torch.ones_like(x),
                max_new_tokens=inside,
                do_sample=True,
                temperature=nanogpt.TEMPERATURE,
                top_k=nanogpt.TOP_K,
                use_cache=True,
            )
        written: list[int] = self._past(x, max_new_tokens - inside)[0].tolist()
        return written

    @torch.no_grad()
    def _past(self, x: torch.Tensor, max_new_tokens: int) -> torch.Tensor:
        """Past the context its `generate` fails: there is no position left for another token."""
        for _ in range(max_new_tokens):
            window = x[:, -self._context :]
            logits = self.model(window, use_cache=False, logits_to_keep=1).logits[:, -1]
            best = logits.topk(min(nanogpt.TOP_K, logits.shape[-1])).values[:, -1:]
            logits = logits.masked_fill(logits < best, -torch.inf) / nanogpt.TEMPERATURE
            drawn = torch.multinomial(F.softmax(logits, dim=-1), 1)
            x = torch.cat((x, drawn), dim=1)
        return x
