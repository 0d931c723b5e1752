"""Training end to end on tiny models: what it learns, that it repeats, what it leaves behind."""

import json
import math
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from model.config import BigramConfig, NGramConfig, RunConfig, TrainConfig
from model.corpus import Corpus, text_file
from model.evaluation import even_loss, sampled_loss, whole_loss
from model.families import build_model
from model.language_model import LanguageModel
from model.optim import build_optimizers, learning_rate_factor
from model.run_folder import BrokenRun, RunFolder, run_folders
from model.tokenizer import CharTokenizer
from model.training import Trainer, snapshot_steps, train
from tests.training_fixtures import CPU, FAST, SMALL, TEXT, untimed


def run_of(corpus: Corpus, run_id: str, model=SMALL, config: TrainConfig = FAST) -> RunConfig:
    vocab_size = len(set(corpus.text))
    model = model.model_copy(update={"vocab_size": vocab_size})
    size = build_model(model).size
    return RunConfig(
        id=run_id, title=run_id, model=model, train=config, corpus=corpus.info, params=size
    )


def trained(corpus: Corpus, root: Path, run_id: str, model=SMALL, **changes) -> RunFolder:
    folder = RunFolder(root / run_id)
    config = FAST.model_copy(update=changes)
    begin(folder, run_of(corpus, run_id, model, config), corpus)
    return folder


def begin(folder: RunFolder, run: RunConfig, corpus: Corpus, **options) -> bool:
    tokenizer = CharTokenizer.from_text(corpus.text)
    return train(folder, run, corpus, tokenizer, CPU, **options)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_the_loss_falls_below_that_of_letter_frequencies(corpus, tmp_path, optimizer):
    folder = trained(corpus, tmp_path, "run", optimizer=optimizer, max_iters=150)
    metrics = folder.read_metrics()
    counts = torch.bincount(torch.tensor(folder.read_tokenizer().encode(TEXT))).double()
    entropy = -(counts / counts.sum() * (counts / counts.sum()).log()).sum()
    assert metrics[0].val_loss == pytest.approx(math.log(len(counts)), rel=0.2)  # knows nothing yet
    assert metrics[-1].val_loss < 0.8 * entropy
    assert metrics[-1].train_loss < 0.8 * entropy


def test_bigram_trains_towards_the_pairs_it_counts(corpus, tmp_path):
    folder = trained(
        corpus, tmp_path, "bigram", BigramConfig(), max_iters=400, learning_rate=0.1, batch_size=64
    )
    ids = torch.tensor(folder.read_tokenizer().encode(corpus.split()[0]))
    pairs = torch.stack((ids[:-1], ids[1:]))
    after = torch.zeros(folder.load_model().vocab_size, folder.load_model().vocab_size)
    after.index_put_(tuple(pairs), torch.ones(pairs.shape[1]), accumulate=True)
    best = -(after[tuple(pairs)] / after.sum(1)[pairs[0]]).log().mean()  # no table does better
    assert best - 0.01 < folder.read_metrics()[-1].train_loss < best + 0.1


def test_one_seed_gives_one_run_bit_for_bit_and_another_seed_another(corpus, tmp_path):
    first, again, other = (
        trained(corpus, tmp_path / str(i), "run", seed=seed) for i, seed in enumerate((7, 7, 8))
    )
    for step in [*first.snapshot_steps(), None]:
        assert first.weights_path(step).read_bytes() == again.weights_path(step).read_bytes()
        assert first.weights_path(step).read_bytes() != other.weights_path(step).read_bytes()
    assert untimed(first) == untimed(again) != untimed(other)
    assert first.read_samples() == again.read_samples() != other.read_samples()


def test_a_run_is_evaluated_sampled_and_kept_where_asked(corpus, tmp_path):
    folder = trained(corpus, tmp_path, "run")
    assert [metric.step for metric in folder.read_metrics()] == [0, 10, 20, 30, 40]
    assert folder.snapshot_steps() == snapshot_steps(40, 3)
    assert [sample.step for sample in folder.read_samples()] == [*snapshot_steps(40, 3), 40]
    estimates = [metric.estimate for metric in folder.read_metrics()]
    assert estimates[:-1] == [None] * 4 and estimates[-1] is not None
    ids = torch.tensor(folder.read_tokenizer().encode(corpus.split()[1]))
    final = whole_loss(folder.load_model(), ids, 8)
    assert final == pytest.approx(folder.read_metrics()[-1].val_loss, abs=1e-5)


def test_looking_at_a_run_does_not_change_it(corpus, tmp_path):
    """Evaluations and snapshots draw nothing from the randomness that training draws from."""
    model = SMALL.model_copy(update={"dropout": 0.2})
    often = trained(corpus, tmp_path / "a", "run", model, eval_interval=1, snapshots=40)
    seldom = trained(corpus, tmp_path / "b", "run", model, eval_interval=40, snapshots=1)
    assert often.weights_path().read_bytes() == seldom.weights_path().read_bytes()
    assert untimed(often)[-1] == untimed(seldom)[-1]


def test_a_snapshot_holds_the_weights_of_its_step(corpus, tmp_path):
    """Not those that training has moved on to meanwhile: a run of that length ends with them."""
    long = trained(corpus, tmp_path / "long", "run", max_iters=30, snapshots=30)
    for step in (3, 9):
        assert step in long.snapshot_steps()
        short = trained(corpus, tmp_path / str(step), "run", max_iters=step)
        kept, final = long.load_model(step).state_dict(), short.load_model().state_dict()
        for name, tensor in final.items():
            assert torch.equal(kept[name], tensor.half().float()), name


def test_without_snapshots_the_folder_becomes_a_run_at_the_end(corpus, tmp_path):
    folder = trained(corpus, tmp_path, "run", snapshots=0)
    assert folder.snapshot_steps() == []
    assert folder.read_config().id == "run"
    assert [sample.step for sample in folder.read_samples()] == [40]


def test_a_disk_that_refuses_ends_the_training(corpus, tmp_path, monkeypatch):
    def refuse(self, metrics):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunFolder, "write_metrics", refuse)
    threads = torch.get_num_threads()
    with pytest.raises(OSError, match="No space left"):
        trained(corpus, tmp_path, "run")
    assert RunFolder(tmp_path / "run").snapshot_steps()[:1] == [0]  # what was written stays
    assert not RunFolder(tmp_path / "run").weights_path().exists()
    assert torch.get_num_threads() == threads


def test_an_ngram_trains_in_one_pass(corpus, tmp_path):
    folder = trained(corpus, tmp_path, "ngram", NGramConfig(order=3))
    (metric,) = folder.read_metrics()
    ids = torch.tensor(folder.read_tokenizer().encode(corpus.split()[0]))
    kinds = sum(len(ids.unfold(0, n, 1).unique(dim=0)) for n in (1, 2, 3))
    assert folder.read_config().params == kinds
    assert metric.val_loss < 1.5
    assert folder.load_model()(ids[None, :4]).shape == (1, 4, len(set(TEXT)))


def test_config_json_appears_with_the_first_snapshot(corpus, tmp_path, monkeypatch):
    folder, seen = RunFolder(tmp_path / "run"), []
    write_snapshot, write_config = RunFolder.write_snapshot, RunFolder.write_config

    def snapshot(self, step, model):
        seen.append(("snapshot", step, (folder.path / "config.json").exists()))
        write_snapshot(self, step, model)

    def config(self, run):
        seen.append(("config", self.snapshot_steps(), self.read_tokenizer().vocab_size))
        write_config(self, run)

    monkeypatch.setattr(RunFolder, "write_snapshot", snapshot)
    monkeypatch.setattr(RunFolder, "write_config", config)
    begin(folder, run_of(corpus, "run"), corpus)
    assert seen[:2] == [("snapshot", 0, False), ("config", [0], len(set(TEXT)))]
    assert [kind for kind, *_ in seen].count("config") == 1


def test_a_text_too_short_for_the_window_is_refused(tmp_path):
    path = tmp_path / "short.txt"
    path.write_text("To be, or not to be: that is the question. " * 2)
    corpus = text_file(path)
    run = run_of(corpus, "run", SMALL.model_copy(update={"block_size": 64}))
    with pytest.raises(ValueError, match="too few for a window of 64"):
        Trainer(RunFolder(tmp_path / "run"), run, corpus, CharTokenizer.from_text(corpus.text), CPU)
    assert not (tmp_path / "run").exists()


# Steps and rates


def test_snapshots_are_about_even_in_the_logarithm():
    steps = snapshot_steps(5000, 10)
    assert steps[0] == 0 and steps == sorted(set(steps)) and steps[-1] < 5000
    ratios = [b / a for a, b in zip(steps[3:], [*steps[4:], 5000], strict=True)]
    assert ratios == pytest.approx([5000**0.1] * len(ratios), rel=0.1)
    assert snapshot_steps(5000, 0) == []
    assert snapshot_steps(1, 10) == [0]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", {0: 0.1, 9: 1, 10: 1, 60: 1, 109: 1}),
        ("linear", {0: 0.1, 9: 1, 10: 1, 60: 0.55, 85: 0.325}),
        ("cosine", {4: 0.5, 10: 1, 60: 0.55, 35: 0.1 + 0.9 * (2 + 2**0.5) / 4}),
        ("wsd", {9: 1, 60: 1, 90: 1, 100: 0.55, 105: 0.325}),
    ],
)
def test_schedules_follow_their_formulas(schedule, expected):
    config = TrainConfig(
        max_iters=110, warmup_iters=10, schedule=schedule, decay_fraction=0.2, final_lr_ratio=0.1
    )
    factors = {step: learning_rate_factor(config, step) for step in expected}
    assert factors == pytest.approx(expected)


def test_muon_takes_exactly_the_matrices_inside_the_blocks():
    model = build_model(SMALL.model_copy(update={"vocab_size": 30, "n_layer": 2, "qkv_conv": 2}))
    adamw, muon = build_optimizers(model, FAST.model_copy(update={"optimizer": "muon"}))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    given = {
        type(optimizer).__name__: {
            names[id(p)] for g in optimizer.param_groups for p in g["params"]
        }
        for optimizer in (adamw, muon)
    }
    matrices = {"attn.qkv.weight", "attn.proj.weight", "mlp.fc.weight", "mlp.proj.weight"}
    assert given["Muon"] == {f"blocks.{i}.{matrix}" for i in (0, 1) for matrix in matrices}
    assert given["AdamW"] == set(names.values()) - given["Muon"]
    (alone,) = build_optimizers(model, FAST)
    assert sum(len(group["params"]) for group in alone.param_groups) == len(names)


@pytest.mark.parametrize("shape", [(16, 16), (48, 16), (16, 64)])
def test_muon_steps_along_the_orthogonal_factor_of_the_gradient(shape):
    """Against U V' of the SVD; five Newton-Schulz steps bring singular values to about 1."""
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.zeros(shape))
    weight.grad = torch.randn(shape)
    u, _, vh = torch.linalg.svd(weight.grad, full_matrices=False)
    torch.optim.Muon([weight], lr=1.0, weight_decay=0.0).step()
    values = torch.linalg.svdvals(weight.detach())
    values = values / max(1, shape[0] / shape[1]) ** 0.5  # Muon steps further on tall matrices
    assert values.min() > 0.5 and values.max() < 1.3
    assert F.cosine_similarity(-weight.detach().flatten(), (u @ vh).flatten(), dim=0) > 0.95


# Evaluation


class Counting(LanguageModel):
    """Logits of its own for each id, and a record of every window it was shown."""

    block_size = 8

    def __init__(self) -> None:
        super().__init__()
        self.config = BigramConfig(vocab_size=5)
        self.table = torch.nn.Parameter(torch.randn(5, 5, generator=torch.manual_seed(3)))
        self.windows = 0

    def forward(self, ids):
        self.windows += len(ids)
        past = F.one_hot(ids, 5).float().cumsum(1) / 8  # so that the place in the window matters
        return self.table[ids] + past


@pytest.mark.parametrize("length", [9, 16, 17, 18, 100])
def test_whole_loss_counts_each_token_once(length):
    model = Counting()
    ids = torch.randint(5, (length,), generator=torch.manual_seed(1))
    losses = []
    for target in range(1, length):
        # Windows lie side by side from the start.
        begin = (target - 1) // 8 * 8
        logits = model(ids[None, begin:target])[0, -1]
        losses.append(-logits.log_softmax(-1)[ids[target]].item())
    assert whole_loss(model, ids, 8) == pytest.approx(sum(losses) / (length - 1), abs=1e-5)


def test_sampled_and_even_loss_agree_with_the_loss_over_every_window():
    model = Counting()
    ids = torch.randint(5, (2000,), generator=torch.manual_seed(1))
    every = ids.unfold(0, 9, 1)
    logits = model(every[:, :-1])
    losses = F.cross_entropy(logits.flatten(0, 1), every[:, 1:].flatten(), reduction="none")
    means = losses.view(len(every), 8).mean(1)
    error = means.std().item() / 800**0.5
    model.windows = 0
    sampled = sampled_loss(model, ids, 8, 800, torch.Generator().manual_seed(2))
    assert model.windows == 800
    assert abs(sampled - means.mean().item()) < 4 * error
    assert abs(even_loss(model, ids, 8, 1600) - means.mean().item()) < 4 * error


def test_the_estimate_takes_as_many_windows_as_the_exercise(corpus, tmp_path, monkeypatch):
    windows = []

    def counted(model, ids, window, count, generator):
        windows.append((window, count))
        return sampled_loss(model, ids, window, count, generator)

    monkeypatch.setattr("model.recording.sampled_loss", counted)
    trained(corpus, tmp_path, "run", max_iters=2, eval_iters=6, batch_size=8)
    assert windows == [(8, 48), (8, 48)]


# A process that dies


@pytest.mark.slow
def test_a_killed_training_leaves_a_folder_whose_snapshots_load(corpus, tmp_path):
    folder = RunFolder(tmp_path / "checkpoints" / "run")
    config = TrainConfig(max_iters=1_000_000, batch_size=8, eval_interval=5, snapshots=60)
    run = run_of(corpus, "run", config=config)
    script = (
        "import json, sys, torch; from pathlib import Path; from model.config import RunConfig\n"
        "from model.corpus import text_file; from model.run_folder import RunFolder\n"
        "from model.tokenizer import CharTokenizer; from model.training import train\n"
        "run, text, folder = json.loads(sys.stdin.read())\n"
        "run, corpus = RunConfig.model_validate_json(run), text_file(Path(text))\n"
        "tokenizer = CharTokenizer.from_text(corpus.text)\n"
        "train(RunFolder(Path(folder)), run, corpus, tokenizer, torch.device('cpu'))\n"
    )
    job = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, text=True)
    job.stdin.write(
        json.dumps([run.model_dump_json(), str(tmp_path / "text.txt"), str(folder.path)])
    )
    job.stdin.close()
    deadline = time.monotonic() + 240  # importing torch may take a minute
    while len(folder.snapshot_steps()) < 4 and job.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    job.send_signal(signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL

    assert [found.id for found in run_folders(folder.path.parent)] == ["run"]
    assert folder.read_config() == run
    assert len(folder.snapshot_steps()) >= 4
    for step in folder.snapshot_steps():
        assert folder.load_model(step).vocab_size == len(set(TEXT))
    assert folder.read_metrics()[0].step == 0
    assert len(folder.read_samples()) >= len(folder.snapshot_steps()) - 1
    with pytest.raises(BrokenRun, match=r"model\.safetensors"):
        folder.load_model()  # no final weights, and it says so
