"""A run on disk: what is written can be read, and a kill at any moment leaves nothing torn."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from model.atomic_file import write_atomically
from model.config import CorpusInfo, GPTConfig, NGramConfig, RunConfig, TrainConfig
from model.families import build_model
from model.ngram import NGram
from model.run_folder import BrokenRun, Metric, RunFolder, Sample, run_folders
from model.tokenizer import CharTokenizer, train_tokenizer

SMALL = GPTConfig(vocab_size=3, block_size=4, n_layer=1, n_head=2, n_embd=8)
METRIC = Metric(
    step=5, train_loss=1.5, val_loss=1.75, learning_rate=1e-3, elapsed_s=2.5, tokens_per_s=100
)


def config(run_id: str = "small", model: GPTConfig | NGramConfig = SMALL) -> RunConfig:
    return RunConfig(
        id=run_id,
        title="Small",
        model=model,
        train=TrainConfig(max_iters=5),
        corpus=CorpusInfo(name="abc", sha256="0" * 64, characters=3),
        params=1,
    )


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A whole run with one snapshot."""
    torch.manual_seed(0)
    folder = RunFolder(tmp_path / "small")
    folder.create()
    folder.write_tokenizer(CharTokenizer("abc"))
    folder.write_metrics([METRIC])
    folder.write_samples([Sample(step=5, prompt="a", text="b\nc", seed=1)])
    folder.write_snapshot(2, build_model(SMALL))
    folder.write_weights(build_model(SMALL))
    folder.write_config(config())
    return folder


def test_everything_written_is_read_back(folder: RunFolder) -> None:
    assert folder.read_config().model == SMALL
    assert folder.read_tokenizer().vocabulary == ("a", "b", "c")
    assert folder.read_metrics() == [METRIC]
    assert folder.read_samples()[0].text == "b\nc"
    assert folder.snapshot_steps() == [2]


def test_weights_come_back_exactly_and_snapshots_to_half_precision(tmp_path: Path) -> None:
    folder, model = RunFolder(tmp_path / "small"), build_model(SMALL)
    folder.create()
    folder.write_weights(model)
    folder.write_snapshot(3, model)
    folder.write_config(config())
    final, snapshot = folder.load_model(), folder.load_model(step=3)
    for name, tensor in model.state_dict().items():
        assert torch.equal(final.state_dict()[name], tensor)
        torch.testing.assert_close(snapshot.state_dict()[name], tensor, rtol=1e-3, atol=1e-6)
    assert not final.training


def test_tied_weights_are_stored_once_and_stay_tied(tmp_path: Path) -> None:
    tied = SMALL.model_copy(update={"tie_weights": True, "head_bias": False})
    folder, model = RunFolder(tmp_path / "small"), build_model(tied)
    folder.create()
    folder.write_weights(model)
    folder.write_config(config(model=tied))
    x = torch.tensor([[0, 1, 2]])
    torch.testing.assert_close(folder.load_model()(x), model.eval()(x))


def test_an_ngram_model_comes_back(tmp_path: Path) -> None:
    counts = NGramConfig(vocab_size=3, order=2)
    folder, model = RunFolder(tmp_path / "small"), NGram(counts)
    folder.create()
    model.count(torch.tensor([0, 1, 2, 1, 0]))
    folder.write_weights(model)
    folder.write_config(config(model=counts))
    x = torch.tensor([[0, 1, 2]])
    assert torch.equal(folder.load_model()(x), model(x))


def test_a_folder_counts_once_its_configuration_is_there(folder: RunFolder) -> None:
    unfinished = RunFolder(folder.path.parent / "unfinished")
    unfinished.create()
    unfinished.write_tokenizer(CharTokenizer("ab"))
    (folder.path.parent / "Not A Run").mkdir()
    assert [f.id for f in run_folders(folder.path.parent)] == ["small"]
    assert run_folders(folder.path.parent / "nowhere") == []


@pytest.mark.parametrize("kind", ["character", "byte", "bpe"])
def test_every_kind_of_tokenizer_comes_back(folder: RunFolder, kind) -> None:
    tokenizer = train_tokenizer(kind, "Čtyři řádky\n" * 9, 270)
    folder.write_tokenizer(tokenizer)
    assert json.loads((folder.path / "tokenizer.json").read_bytes())["kind"] == kind
    again = folder.read_tokenizer()
    assert (again.kind, again.vocab_size) == (kind, tokenizer.vocab_size)
    assert again.encode("řádky") == tokenizer.encode("řádky")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"kind": "character", "vocabulary": ["a", "b"',
        b"[" * 200_000,
        b"\xff\xfe",
        b"null",
        b'{"vocabulary": ["a", "b", "c"]}',
        b'{"kind": "bpe", "tokenizer": {"model": {"type": "BPE", "vocab": {}, "merges": []}}}',
        b'{"kind": "bpe", "tokenizer": {"pre_tokenizer": {"type": "Split"}}}',
    ],
    ids=lambda content: content[:20],
)
def test_a_foreign_or_torn_tokenizer_is_named(folder: RunFolder, content: bytes) -> None:
    (folder.path / "tokenizer.json").write_bytes(content)
    with pytest.raises(BrokenRun, match=r"small/tokenizer\.json: "):
        folder.read_tokenizer()


def break_json(folder: RunFolder) -> None:
    (folder.path / "config.json").write_text("{")


def break_with_unknown_key(folder: RunFolder) -> None:
    document = json.loads((folder.path / "config.json").read_text())
    (folder.path / "config.json").write_text(json.dumps(document | {"colour": "red"}))


def break_by_renaming(folder: RunFolder) -> None:
    document = json.loads((folder.path / "config.json").read_text())
    (folder.path / "config.json").write_text(json.dumps(document | {"id": "other"}))


def break_by_truncation(folder: RunFolder) -> None:
    whole = (folder.path / "model.safetensors").read_bytes()
    (folder.path / "model.safetensors").write_bytes(whole[:-10])


def break_by_removal(folder: RunFolder) -> None:
    (folder.path / "model.safetensors").unlink()


def break_shapes(folder: RunFolder) -> None:
    save_file({"wte.weight": torch.zeros(2, 2)}, folder.path / "model.safetensors")


def break_with_nan(folder: RunFolder) -> None:
    model = build_model(SMALL)
    next(model.parameters()).data[0] = torch.nan
    folder.write_weights(model)


@pytest.mark.parametrize(
    ("breaking", "names"),
    [
        (break_json, "config.json"),
        (break_with_unknown_key, "colour"),
        (break_by_renaming, "config.json"),
        (break_by_truncation, "model.safetensors"),
        (break_by_removal, "model.safetensors"),
        (break_shapes, "model.safetensors"),
        (break_with_nan, "finite"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_broken_run_says_what_is_broken(folder: RunFolder, breaking, names: str) -> None:
    breaking(folder)
    with pytest.raises(BrokenRun, match=names):
        folder.load_model()


def test_a_torn_line_of_metrics_is_an_error_not_a_number(folder: RunFolder) -> None:
    (folder.path / "metrics.jsonl").write_text('{"step": 1')
    with pytest.raises(BrokenRun, match="metrics.jsonl"):
        folder.read_metrics()


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"before")

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"after")
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["file"]


WRITER = """
import itertools, sys
from pathlib import Path
from model.atomic_file import write_atomically
for i in itertools.count():
    write_atomically(Path(sys.argv[1]), bytes([i % 256]) * 3_000_000)
"""


def test_a_kill_in_the_middle_of_a_write_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for attempt in range(6):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], cwd=Path(__file__).parent.parent
        )
        while not path.exists() and writer.poll() is None:
            time.sleep(0.01)
        time.sleep(0.05 + 0.013 * attempt)
        writer.send_signal(signal.SIGKILL)
        assert writer.wait() == -signal.SIGKILL
        data = path.read_bytes()
        assert len(data) == 3_000_000 and len(set(data)) == 1
        path.unlink()


def test_a_folder_named_from_here_is_written_where_it_is_read(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = RunFolder(Path("checkpoints/small"))
    folder.create()
    folder.write_weights(build_model(SMALL))
    folder.write_snapshot(1, build_model(SMALL))
    folder.write_config(config())
    assert folder.load_model(1).block_size == folder.load_model().block_size == 4
