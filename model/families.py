"""From a configuration to an untrained model of its family."""

from model.bigram import Bigram
from model.config import BigramConfig, GPTConfig, NGramConfig
from model.gpt import GPT
from model.language_model import LanguageModel
from model.ngram import NGram


def build_model(config: GPTConfig | BigramConfig | NGramConfig) -> LanguageModel:
    """A model with initial weights drawn from torch's global generator."""
    match config:
        case GPTConfig():
            return GPT(config)
        case BigramConfig():
            return Bigram(config)
        case NGramConfig():
            return NGram(config)
