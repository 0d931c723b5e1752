"""How likely a given text is, token by token."""

from collections.abc import Sequence as Ids
from itertools import chain

import torch
import torch.nn.functional as F
from torch import Tensor

from model.evaluation import tokens_at_once
from model.gpt import GPT
from model.language_model import LanguageModel
from model.sequence import PastContext, Token


@torch.inference_mode()
def score(
    model: LanguageModel,
    ids: Ids[int],
    alternatives: int = 0,
    past_context: PastContext = "exact",
) -> list[Token | None]:
    """Each id with its log-probability given those the model sees before it; None for the first.

    Past the context these are what it sees when it writes the text from its first token on: the
    last ones that fit, or with `jump` those of a window that fills up and jumps ahead by half.
    """
    if len(ids) < 2:
        return [None] * len(ids)
    text = torch.tensor(list(ids), device=_device(model))
    context = len(ids) if model.endless else model.block_size
    scored = _tokens(model(text[None, :context]), text[1:], alternatives)
    step = _step(context, past_context)
    windows = F.pad(text, (0, context + step))[step:].unfold(0, context, step)
    count, together = _windows(len(ids), context, step), _together(model, context)
    for first in range(0, count, together):
        logits = model(windows[first : min(first + together, count)])
        new = logits[:, context - step :]  # what the window before it did not reach
        scored += _tokens(new, text[len(scored) + 1 :], alternatives)
    return [None, *scored]


def work(model: LanguageModel, length: int, past_context: PastContext = "exact") -> int:
    """About how many multiplications it takes to `score` so many ids; 0 where it looks them up."""
    if not isinstance(model, GPT):
        return 0
    if model.endless or length <= model.block_size:
        return model.size * length
    windows = _windows(length, model.block_size, _step(model.block_size, past_context))
    return model.size * model.block_size * (1 + windows)


def _step(context: int, past_context: PastContext) -> int:
    """How many ids a full window moves on by."""
    return 1 if past_context == "exact" else context + 1 - max(context // 2, 1)


def _windows(length: int, context: int, step: int) -> int:
    """How many windows there are after the first, which says all of `context` ids."""
    return max(0, -((context + 1 - length) // step))


def _together(model: LanguageModel, context: int) -> int:
    """How many windows are read at once."""
    return max(1, tokens_at_once(_device(model).type, model.vocab_size) // context)


def _device(model: LanguageModel) -> torch.device:
    return next(chain(model.parameters(), model.buffers())).device


def _tokens(logits: Tensor, ids: Tensor, alternatives: int) -> list[Token]:
    """logits (B, T, V) of `ids`, in order; there may be fewer or more of those."""
    logprobs = logits.float().flatten(0, 1)[: len(ids)].log_softmax(-1).cpu()
    ids = ids[: len(logprobs)].cpu()
    best = logprobs.topk(min(alternatives, logprobs.shape[1]))
    tops = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    chosen = logprobs.gather(1, ids[:, None])[:, 0].tolist()
    return [
        Token(id, logprob, list(zip(*top, strict=True)))
        for id, logprob, top in zip(ids.tolist(), chosen, tops, strict=True)
    ]
