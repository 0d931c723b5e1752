"""Writing one token after another."""

from collections.abc import Iterator
from collections.abc import Sequence as Ids

import torch
from torch import Tensor

from model.batches import batch_of
from model.language_model import LanguageModel
from model.sampling import Sampling
from model.sequence import PastContext, Sequence, Token


def generate(
    model: LanguageModel,
    prompt_ids: Ids[int],
    max_tokens: int,
    sampling: Sampling | None = None,
    alternatives: int = 0,
    past_context: PastContext = "exact",
) -> Iterator[Token]:
    """Yield `max_tokens` tokens that go on from `prompt_ids`, drawn a few at a time.

    Raises ValueError for an empty prompt. The model is taken as it is now.
    """
    batch, left = batch_of(model), max_tokens
    batch.join(Sequence(prompt_ids, sampling, alternatives, past_context))
    count = 1  # the first without waiting for others
    while left > 0:
        count = min(count, left)
        yield from batch.advance(count)[0]
        left -= count
        count = min(2 * count, 32)


@torch.inference_mode()
def next_logits(model: LanguageModel, ids: Ids[int]) -> Tensor:
    """(V,), float32 on the CPU: what the token after `ids` is drawn from."""
    seen = ids[-model.reach :]
    logits: Tensor = model(_batch(seen, model))[0, -1]
    return logits.float().cpu()


def _batch(ids: Ids[int], model: LanguageModel) -> Tensor:
    """ids -> (1, T) on the model's device."""
    tensors = [*model.parameters(), *model.buffers()]
    return torch.tensor([list(ids)], device=tensors[0].device)
