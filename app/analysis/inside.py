"""One query of one head, and how the whole model came to its next token, as a reply."""

import torch
from torch import Tensor

from app.analysis.tokens import token_id
from app.attention_schemas import (
    Attribution,
    Contribution,
    HeadRow,
    InsideReply,
    InsideRequest,
    LensRow,
)
from app.errors import InvalidRequest
from app.reading import Window
from model.attribution import Part, attribute
from model.inside import QueryRow, query_row
from model.logit_lens import logit_lens
from model.trace import Trace

DECIMALS = 7


def look_inside(window: Window, body: InsideRequest) -> InsideReply:
    """Raises InvalidRequest for a head, a position or a token that is not there."""
    layer, _ = window.place(body.layer, 0, "layer")
    _, head = window.place(0, body.head, "head")
    query = _query(window, body.query)
    target = None if body.target is None else token_id(window, body.target)
    trace = Trace()
    with torch.inference_mode():
        window.model(torch.tensor([window.ids], device=window.model.wte.weight.device), trace)
    lens = logit_lens(window.model, trace, query)
    if target is None:
        is_last = query == len(window.ids) - 1
        target = int(lens[-1].argmax()) if is_last else window.ids[query + 1]
    parts = attribute(window.model, trace, query, target)
    return InsideReply(
        **window.facts(),
        layer=layer,
        head=head,
        query=query,
        row=_row(query_row(trace.attention[layer], head, query)),
        lens=_lens(window, lens, target, body.top),
        attribution=_attribution(window, lens[-1], parts, target),
    )


def _query(window: Window, query: int | None) -> int:
    last = len(window.ids) - 1
    if query is None:
        return last
    if query > last:
        message = f"query: the positions of what is seen go from 0 to {last}, not {query}"
        raise InvalidRequest(message, param="query", code="invalid_value")
    return query


def _row(row: QueryRow) -> HeadRow:
    return HeadRow(
        scale=row.scale,
        score=_rounded(row.scores),
        scaled=_rounded(row.scaled),
        masked=row.masked.tolist(),
        weight=_rounded(row.weights),
        value=_rounded(row.values),
        weighted=_rounded(row.weighted),
    )


def _lens(window: Window, logits: Tensor, target: int, top: int) -> list[LensRow]:
    """One row for each of logits (1 + 2 n_layer, V)."""
    probabilities = logits.double().softmax(-1)
    best = probabilities.topk(min(top, probabilities.shape[1]))
    ranks = (logits > logits[:, target, None]).sum(-1) + 1
    show = window.loaded.tokenizer.token_text
    rows = []
    for i, of_row in enumerate(probabilities):
        likeliest = zip(best.indices[i].tolist(), _rounded(best.values[i]), strict=True)
        rows.append(
            LensRow(
                at="embedding" if i == 0 else ("attention" if i % 2 else "mlp"),
                layer=None if i == 0 else (i - 1) // 2,
                top=[(show(id), probability) for id, probability in likeliest],
                target_probability=round(float(of_row[target]), DECIMALS),
                target_rank=int(ranks[i]),
            )
        )
    return rows


def _attribution(window: Window, logits: Tensor, parts: list[Part], target: int) -> Attribution:
    return Attribution(
        target=window.loaded.tokenizer.token_text(target),
        probability=round(float(logits.double().softmax(-1)[target]), DECIMALS),
        logit=round(float(logits[target] - logits.mean()), DECIMALS),
        parts=[
            Contribution(
                part=part.name,
                layer=part.layer,
                head=part.head,
                logit=round(part.logit, DECIMALS),
            )
            for part in parts
        ],
    )


def _rounded(numbers: Tensor) -> list[float]:
    return [round(number, DECIMALS) for number in numbers.tolist()]
