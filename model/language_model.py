"""What every family of models here is: ids in, logits of the next id out."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from model.config import BigramConfig, GPTConfig, NGramConfig


class LanguageModel(nn.Module, ABC):
    """A network or table that predicts the next token from at most `block_size` tokens."""

    config: GPTConfig | BigramConfig | NGramConfig

    @property
    @abstractmethod
    def block_size(self) -> int:
        """How many tokens of context change the prediction."""

    @property
    def endless(self) -> bool:
        """Whether `forward` takes any number of tokens, so that a text goes on without end."""
        return False

    @property
    def reach(self) -> int:
        """So many last tokens settle the prediction: nothing before them changes it."""
        return self.block_size

    @property
    def vocab_size(self) -> int:
        return self.config.vocab_size

    @property
    def size(self) -> int:
        """How many numbers it learned."""
        return sum(parameter.numel() for parameter in self.parameters())

    @abstractmethod
    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T) int64 -> logits (B, T, vocab_size), each position seeing those before it."""

    def load_weights(self, tensors: dict[str, Tensor]) -> None:
        """Take the values of `tensors`; raises RuntimeError unless names and shapes all match.

        An empty model takes the tensors themselves, so that none is copied.
        """
        is_empty = any(parameter.is_meta for parameter in self.parameters())
        self.load_state_dict(tensors, strict=True, assign=is_empty)
