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
from model.config import (
    BigramConfig,
    CorpusInfo,
    GPTConfig,
    ModelConfig,
    NGramConfig,
    RunConfig,
    TrainConfig,
)
from model.families import build_empty, build_model
from model.language_model import LanguageModel
from model.ngram import NGram
from model.run_folder import BrokenRun, Metric, RunFolder, Sample, run_folders
from model.tokenizer import CharTokenizer, train_tokenizer

SMALL = GPTConfig(vocab_size=3, block_size=4, n_layer=1, n_head=2, n_embd=8)
METRIC = Metric(
    step=5, train_loss=1.5, val_loss=1.75, learning_rate=1e-3, elapsed_s=2.5, tokens_per_s=100
)


def config(run_id: str = "small", model: ModelConfig = SMALL) -> RunConfig:
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
    x, loaded = torch.tensor([[0, 1, 2]]), folder.load_model()
    torch.testing.assert_close(loaded(x), model.eval()(x))
    assert loaded.lm_head.weight is loaded.wte.weight
    assert loaded.size == model.size


ROTARY = SMALL.model_copy(update={"position": "rotary", "norm": "rmsnorm", "qk_gain": True})


@pytest.mark.parametrize(
    "kind", [SMALL, ROTARY, BigramConfig(vocab_size=3)], ids=["learned", "rotary", "bigram"]
)
def test_a_model_that_came_back_says_the_same(tmp_path: Path, kind: ModelConfig) -> None:
    folder, model = RunFolder(tmp_path / "small"), build_model(kind)
    folder.create()
    folder.write_weights(model)
    folder.write_config(config(model=kind))
    x = torch.tensor([[0, 1, 2]])
    assert torch.equal(folder.load_model()(x), model.eval()(x))


def test_an_ngram_model_comes_back(tmp_path: Path) -> None:
    counts = NGramConfig(vocab_size=3, order=2)
    folder, model = RunFolder(tmp_path / "small"), NGram(counts)
    folder.create()
    model.count(torch.tensor([0, 1, 2, 1, 0]))
    folder.write_weights(model)
    folder.write_config(config(model=counts))
    x = torch.tensor([[0, 1, 2]])
    assert torch.equal(folder.load_model()(x), model(x))


EVERYTHING = SMALL.model_copy(
    update={"position": "rotary", "qk_gain": True, "qkv_conv": 2, "init": "gpt2", "zero_init": True}
)


@pytest.mark.parametrize(
    "kind", [SMALL, EVERYTHING, BigramConfig(vocab_size=3)], ids=["small", "everything", "bigram"]
)
def test_an_empty_model_has_shapes_and_draws_nothing(kind: ModelConfig) -> None:
    before = torch.get_rng_state()
    empty = build_empty(kind)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(parameter.is_meta for parameter in empty.parameters())
    assert not any(buffer.is_meta for buffer in empty.buffers())
    shapes = {name: tensor.shape for name, tensor in build_model(kind).state_dict().items()}
    assert {name: tensor.shape for name, tensor in empty.state_dict().items()} == shapes
    assert not any(parameter.is_meta for parameter in build_model(kind).parameters())


@pytest.mark.parametrize("build", [build_empty, build_model])
def test_weights_that_do_not_fit_are_refused(build) -> None:
    fitting = build_model(SMALL).state_dict()
    wide = torch.zeros(3, 99)
    for wrong in ({}, {**fitting, "more": wide}, {**fitting, "wte.weight": wide}):
        with pytest.raises(RuntimeError, match=r"state_dict"):
            build(SMALL).load_weights(wrong)
    with pytest.raises(RuntimeError, match="keys_1"):
        build(NGramConfig(vocab_size=3, order=1)).load_weights(
            {"keys_1": torch.tensor([1, 1]), "counts_1": torch.tensor([1, 1])}
        )


def test_weights_are_copied_into_a_model_that_has_some() -> None:
    one, other = build_model(SMALL), build_model(SMALL)
    one.load_weights(other.state_dict())
    with torch.no_grad():
        next(one.parameters()).fill_(7)
    assert not (next(other.parameters()) == 7).any()


def test_a_loaded_model_outlives_the_file_that_it_was_read_from(folder: RunFolder) -> None:
    model = folder.load_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    folder.write_weights(build_model(SMALL))
    after = folder.load_model().state_dict()
    assert not torch.equal(after["wte.weight"], before["wte.weight"])
    os.truncate(folder.weights_path(), 0)
    folder.remove()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_what_is_written_to_a_loaded_model_does_not_reach_the_disk(folder: RunFolder) -> None:
    data = folder.weights_path().read_bytes()
    for parameter in folder.load_model().parameters():
        parameter.fill_(7)
    assert folder.weights_path().read_bytes() == data


def own_memory() -> int:
    """Bytes of this process that are no file's."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Anonymous:"))


def write_zeros(path: Path, model: LanguageModel) -> None:
    """Weights in safetensors' format that never were in memory: most of the file is a hole."""
    header, end = {}, 0
    for name, tensor in model.state_dict().items():
        begin, end = end, end + tensor.nbytes
        header[name] = {"dtype": "F32", "shape": [*tensor.shape], "data_offsets": [begin, end]}
    start = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(start).to_bytes(8, "little") + start)
        file.truncate(8 + len(start) + end)


@pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="only Linux tells whose memory it is"
)
def test_weights_are_in_memory_once(tmp_path: Path) -> None:
    large = SMALL.model_copy(update={"n_embd": 512, "n_layer": 4})
    folder = RunFolder(tmp_path / "small")
    folder.create()
    write_zeros(folder.weights_path(), build_empty(large))
    folder.write_config(config(model=large))
    before = own_memory()
    model = folder.load_model()
    assert 4 * model.size > 50e6
    assert own_memory() - before < 4 * model.size + 5e6
    model(torch.tensor([[0, 1, 2]]))
    assert own_memory() - before < 4 * model.size + 10e6


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


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
def test_one_number_that_is_none_breaks_a_run(folder: RunFolder, value: float) -> None:
    model = build_model(SMALL)
    model.blocks[0].mlp.fc.weight.data[-1, -1] = value
    folder.write_weights(model)
    with pytest.raises(BrokenRun, match="finite"):
        folder.load_model()


def test_a_torn_line_of_metrics_is_an_error_not_a_number(folder: RunFolder) -> None:
    (folder.path / "metrics.jsonl").write_text('{"step": 1')
    with pytest.raises(BrokenRun, match="metrics.jsonl"):
        folder.read_metrics()
    whole = METRIC.model_dump_json()
    (folder.path / "metrics.jsonl").write_text(f"{whole}\n{whole[:-9]}\n")
    with pytest.raises(BrokenRun, match="line 2"):
        folder.read_metrics()


def test_equal_tokenizers_are_one(folder: RunFolder) -> None:
    other = RunFolder(folder.path.parent / "other")
    other.create()
    other.write_tokenizer(CharTokenizer("abc"))
    assert other.read_tokenizer() is folder.read_tokenizer()
    other.write_tokenizer(CharTokenizer("abd"))
    assert other.read_tokenizer().encode("d") == [2]
    assert folder.read_tokenizer().encode("c") == [2]


def test_a_file_that_takes_the_place_of_an_equally_old_and_large_one_is_noticed(
    folder: RunFolder,
) -> None:
    weights = folder.weights_path()
    before, final, snapshot = folder.stamp(), folder.weights_stamp(), folder.weights_stamp(2)
    times = (weights.stat().st_atime_ns, weights.stat().st_mtime_ns)
    folder.write_weights(build_model(SMALL))
    os.utime(weights, ns=times)
    assert folder.stamp() != before
    assert folder.weights_stamp() != final
    assert folder.weights_stamp(2) == snapshot


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
