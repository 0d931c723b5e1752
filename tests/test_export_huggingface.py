"""A run taken out as a GPT-2 folder does in transformers what it does here."""

import json
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from model.attention import attention_maps
from model.config import GPTConfig
from model.gpt import GPT
from model.interop.exporting import export_run
from model.interop.importing import bring_in
from model.run_folder import RunFolder
from model.tokenizer import BPETokenizer, ByteTokenizer, CharTokenizer, Tokenizer
from tests.conftest import write_run
from tests.test_tokenizer_gpt2 import DOCUMENT, END

SHIPPED = Path(__file__).resolve().parents[1] / "checkpoints"
SMALL = GPTConfig(block_size=24, n_layer=3, n_head=2, n_embd=16)
TEXT = "To be, or not to be:\n\n  that's the question\t12 €ř🙂"
DESIGNS = {
    "exercise": (SMALL, CharTokenizer(sorted(set(TEXT)))),
    "gpt2": (
        SMALL.model_copy(
            update={
                "activation": "gelu",
                "qkv_bias": True,
                "head_bias": False,
                "tie_weights": True,
                "dropout": 0.1,
            }
        ),
        BPETokenizer.from_huggingface(DOCUMENT),
    ),
    "nanogpt": (
        SMALL.model_copy(
            update={
                "activation": "gelu_erf",
                "bias": False,
                "head_bias": False,
                "tie_weights": True,
            }
        ),
        ByteTokenizer(),
    ),
    "own": (
        SMALL.model_copy(
            update={"activation": "relu2", "qkv_bias": True, "mlp_ratio": 2.7, "block_size": 600}
        ),
        BPETokenizer.train(TEXT * 3, 270),
    ),
}


class Warned(logging.Handler):
    """Keeps what transformers has to say about what it loads."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@dataclass(frozen=True)
class Taken:
    """A run, and what transformers makes of it."""

    run: RunFolder
    ours: GPT
    tokenizer: Tokenizer
    path: Path
    theirs: AutoModelForCausalLM
    their_tokenizer: AutoTokenizer
    said: list[str]


def taken(run: RunFolder, path: Path) -> Taken:
    """`run` taken out to `path` and loaded, with all the warnings on the way."""
    path.mkdir()
    files = export_run(run, "huggingface", path)
    assert all(file == path / name for name, file in files.items())
    heard = Warned()
    transformers_logging.add_handler(heard)
    try:
        with warnings.catch_warnings(action="error"):
            theirs, loading = AutoModelForCausalLM.from_pretrained(
                path, attn_implementation="eager", output_loading_info=True
            )
            their_tokenizer = AutoTokenizer.from_pretrained(path)
    finally:
        transformers_logging.remove_handler(heard)
    said = heard.messages + [f"{name}: {what}" for name, what in loading.items() if what]
    ours = run.load_model()
    assert isinstance(ours, GPT)
    return Taken(run, ours, run.read_tokenizer(), path, theirs.eval(), their_tokenizer, said)


@pytest.fixture(scope="module", params=[*DESIGNS, "baseline"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Taken:
    root = tmp_path_factory.mktemp(request.param)
    if request.param == "baseline":
        return taken(RunFolder(SHIPPED / "baseline"), root / "out")
    config, tokenizer = DESIGNS[request.param]
    config = config.model_copy(update={"vocab_size": tokenizer.vocab_size})
    run = write_run(root, "small", config, tokenizer=tokenizer)
    torch.manual_seed(0)
    model = run.load_model()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    run.write_weights(model)
    return taken(run, root / "out")


@torch.inference_mode()
def test_logits_and_maps_are_the_same(pair: Taken) -> None:
    assert pair.said == [], "nothing is missing, left over or strange"
    ids = torch.randint(
        0, pair.ours.vocab_size, (2, 24), generator=torch.Generator().manual_seed(1)
    )
    logits = pair.ours(ids)
    found = pair.theirs(ids, output_attentions=True)
    assert (found.logits - logits).abs().max() < 1e-5 * logits.abs().max()
    maps = torch.stack(found.attentions)[:, 0]
    assert (maps - attention_maps(pair.ours, ids[0].tolist())).abs().max() < 1e-5


@torch.inference_mode()
def test_it_writes_the_same_text(pair: Taken) -> None:
    ids = torch.tensor([[3, 1, 2]])
    written = pair.theirs.generate(ids, do_sample=False, max_length=12, pad_token_id=0)[0].tolist()
    while ids.shape[1] < len(written):
        ids = torch.cat((ids, pair.ours(ids)[:, -1:].argmax(-1)), dim=1)
    assert written == ids[0].tolist()
    assert len(written) == 12 or written[-1] == pair.tokenizer.end_id


def test_a_text_has_the_same_ids(pair: Taken) -> None:
    ours, theirs = pair.tokenizer, pair.their_tokenizer
    assert len(theirs) == ours.vocab_size
    texts = ["", "\n", "  to be ", "that's\n\n 12"]
    if ours.kind != "character":
        texts += [f"{END}a{END}\n€", "1" * 200, "\r\x00 �"]
    for text in texts:
        if isinstance(ours, CharTokenizer):
            text = "".join(c for c in text if c in ours.vocabulary)
        ids = theirs(text).input_ids
        assert ids == ours.encode(text)
        assert theirs.decode(ids) == text


def test_where_a_text_ends_is_said_or_not(pair: Taken) -> None:
    end = pair.tokenizer.end_id
    assert pair.theirs.config.eos_token_id == pair.theirs.generation_config.eos_token_id == end
    assert pair.theirs.config.bos_token_id == end
    assert pair.their_tokenizer.eos_token == (None if end is None else END)


@torch.inference_mode()
def test_it_comes_in_again(pair: Taken, tmp_path: Path) -> None:
    again = bring_in(pair.path, tmp_path, "again", name="small", most_bytes=10**7)
    ids = torch.randint(
        0, pair.ours.vocab_size, (1, 24), generator=torch.Generator().manual_seed(2)
    )
    logits = pair.ours(ids)
    assert (again.load_model()(ids) - logits).abs().max() < 1e-5 * logits.abs().max()
    assert again.read_tokenizer().document() == pair.tokenizer.document()


def test_what_is_not_in_the_vocabulary_is_an_error(pair: Taken) -> None:
    if pair.tokenizer.kind == "character":
        with pytest.raises(Exception, match="WordLevel error"):
            pair.their_tokenizer("to ß be")


def test_the_folder_says_what_it_is(pair: Taken) -> None:
    config = json.loads((pair.path / "config.json").read_text())
    dropout = pair.ours.config.dropout
    assert (config["attn_pdrop"], config["resid_pdrop"], config["embd_pdrop"]) == (
        dropout,
        dropout,
        0,
    )
    text = (pair.path / "README.md").read_text()
    assert config["sidelight"]["run"] == pair.run.id
    assert f"Run `{pair.run.id}` of Sidelight:" in text
    is_doubled = pair.ours.config.head_bias
    assert config["n_embd"] == pair.ours.config.n_embd * (2 if is_doubled else 1)
    assert ("n_embd is twice the run's" in text) == is_doubled
    assert ("n_embd is twice" in config["sidelight"]["note"]) == is_doubled
