"""A model taken apart: what is worked out, in order, and which learned numbers each part has.

Shapes are symbols: B texts, T positions, C channels of the residual stream, H heads of D channels,
W channels inside the feed-forward layer (2W with a gate), V tokens in the vocabulary.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from model.config import BigramConfig, GPTConfig, NGramConfig
from model.language_model import LanguageModel
from model.parameter_count import feed_forward_width

PartName = Literal[
    "token_embedding",
    "position_embedding",
    "embedded",
    "norm_1",
    "qkv",
    "conv",
    "q",
    "k",
    "v",
    "scores",
    "weights",
    "mixed",
    "attention",
    "after_attention",
    "norm_2",
    "hidden",
    "activated",
    "mlp",
    "after_mlp",
    "norm",
    "table",
    "counts",
    "logits",
    "probabilities",
]
Operation = Literal[
    "look_up",
    "place",
    "add",
    "layer_norm",
    "rms_norm",
    "linear",
    "linear_bias",
    "convolve",
    "split",
    "normalise",
    "gain",
    "rotate",
    "scale",
    "mask",
    "window",
    "softmax",
    "mix",
    "join",
    "dropout",
    "relu",
    "gelu",
    "gelu_erf",
    "relu2",
    "swiglu",
    "read_table",
    "count",
    "tied",
]


@dataclass(frozen=True)
class Learned:
    """A tensor of learned numbers, as it is called in the run's file.

    A `shared` one is the same tensor as one further up, and is counted there.
    """

    name: str
    shape: tuple[int, ...]
    shared: bool = False

    @property
    def count(self) -> int:
        return 0 if self.shared else math.prod(self.shape)


@dataclass(frozen=True)
class Part:
    """A step of the forward pass: what it does, one operation after another, and what it gives.

    `layer` counts from 0 and is None outside the blocks; for the counts of an n-gram model it is
    the length of the counted sequences.
    """

    name: PartName
    shape: tuple[str, ...]
    operations: tuple[Operation, ...]
    learned: tuple[Learned, ...] = ()
    layer: int | None = None

    @property
    def count(self) -> int:
        """Learned numbers of its own."""
        return sum(tensor.count for tensor in self.learned)


def parts(model: LanguageModel) -> list[Part]:
    """In the order of the forward pass. Their counts add up to `model.size`."""
    match model.config:
        case GPTConfig() as config:
            blocks = (part for layer in range(config.n_layer) for part in _block(config, layer))
            return [*_bottom(config), *blocks, *_top(config)]
        case BigramConfig(vocab_size=V):
            return [
                Part("table", ("V", "V"), ("read_table",), (Learned("table.weight", (V, V)),)),
                Part("logits", ("B", "T", "V"), ("look_up",)),
                Part("probabilities", ("B", "T", "V"), ("softmax",)),
            ]
        case NGramConfig(order=order):
            return [_counts(model, n) for n in range(1, order + 1)]


def dimensions(config: GPTConfig | BigramConfig | NGramConfig) -> dict[str, int]:
    """How many there are of each symbol, but for B and T, which the text decides."""
    if not isinstance(config, GPTConfig):
        return {"V": config.vocab_size}
    width = feed_forward_width(config)
    sizes = {
        "C": config.n_embd,
        "H": config.n_head,
        "D": config.n_embd // config.n_head,
        "W": width,
        "V": config.vocab_size,
        "3C": 3 * config.n_embd,
    }
    return sizes | ({"2W": 2 * width} if config.activation == "swiglu" else {})


def _bottom(config: GPTConfig) -> Iterator[Part]:
    """From ids to the beginning of the residual stream."""
    V, C = config.vocab_size, config.n_embd
    stream = ("B", "T", "C")
    yield Part("token_embedding", stream, ("look_up",), (Learned("wte.weight", (V, C)),))
    if config.position == "learned":
        table = Learned("wpe.weight", (config.block_size, C))
        yield Part("position_embedding", ("T", "C"), ("place",), (table,))
        yield Part("embedded", stream, ("add",))


def _block(config: GPTConfig, layer: int) -> Iterator[Part]:
    """One block: attention, then the feed-forward layer, each on its branch off the stream."""
    C, W, path = config.n_embd, feed_forward_width(config), f"blocks.{layer}"
    stream = ("B", "T", "C")
    drop: tuple[Operation, ...] = ("dropout",) if config.dropout else ()
    gates = 2 if config.activation == "swiglu" else 1
    qkv = _linear(f"{path}.attn.qkv", 3 * C, C, bias=config.qkv_bias)
    proj = _linear(f"{path}.attn.proj", C, C, bias=config.bias)
    fc = _linear(f"{path}.mlp.fc", gates * W, C, bias=config.bias)
    down = _linear(f"{path}.mlp.proj", C, W, bias=config.bias)
    hidden = ("B", "T", "2W" if gates == 2 else "W")

    yield _norm("norm_1", f"{path}.norm_1", config, layer)
    yield Part("qkv", ("B", "T", "3C"), (_kind(qkv),), qkv, layer)
    if config.qkv_conv:
        mixture = Learned(f"{path}.attn.conv.weight", (config.qkv_conv, 3 * C))
        yield Part("conv", ("B", "T", "3C"), ("convolve",), (mixture,), layer)
    yield from _heads(config, layer)
    yield Part("attention", stream, ("join", _kind(proj), *drop), proj, layer)
    yield Part("after_attention", stream, ("add",), (), layer)
    yield _norm("norm_2", f"{path}.norm_2", config, layer)
    yield Part("hidden", hidden, (_kind(fc),), fc, layer)
    yield Part("activated", ("B", "T", "W"), (config.activation,), (), layer)
    yield Part("mlp", stream, (_kind(down), *drop), down, layer)
    yield Part("after_mlp", stream, ("add",), (), layer)


def _heads(config: GPTConfig, layer: int) -> Iterator[Part]:
    """What happens within each head."""
    each, square = ("B", "H", "T", "D"), ("B", "H", "T", "T")
    normalised: tuple[Operation, ...] = ("normalise",) if config.qk_norm else ()
    turned: tuple[Operation, ...] = ("rotate",) if config.position == "rotary" else ()
    sharpened: tuple[Operation, ...] = ("gain",) if config.qk_gain else ()
    gain = Learned(f"blocks.{layer}.attn.gain", (config.n_head, 1, 1))
    own = (gain,) if config.qk_gain else ()
    mask: Operation = "mask" if config.attention_window is None else "window"

    yield Part("q", each, ("split", *normalised, *sharpened, *turned), own, layer)
    yield Part("k", each, ("split", *normalised, *turned), (), layer)
    yield Part("v", each, ("split",), (), layer)
    yield Part("scores", square, ("scale", mask), (), layer)
    yield Part("weights", square, ("softmax",), (), layer)
    yield Part("mixed", each, ("mix",), (), layer)


def _top(config: GPTConfig) -> Iterator[Part]:
    """From the end of the residual stream to the next token."""
    V, C = config.vocab_size, config.n_embd
    rows = Learned("lm_head.weight", (V, C), shared=config.tie_weights)
    bias = (Learned("lm_head.bias", (V,)),) if config.head_bias else ()
    tied: tuple[Operation, ...] = ("tied",) if config.tie_weights else ()
    yield _norm("norm", "norm", config, None)
    yield Part("logits", ("B", "T", "V"), (_kind((rows, *bias)), *tied), (rows, *bias))
    yield Part("probabilities", ("B", "T", "V"), ("softmax",))


def _norm(name: PartName, path: str, config: GPTConfig, layer: int | None) -> Part:
    stream = ("B", "T", "C")
    if config.norm == "rmsnorm":
        return Part(name, stream, ("rms_norm",), (), layer)
    size = (config.n_embd,)
    learned = (Learned(f"{path}.weight", size), Learned(f"{path}.bias", size))
    return Part(name, stream, ("layer_norm",), learned, layer)


def _linear(path: str, outputs: int, inputs: int, *, bias: bool) -> tuple[Learned, ...]:
    weight = Learned(f"{path}.weight", (outputs, inputs))
    return (weight, Learned(f"{path}.bias", (outputs,))) if bias else (weight,)


def _kind(learned: tuple[Learned, ...]) -> Operation:
    return "linear" if len(learned) == 1 else "linear_bias"


def _counts(model: LanguageModel, n: int) -> Part:
    """The stored counts of sequences of n tokens, and what they make of the next token."""
    stored = Learned(f"counts_{n}", tuple(model.get_buffer(f"counts_{n}").shape))
    return Part("counts", ("B", "T", "V"), ("count",), (stored,), n)
