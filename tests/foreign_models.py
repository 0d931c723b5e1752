"""Models as other programs leave them, small and with random weights; and bringing them in."""

import json
import math
import pickle
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nanogpt import NanoGPT, Size
from model.attention import attention_maps
from model.interop.errors import UnreadableModel
from model.interop.importing import bring_in
from model.run_folder import RunFolder
from model.tokenizer import CharTokenizer

LETTERS = "\n !abcdefgh"
SIZE = Size(block_size=12, vocab_size=len(LETTERS), n_layer=2, n_head=2, n_embd=8, bias=True)
IDS = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]
MOST_BYTES = 10_000_000
TOLERANCE = 1e-4  # of logits and maps


def chosen_at_random(model: nn.Module, seed: int = 0) -> None:
    """Every weight away from its initial value, so that none can be mistaken for another."""
    torch.manual_seed(seed)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.4)


def nanogpt(*, bias: bool = True, vocab_size: int = len(LETTERS)) -> NanoGPT:
    size = Size(**{**vars(SIZE), "bias": bias, "vocab_size": vocab_size})
    model = NanoGPT(size).eval()
    chosen_at_random(model)
    return model


def nanogpt_checkpoint(model: NanoGPT, prefix: str = "", **more: Any) -> dict[str, Any]:
    """What nanoGPT's `train.py` saves."""
    names = {
        name: name if name.startswith("lm_head") else f"transformer.{name}"
        for name in model.state_dict()
    }
    return {
        "model": {prefix + names[n]: tensor for n, tensor in model.state_dict().items()},
        "optimizer": torch.optim.AdamW(model.parameters()).state_dict(),
        "model_args": {**vars(model.size), "dropout": 0.0},
        "iter_num": 250,
        "best_val_loss": torch.tensor(1.4697),
        "config": {"dataset": "letters", "device": "cuda"},
        **more,
    }


def save_nanogpt(folder: Path, checkpoint: dict[str, Any], letters: str | None = LETTERS) -> Path:
    """`ckpt.pt` in a folder, with its `meta.pkl` if there are letters."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint, folder / "ckpt.pt")
    if letters is not None:
        (folder / "meta.pkl").write_bytes(pickle.dumps(meta(letters)))
    return folder


def meta(letters: str) -> dict[str, Any]:
    """What nanoGPT keeps of a vocabulary."""
    itos = dict(enumerate(letters))
    return {
        "vocab_size": len(letters),
        "itos": itos,
        "stoi": {letter: i for i, letter in itos.items()},
    }


@torch.no_grad()
def plainly_read(model: NanoGPT, ids: list[int]) -> tuple[Tensor, Tensor]:
    """Logits (T, V) and maps (layer, head, T, T), worked out a head and a position at a time."""
    weights, size = model.state_dict(), model.size
    x = weights["wte.weight"][ids] + weights["wpe.weight"][: len(ids)]
    maps = []
    for layer in range(size.n_layer):
        block = {n.removeprefix(f"h.{layer}."): w for n, w in weights.items() if f"h.{layer}." in n}
        q, k, v = _affine(_normed(x, block, "ln_1"), block, "attn.c_attn").chunk(3, dim=1)
        heads = list(zip(*(part.chunk(size.n_head, dim=1) for part in (q, k, v)), strict=True))
        maps.append([_looked_at(q, k) for q, k, _ in heads])
        mixed = torch.cat([seen @ v for seen, (_, _, v) in zip(maps[-1], heads, strict=True)], 1)
        x = x + _affine(mixed, block, "attn.c_proj")
        hidden = _affine(_normed(x, block, "ln_2"), block, "mlp.c_fc")
        hidden = hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2
        x = x + _affine(hidden, block, "mlp.c_proj")
    logits = _normed(x, weights, "ln_f") @ weights["lm_head.weight"].T
    return logits, torch.stack([torch.stack(layer) for layer in maps])


def _affine(x: Tensor, weights: dict[str, Tensor], name: str) -> Tensor:
    return x @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", torch.tensor(0.0))


def _normed(x: Tensor, weights: dict[str, Tensor], name: str) -> Tensor:
    deviation = (x.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
    normed = (x - x.mean(1, keepdim=True)) / deviation
    return normed * weights[f"{name}.weight"] + weights.get(f"{name}.bias", torch.tensor(0.0))


def _looked_at(q: Tensor, k: Tensor) -> Tensor:
    maps = torch.zeros(len(q), len(q))
    for i in range(len(q)):
        scores = q[i] @ k[: i + 1].T / math.sqrt(q.shape[1])
        maps[i, : i + 1] = scores.exp() / scores.exp().sum()
    return maps


class Head(nn.Module):
    """As the exercise's lecture has it; keeps what it looked at."""

    def __init__(self, width: int, size: int, block_size: int) -> None:
        super().__init__()
        self.key = nn.Linear(width, size, bias=False)
        self.query = nn.Linear(width, size, bias=False)
        self.value = nn.Linear(width, size, bias=False)
        self.register_buffer("tril", torch.tril(torch.ones(block_size, block_size)))

    def forward(self, x: Tensor) -> Tensor:
        T = len(x)
        scores = self.query(x) @ self.key(x).T * self.key.out_features**-0.5
        self.seen = F.softmax(scores.masked_fill(self.tril[:T, :T] == 0, -torch.inf), dim=-1)
        return self.seen @ self.value(x)


class Heads(nn.Module):
    def __init__(self, width: int, count: int, block_size: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(Head(width, width // count, block_size) for _ in range(count))
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(torch.cat([head(x) for head in self.heads], dim=-1))


class FeedForward(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        layers = [nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width)]
        self.net = nn.Sequential(*layers, nn.Dropout(0.1))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class LectureBlock(nn.Module):
    def __init__(self, width: int, count: int, block_size: int) -> None:
        super().__init__()
        self.sa = Heads(width, count, block_size)
        self.ffwd = FeedForward(width)
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.sa(self.ln1(x))
        return x + self.ffwd(self.ln2(x))


class LectureModel(nn.Module):
    """The exercise's model with the lecture's names, for one text at a time: ids (T) -> (T, V)."""

    def __init__(self, *, n_layer: int = 2, n_head: int = 4, width: int = 8) -> None:
        super().__init__()
        block_size = SIZE.block_size
        self.token_embedding_table = nn.Embedding(len(LETTERS), width)
        self.position_embedding_table = nn.Embedding(block_size, width)
        blocks = [LectureBlock(width, n_head, block_size) for _ in range(n_layer)]
        self.blocks = nn.Sequential(*blocks)
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, len(LETTERS))
        chosen_at_random(self)
        self.eval()

    @torch.no_grad()
    def forward(self, ids: list[int]) -> Tensor:
        x = (
            self.token_embedding_table.weight[ids]
            + self.position_embedding_table.weight[: len(ids)]
        )
        return self.lm_head(self.ln_f(self.blocks(x)))

    def maps(self, ids: list[int]) -> Tensor:
        """What each head looked at: (layer, head, T, T)."""
        self(ids)
        return torch.stack(
            [torch.stack([head.seen for head in block.sa.heads]) for block in self.blocks]
        )


def save_huggingface(folder: Path, **settings: Any) -> Path:
    """A GPT-2 folder by hand, with a vocabulary beside it, and `settings` in its `config.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    model = nanogpt()
    turned = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
    tensors = {
        f"transformer.{n}": w.T.contiguous() if n.endswith(turned) else w.clone()
        for n, w in model.state_dict().items()
        if not n.startswith("lm_head")
    }
    save_file(tensors, folder / "model.safetensors")
    config = {
        "model_type": "gpt2",
        "vocab_size": SIZE.vocab_size,
        "n_positions": SIZE.block_size,
        "n_layer": SIZE.n_layer,
        "n_head": SIZE.n_head,
        "n_embd": SIZE.n_embd,
        "activation_function": "gelu",
    }
    (folder / "config.json").write_text(json.dumps(config | settings))
    (folder / "vocabulary.json").write_text(json.dumps(list(LETTERS)))
    return folder


def zipped(folder: Path, archive: Path, around: str = "") -> Path:
    """A zip of all files in a folder, inside a folder `around` if that is given."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for path in sorted(folder.rglob("*")):
            out.write(path, around + path.relative_to(folder).as_posix())
    return archive


def bring(source: Path, run_id: str = "mine", **options: Any) -> RunFolder:
    """Bring a model in, beside where it comes from."""
    into = source.parent / f".into-{source.name}"
    into.mkdir()
    options = {"name": source.name, "most_bytes": MOST_BYTES} | options
    return bring_in(source, into, run_id, **options)


def refusal(source: Path, **options: Any) -> UnreadableModel:
    """Why a model is not brought in; nothing is written but to where it may be."""
    into = source.parent / f".into-{source.name}"
    before = {path: path.stat().st_mtime_ns for path in source.parent.rglob("*")}
    with pytest.raises(UnreadableModel) as refused:
        bring(source, **options)
    after = {
        path: path.stat().st_mtime_ns
        for path in source.parent.rglob("*")
        if not path.is_relative_to(into)
    }
    assert after == before
    return refused.value


def require_same(run: RunFolder, logits: Tensor, maps: Tensor, ids: Iterable[int] = IDS) -> None:
    """The run's model gives these logits (T, V) and these maps (layer, head, T, T)."""
    model, ids = run.load_model(), list(ids)
    with torch.inference_mode():
        ours = model(torch.tensor([ids]))[0]
    assert ours.shape == logits.shape
    assert (ours - logits).abs().max() < TOLERANCE
    our_maps = attention_maps(model, ids)
    assert our_maps.shape == maps.shape
    assert (our_maps - maps).abs().max() < TOLERANCE


def characters(run: RunFolder) -> str:
    tokenizer = run.read_tokenizer()
    assert isinstance(tokenizer, CharTokenizer)
    return "".join(tokenizer.vocabulary)


class Planted:
    """A pickle of it would run code when it is loaded: `call(*arguments)`."""

    def __init__(self, call: Callable[..., object], *arguments: object) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call, self.arguments
