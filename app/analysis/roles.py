"""What each head of a run does, as a reply."""

from dataclasses import asdict

import torch
from torch import Tensor

from app.attention_schemas import HeadScores, Role, RolesReply
from app.reading import Window
from model.head_roles import ROLES, SEQUENCES, Score, badges, repeated_length, text_scores


def score_heads(window: Window) -> RolesReply:
    """Every head's scores on the window, and on repeated random tokens."""
    config = window.model.config
    in_sight = config.attention_window
    scores = text_scores(torch.stack(window.maps()), in_sight) | window.repeated()
    random_tokens = repeated_length(config.block_size, in_sight)
    return RolesReply(
        **window.facts(),
        roles=[Role(**asdict(role)) for role in ROLES],
        heads=[
            _head(scores, layer, head)
            for layer in range(config.n_layer)
            for head in range(config.n_head)
        ],
        random_tokens=random_tokens,
        random_sequences=SEQUENCES if random_tokens else 0,
    )


def _head(scores: dict[str, Score], layer: int, head: int) -> HeadScores:
    def rounded(values: Tensor) -> float:
        return round(float(values[layer, head]), 6)

    return HeadScores(
        layer=layer,
        head=head,
        scores={role.name: rounded(scores[role.name].raw) for role in ROLES},
        corrected={
            role.name: rounded(corrected)
            for role in ROLES
            if (corrected := scores[role.name].corrected) is not None
        },
        badges=badges(scores, layer, head),
    )
