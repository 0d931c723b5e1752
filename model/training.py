"""The loop that makes a run: batches in, weights, metrics, samples and snapshots out."""

import platform
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from model.config import RunConfig
from model.corpus import Corpus
from model.families import build_model
from model.ngram import NGram
from model.optim import build_optimizers, learning_rate_factor, set_learning_rate
from model.presets import Preset
from model.recording import Recorder
from model.run_folder import Metric, RunFolder
from model.tokenizer import CharTokenizer


def run_config(preset: Preset, corpus: Corpus, run_id: str | None = None) -> RunConfig:
    """What a run of `preset` on `corpus` is made from, with the software it is made with."""
    vocab_size = CharTokenizer.from_text(corpus.text).vocab_size
    model = preset.model.model_copy(update={"vocab_size": vocab_size})
    return RunConfig(
        id=run_id or preset.id,
        title=preset.title,
        model=model,
        train=preset.train,
        corpus=corpus.info,
        params=build_model(model).size,
        hypothesis=preset.hypothesis,
        software={"python": platform.python_version(), "torch": version("torch")},
        git_commit=_git_commit(),
    )


def train(
    folder: RunFolder,
    run: RunConfig,
    corpus: Corpus,
    device: str | None = None,
    on_progress: Callable[[Metric], None] | None = None,
) -> None:
    """Train `run` on `corpus` into `folder`, on the GPU where there is one.

    The folder becomes a run with its first snapshot, or when it is done where none is asked for.
    `on_progress` gets every evaluation, in another thread. On the CPU the same configuration gives
    the same weights with the same number of threads, bit for bit. Raises OSError when the disk
    refuses, with all that was written before intact.
    """
    Trainer(folder, run, corpus, device or _best_device(), on_progress).train()


class Trainer:
    """One training run: `train` is the whole story, each method below one of its parts."""

    def __init__(
        self,
        folder: RunFolder,
        run: RunConfig,
        corpus: Corpus,
        device: str,
        on_progress: Callable[[Metric], None] | None = None,
    ) -> None:
        self.folder, self.run, self.config = folder, run, run.train
        self.on_progress = on_progress
        self.device = torch.device(device)
        self.tokenizer = CharTokenizer.from_text(corpus.text)
        self.train_ids, self.val_ids = (
            torch.tensor(self.tokenizer.encode(part), device=self.device) for part in corpus.split()
        )
        torch.manual_seed(self.config.seed)
        self.model = build_model(run.model).to(self.device)
        self.window = self.config.window or self.model.block_size
        if len(self.val_ids) <= self.window:
            raise ValueError(
                f"the validation split has {len(self.val_ids)} tokens, too few for a window of "
                f"{self.window}: shorten block_size or use a longer text"
            )
        self.snapshots = set(snapshot_steps(self.config.max_iters, self.config.snapshots))

    def train(self) -> None:
        self.folder.write_tokenizer(self.tokenizer)
        with half_the_threads() as threads:
            if isinstance(self.model, NGram):
                self._count(self.model, threads)
            else:
                self._descend(threads)
        self.folder.write_weights(self.model)
        if not self.folder.is_run():
            self.folder.write_config(self.run)

    def recorder(self, threads: int) -> Recorder:
        return Recorder(
            self.folder,
            self.run,
            self.tokenizer,
            (self.train_ids, self.val_ids),
            self.model,
            self.window,
            threads,
            self.on_progress,
        )

    def _count(self, model: NGram, threads: int) -> None:
        """An n-gram model learns in one pass."""
        with self.recorder(threads) as recorder:
            model.count(self.train_ids.cpu())
            self.run = self.run.model_copy(update={"params": model.size})
            recorder.record(self.config.max_iters, model, evaluate=True)
            recorder.wait()

    def _descend(self, threads: int) -> None:
        """Gradient descent: nothing in the loop waits for the device."""
        optimizers = build_optimizers(self.model, self.config)
        self.model.train()
        with self.recorder(threads) as recorder:
            for step, (x, y) in enumerate(self.batches()):
                snapshot, evaluate = step in self.snapshots, step % self.config.eval_interval == 0
                if snapshot or evaluate:
                    recorder.record(step, self.model, snapshot=snapshot, evaluate=evaluate)
                self.step(step, x, y, optimizers)
            recorder.record(self.config.max_iters, self.model, evaluate=True)
            recorder.wait()

    def step(
        self, step: int, x: Tensor, y: Tensor, optimizers: Sequence[torch.optim.Optimizer]
    ) -> None:
        """Move the weights once, to make y (B, T) likelier after x (B, T)."""
        set_learning_rate(optimizers, learning_rate_factor(self.config, step))
        loss = F.cross_entropy(self.model(x).flatten(0, 1), y.flatten())
        loss.backward()
        if self.config.grad_clip is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.grad_clip)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """max_iters batches x and y (B, T): windows at random places, and what follows."""
        generator = torch.Generator().manual_seed(self.config.seed)
        offsets = torch.arange(self.window, device=self.device)
        for _ in range(self.config.max_iters):
            starts = torch.randint(
                len(self.train_ids) - self.window, (self.config.batch_size, 1), generator=generator
            )
            places = starts.to(self.device, non_blocking=True) + offsets
            yield self.train_ids[places], self.train_ids[places + 1]


def snapshot_steps(max_iters: int, snapshots: int) -> list[int]:
    """Step 0 and `snapshots` - 1 steps before the last, about evenly spaced in their logarithm."""
    if snapshots < 1:
        return []
    ratios = (max_iters ** (i / snapshots) for i in range(snapshots))
    return sorted({0} | {round(ratio) for ratio in ratios if 1 < ratio < max_iters})


@contextmanager
def half_the_threads() -> Iterator[int]:
    """Leave half of torch's threads to the recorder; yields how many each side has."""
    threads = torch.get_num_threads()
    half = max(1, threads // 2)
    torch.set_num_threads(half)
    try:
        yield half
    finally:
        torch.set_num_threads(threads)


def _best_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _git_commit() -> str | None:
    """The commit this code was checked out at, if git knows."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
