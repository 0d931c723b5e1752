"""The simplest neural language model: a table of next-token logits."""

from torch import Tensor, nn

from model.config import BigramConfig
from model.language_model import LanguageModel


class Bigram(LanguageModel):
    """Row i of the table holds the logits of whatever follows token i."""

    def __init__(self, config: BigramConfig) -> None:
        super().__init__()
        self.config: BigramConfig = config
        self.table = nn.Embedding(config.vocab_size, config.vocab_size)

    @property
    def block_size(self) -> int:
        return 1

    def forward(self, ids: Tensor) -> Tensor:
        logits: Tensor = self.table(ids)  # (B, T, V)
        return logits
