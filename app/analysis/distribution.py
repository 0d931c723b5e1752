"""What the next token is drawn from, stage by stage, as a reply."""

from app.analysis.tokens import token_id
from app.attention_schemas import Candidate, DistributionReply, DistributionRequest
from app.errors import InvalidRequest
from app.reading import Window
from model.decoding import next_logits
from model.sampling import Sampling, stages
from model.tokenizer import UnknownCharacters

DIGITS = 8  # significant ones: only what was left out may read 0


def stages_of_drawing(window: Window, body: DistributionRequest) -> DistributionReply:
    """Raises InvalidRequest for a token that is not there."""
    target = None if body.target is None else token_id(window, body.target)
    sampling = Sampling(
        temperature=body.temperature,
        top_k=body.top_k,
        top_p=body.top_p,
        min_p=body.min_p,
        repetition_penalty=body.repetition_penalty,
    )
    logits = next_logits(window.model, window.ids)
    found = stages(logits, sampling, _history(window, body))
    chosen = logits.topk(min(body.top, len(logits))).indices.tolist()
    if target is not None and target not in chosen:
        chosen.append(target)
    columns = zip(*(probabilities[chosen].tolist() for _, probabilities in found), strict=True)
    return DistributionReply(
        **window.facts(),
        stages=[stage for stage, _ in found],
        left=[int((probabilities > 0).sum()) for _, probabilities in found],
        candidates=[
            Candidate(
                token=window.loaded.tokenizer.token_text(id),
                id=id,
                logit=_rounded(float(logits[id])),
                probabilities=[_rounded(probability) for probability in column],
            )
            for id, column in zip(chosen, columns, strict=True)
        ],
    )


def _history(window: Window, body: DistributionRequest) -> list[int]:
    """What a repetition penalty looks at: the whole text, beyond the context too."""
    if body.repetition_penalty == 1:
        return []
    try:
        return window.loaded.tokenizer.encode(body.text)
    except UnknownCharacters as error:
        raise InvalidRequest(f"text: {error}", param="text", code="unknown_characters") from None


def _rounded(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")
