"""A run with and without some of its heads, as replies."""

import random

import torch
from torch import Tensor

from app.attention_schemas import (
    AblationReply,
    AblationRequest,
    ImportanceReply,
    ImportanceRequest,
    NextToken,
)
from app.errors import InvalidRequest
from app.patience import require_patience
from app.reading import Window
from model.ablation import Fill, head_means, importance, token_losses, without_heads
from model.decoding import generate, next_logits
from model.gpt import GPT
from model.sampling import Sampling
from model.tokenizer import TextDecoder

DECIMALS = 7


def switch_off(window: Window, body: AblationRequest) -> AblationReply:
    """Raises InvalidRequest for a head that is not there."""
    heads = list(dict.fromkeys(window.place(layer, head, "heads") for layer, head in body.heads))
    before = window.model
    after = without_heads(before, heads, _fill(window, body.fill))
    sampling = Sampling(
        temperature=body.temperature,
        top_k=body.top_k,
        top_p=body.top_p,
        seed=random.getrandbits(63) if body.seed is None else body.seed,
    )
    losses = [token_losses(model, window.ids).tolist() for model in (before, after)]
    means = [round(sum(of) / len(of), DECIMALS) if of else None for of in losses]
    texts = [_written(window, model, body.generate, sampling) for model in (before, after)]
    return AblationReply(
        **window.facts(),
        heads=[list(place) for place in heads],
        fill=body.fill,
        loss_before=means[0],
        loss_after=means[1],
        losses_before=_of_each_token(losses[0]),
        losses_after=_of_each_token(losses[1]),
        next=_next(window, before, after, body.top),
        text_before=texts[0],
        text_after=texts[1],
    )


def miss_each_head(window: Window, body: ImportanceRequest) -> ImportanceReply:
    """Raises InvalidRequest for a single token, which has no loss."""
    if len(window.ids) < 2:
        message = "text: only one token of it is seen, and a loss needs two: use a longer text"
        raise InvalidRequest(message, param="text", code="too_short")
    loss, changes = importance(window.model, window.ids, _fill(window, body.fill))
    return ImportanceReply(
        **window.facts(),
        fill=body.fill,
        loss=round(loss, DECIMALS),
        changes=[[round(change, DECIMALS) for change in layer] for layer in changes.tolist()],
    )


def _fill(window: Window, fill: Fill) -> Tensor | None:
    return head_means(window.model, window.ids) if fill == "mean" else None


def _of_each_token(losses: list[float]) -> list[float | None]:
    """With null for the first, which nothing predicts."""
    return [None, *(round(loss, DECIMALS) for loss in losses)]


def _next(window: Window, before: GPT, after: GPT, top: int) -> list[NextToken]:
    """The likeliest next tokens of either model."""
    logits = torch.stack([next_logits(model, window.ids) for model in (before, after)])
    probabilities = logits.softmax(-1)  # (2, V)
    best = probabilities.amax(0).topk(min(top, probabilities.shape[1])).indices
    return [
        NextToken(
            token=window.loaded.tokenizer.token_text(id),
            before=round(float(probabilities[0, id]), DECIMALS),
            after=round(float(probabilities[1, id]), DECIMALS),
        )
        for id in best.tolist()
    ]


def _written(window: Window, model: GPT, count: int, sampling: Sampling) -> str:
    """What `model` writes behind what is seen, as `/v1/completions` would."""
    decoder = TextDecoder(window.loaded.tokenizer, after=window.ids)
    text = ""
    for token in generate(model, window.ids, count, sampling):
        require_patience()
        text += decoder.feed(token.id)
    return text + decoder.flush()
