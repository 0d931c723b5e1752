"""Writing the slow and plain way: the whole window anew for every token, and a draw by hand."""

import random
from collections.abc import Sequence

import torch

from model.batch import Batch
from model.language_model import LanguageModel
from model.sampling import COLDEST, Sampling, distribution
from model.sequence import Sequence as Text
from model.sequence import Token


def drawn(
    logits: torch.Tensor,
    sampling: Sampling,
    history: Sequence[int],
    u: float,
    added: Sequence[int] = (),
) -> int:
    """The first id at which the probabilities (V,), added up in order, pass `u`.

    `added` are those of `history` that are not the prompt's.
    """
    p = distribution(logits, sampling, history, added).double()
    if sampling.temperature < COLDEST:
        return int(p.argmax())
    return int((p.cumsum(0) <= u * p.sum()).sum())


def written(
    model: LanguageModel, ids: Sequence[int], count: int, sampling: Sampling, jump: bool = False
) -> tuple[list[int], list[float]]:
    """The ids that follow, and their log-probabilities."""
    dice, ids, logprobs = random.Random(sampling.seed), list(ids), []
    start, prompt = 0 if model.endless else max(0, len(ids) - model.block_size), len(ids)
    for _ in range(count):
        if len(ids) - start > model.block_size and not model.endless:
            start = len(ids) - (max(model.block_size // 2, 1) if jump else model.block_size)
        with torch.no_grad():
            logits = model(torch.tensor([ids[start:]]))[0, -1]
        chosen = drawn(logits, sampling, ids, dice.random(), ids[prompt:])
        ids.append(chosen)
        logprobs.append(float(logits.log_softmax(-1)[chosen]))
    return ids[-count:], logprobs


def written_in_turns(batch: Batch, texts: list[Text]) -> dict[Text, list[Token]]:
    """What five texts become that join the batch, leave it and come back every few tokens."""
    found: dict[Text, list[Token]] = {text: [] for text in texts}
    for turn in range(24):
        coming, going = texts[turn % 5], texts[(turn * 2 + 1) % 5]
        if coming not in batch.sequences:
            batch.join(coming)
        if going is not coming and going in batch.sequences:
            batch.leave(going)
        for text, tokens in zip(batch.sequences, batch.advance(1 + turn % 3), strict=True):
            found[text] += tokens
    return found
