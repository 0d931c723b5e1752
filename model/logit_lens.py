"""What the residual stream would say, layer by layer, if the model ended there."""

import torch
from torch import Tensor

from model.gpt import GPT
from model.trace import Trace


@torch.inference_mode()
def logit_lens(model: GPT, trace: Trace, query: int) -> Tensor:
    """The last norm and the output layer on each of `trace.stream` at position `query`.

    (1 + 2 n_layer, V) logits: behind the embeddings, then behind each layer's attention and MLP;
    the last row is the model's own output. `trace` is of one text.
    From nostalgebraist 2020, interpreting GPT: the logit lens.
    """
    stream = torch.stack([x[0, query] for x in trace.stream])  # (1 + 2 n_layer, C)
    logits: Tensor = model.lm_head(model.norm(stream))
    return logits
