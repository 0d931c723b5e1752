"""Writing one token after another, and reading how likely a given text is."""

from collections.abc import Iterator
from collections.abc import Sequence as Ids

import torch
from torch import Tensor

from model.batches import batch_of
from model.language_model import LanguageModel
from model.sampling import Sampling
from model.sequence import PastContext, Sequence, Token

WINDOWS_AT_ONCE = 256


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
def score(model: LanguageModel, ids: Ids[int], alternatives: int = 0) -> list[Token | None]:
    """Each id with its log-probability given those the model sees before it; None for the first."""
    if len(ids) < 2:
        return [None] * len(ids)
    alternatives = min(alternatives, model.vocab_size)
    at_once = len(ids) if model.endless else model.block_size
    rows: list[Tensor] = list(model(_batch(ids[:at_once], model))[0].float().cpu())
    if len(ids) > at_once:
        windows = _batch(ids[1:], model)[0].unfold(0, model.block_size, 1)  # (N, block_size)
        for some in windows.split(WINDOWS_AT_ONCE):
            rows += list(model(some)[:, -1].float().cpu())
    return [None] + [
        _token(i, logits, alternatives) for i, logits in zip(ids[1:], rows, strict=False)
    ]


@torch.inference_mode()
def next_logits(model: LanguageModel, ids: Ids[int]) -> Tensor:
    """(V,), float32 on the CPU: what the token after `ids` is drawn from."""
    seen = ids[-model.reach :]
    logits: Tensor = model(_batch(seen, model))[0, -1]
    return logits.float().cpu()


def _token(chosen: int, logits: Tensor, alternatives: int) -> Token:
    logprobs = logits.log_softmax(-1)
    best = logprobs.topk(alternatives)
    top = list(zip(best.indices.tolist(), best.values.tolist(), strict=True))
    return Token(chosen, float(logprobs[chosen]), top)


def _batch(ids: Ids[int], model: LanguageModel) -> Tensor:
    """ids -> (1, T) on the model's device."""
    tensors = [*model.parameters(), *model.buffers()]
    return torch.tensor([list(ids)], device=tensors[0].device)
