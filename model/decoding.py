"""Writing one token after another, and reading how likely a given text is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.gpt import GPT
from model.kv_cache import KeyValueCache
from model.language_model import LanguageModel
from model.sampling import Sampler, Sampling

WINDOWS_AT_ONCE = 256


@dataclass
class Token:
    """A token with its log-probability, and the likeliest ones there with theirs, best first.

    Logarithms are natural, and of the model's own distribution, before temperature and filters.
    """

    id: int
    logprob: float
    top: list[tuple[int, float]] = field(default_factory=list)


class Decoder:
    """One sequence being written; each `step` adds a token.

    What the model sees is always the last `block_size` tokens. Inside the context, keys and values
    are kept, so a step costs one position. Beyond it every token moves to a new position, which
    changes all keys and values, so a step costs the whole window: exactly what cropping gives.
    """

    def __init__(
        self,
        model: LanguageModel,
        prompt_ids: Sequence[int],
        sampling: Sampling | None = None,
        alternatives: int = 0,
    ) -> None:
        """Raises ValueError for an empty prompt."""
        if not prompt_ids:
            raise ValueError("there must be at least one token to go on from")
        self.ids = list(prompt_ids)
        self.seen = min(len(self.ids), model.block_size)
        self._model = model
        self._alternatives = min(alternatives, model.vocab_size)
        self._sampler = Sampler(sampling or Sampling())
        self._cache: KeyValueCache | None = None

    @torch.inference_mode()
    def step(self) -> Token:
        """Draw the next token and add it to `ids`."""
        logits = self._next_logits().float().cpu()  # (V,)
        token = _token(self._sampler.draw(logits, self.ids), logits, self._alternatives)
        self.ids.append(token.id)
        return token

    def _next_logits(self) -> Tensor:
        model = self._model
        if isinstance(model, GPT) and len(self.ids) <= model.block_size:
            if self._cache is None:
                self._cache = KeyValueCache(model.config, 1, like=model.wte.weight)
            new = self.ids[self._cache.length :]
            return _last(model(_batch(new, model), cache=self._cache))
        self._cache = None
        return _last(model(_batch(self.ids[-model.block_size :], model)))


def generate(
    model: LanguageModel,
    prompt_ids: Sequence[int],
    max_tokens: int,
    sampling: Sampling | None = None,
    alternatives: int = 0,
) -> Iterator[Token]:
    """Yield `max_tokens` tokens that go on from `prompt_ids`."""
    decoder = Decoder(model, prompt_ids, sampling, alternatives)
    for _ in range(max_tokens):
        yield decoder.step()


@torch.inference_mode()
def score(model: LanguageModel, ids: Sequence[int], alternatives: int = 0) -> list[Token | None]:
    """Each id with its log-probability given those the model sees before it; None for the first."""
    if len(ids) < 2:
        return [None] * len(ids)
    alternatives = min(alternatives, model.vocab_size)
    rows: list[Tensor] = list(model(_batch(ids[: model.block_size], model))[0].float().cpu())
    if len(ids) > model.block_size:
        windows = _batch(ids[1:], model)[0].unfold(0, model.block_size, 1)  # (N, block_size)
        for some in windows.split(WINDOWS_AT_ONCE):
            rows += list(model(some)[:, -1].float().cpu())
    return [None] + [
        _token(i, logits, alternatives) for i, logits in zip(ids[1:], rows, strict=False)
    ]


@torch.inference_mode()
def next_logits(model: LanguageModel, ids: Sequence[int]) -> Tensor:
    """(V,), float32 on the CPU: what a Decoder of `ids` draws its next token from."""
    return _last(model(_batch(ids[-model.block_size :], model))).float().cpu()


def _token(chosen: int, logits: Tensor, alternatives: int) -> Token:
    logprobs = logits.log_softmax(-1)
    best = logprobs.topk(alternatives)
    top = list(zip(best.indices.tolist(), best.values.tolist(), strict=True))
    return Token(chosen, float(logprobs[chosen]), top)


def _batch(ids: Sequence[int], model: LanguageModel) -> Tensor:
    """ids -> (1, T) on the model's device."""
    tensors = [*model.parameters(), *model.buffers()]
    return torch.tensor([list(ids)], device=tensors[0].device)


def _last(logits: Tensor) -> Tensor:
    """(1, T, V) -> (V,) at the last position."""
    return logits[0, -1]
