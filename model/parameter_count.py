"""How many numbers a model learns, told from its configuration without building it."""

from model.config import BigramConfig, GPTConfig, ModelConfig, NGramConfig


def parameter_count(config: ModelConfig) -> int:
    """The size of a new model of `config`; an n-gram model has counted nothing yet."""
    match config:
        case GPTConfig():
            tables = token_tables(config) + position_table(config)
            return tables + config.n_layer * one_block(config) + _norm(config)
        case BigramConfig():
            return config.vocab_size**2
        case NGramConfig():
            return 0


def token_tables(config: GPTConfig) -> int:
    """Numbers that every token of the vocabulary has for itself: embeddings and logits."""
    tables = 1 if config.tie_weights else 2
    return config.vocab_size * (tables * config.n_embd + config.head_bias)


def position_table(config: GPTConfig) -> int:
    """Numbers of the learned positions."""
    return config.block_size * config.n_embd if config.position == "learned" else 0


def one_block(config: GPTConfig) -> int:
    """Numbers in one block."""
    C, W = config.n_embd, feed_forward_width(config)
    size = block_matrices(config) + 2 * _norm(config) + 3 * C * config.qkv_conv
    if config.qkv_bias:
        size += 3 * C
    if config.bias:
        size += C + _gates(config) * W + C
    if config.qk_gain:
        size += config.n_head
    return size


def block_matrices(config: GPTConfig) -> int:
    """Numbers in one block's matrices: queries, keys, values, output and feed-forward."""
    C, W = config.n_embd, feed_forward_width(config)
    return 3 * C * C + C * C + _gates(config) * C * W + W * C


def feed_forward_width(config: GPTConfig) -> int:
    """W: how wide the feed-forward layer is."""
    return round(config.mlp_ratio * config.n_embd)


def _gates(config: GPTConfig) -> int:
    return 2 if config.activation == "swiglu" else 1


def _norm(config: GPTConfig) -> int:
    return 2 * config.n_embd if config.norm == "layernorm" else 0
