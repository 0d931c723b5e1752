"""The loop that makes a run: batches in, weights, metrics, samples and snapshots out."""

import logging
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from model.config import RunConfig
from model.corpus import Corpus
from model.decoding import generate
from model.evaluation import even_loss, sampled_loss, whole_loss
from model.families import build_model
from model.language_model import LanguageModel
from model.ngram import NGram
from model.optim import build_optimizers, learning_rate_factor, set_learning_rate
from model.presets import Preset
from model.run_folder import Estimate, Metric, RunFolder, Sample
from model.sampling import Sampling
from model.tokenizer import CharTokenizer

SAMPLE_PROMPT = "\n"
SAMPLE_CHARACTERS = 500
SAMPLE_SEED = 1337

log = logging.getLogger(__name__)


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

    The folder becomes a run with its first snapshot, before the first step. `on_progress` gets
    every evaluation. On the CPU the same configuration gives the same weights, bit for bit.
    Raises OSError when the disk refuses, with all that was written before intact.
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
        self.metrics: list[Metric] = []
        self.samples: list[Sample] = []
        self.snapshots = set(snapshot_steps(self.config.max_iters, self.config.snapshots))

    def train(self) -> None:
        self.folder.write_tokenizer(self.tokenizer)
        self.started = time.perf_counter()
        if isinstance(self.model, NGram):
            self._count(self.model)
        else:
            self._descend()

    def _count(self, model: NGram) -> None:
        """An n-gram model learns in one pass."""
        model.count(self.train_ids.cpu())
        self.run = self.run.model_copy(update={"params": model.size})
        self.evaluate(self.config.max_iters)
        self._sample(self.config.max_iters)
        self.folder.write_weights(model)
        self.folder.write_config(self.run)

    def _descend(self) -> None:
        """Gradient descent: nothing in the loop waits for the device but the evaluations."""
        optimizers = build_optimizers(self.model, self.config)
        self.model.train()
        for step, (x, y) in enumerate(self.batches()):
            if step in self.snapshots:
                self.snapshot(step)
            if step % self.config.eval_interval == 0:
                self.evaluate(step)
            self.step(step, x, y, optimizers)
        self.evaluate(self.config.max_iters)
        self._sample(self.config.max_iters)
        self.folder.write_weights(self.model)

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

    def evaluate(self, step: int) -> None:
        """Loss over the whole validation split and as much, evenly spread, of the training split.

        The last evaluation adds the tuning exercise's own estimate over random batches.
        """
        elapsed = time.perf_counter() - self.started
        tokens = step * self.config.batch_size * self.window
        val_loss = whole_loss(self.model, self.val_ids, self.window)
        metric = Metric(
            step=step,
            train_loss=even_loss(self.model, self.train_ids, self.window, len(self.val_ids)),
            val_loss=val_loss,
            learning_rate=self.config.learning_rate
            * learning_rate_factor(self.config, min(step, self.config.max_iters - 1)),
            elapsed_s=round(elapsed, 3),
            tokens_per_s=round(tokens / elapsed, 1) if tokens else 0.0,
            estimate=self.estimate() if step == self.config.max_iters else None,
        )
        self.metrics.append(metric)
        self.folder.write_metrics(self.metrics)
        log.info("step %d: train %.4f, val %.4f", step, metric.train_loss, metric.val_loss)
        if self.on_progress:
            self.on_progress(metric)

    def estimate(self) -> Estimate | None:
        windows = self.config.eval_iters * self.config.batch_size
        if not windows:
            return None
        generator = torch.Generator().manual_seed(self.config.seed)
        train_loss, val_loss = (
            sampled_loss(self.model, ids, self.window, windows, generator)
            for ids in (self.train_ids, self.val_ids)
        )
        return Estimate(train_loss=train_loss, val_loss=val_loss)

    def snapshot(self, step: int) -> None:
        self._sample(step)
        self.folder.write_snapshot(step, self.model)
        if step == 0:
            self.folder.write_config(self.run)

    def _sample(self, step: int) -> None:
        """Write some text with the weights of `step`, always from the same prompt and seed."""
        known = SAMPLE_PROMPT in self.tokenizer.vocabulary
        prompt = SAMPLE_PROMPT if known else self.tokenizer.vocabulary[0]
        text = sample_text(self.model, self.tokenizer, prompt)
        self.samples.append(Sample(step=step, prompt=prompt, text=text, seed=SAMPLE_SEED))
        self.folder.write_samples(self.samples)


def sample_text(model: LanguageModel, tokenizer: CharTokenizer, prompt: str) -> str:
    """SAMPLE_CHARACTERS characters that go on from `prompt`, the same for the same weights."""
    was_training = model.training
    model.eval()
    tokens = generate(
        model, tokenizer.encode(prompt), SAMPLE_CHARACTERS, Sampling(seed=SAMPLE_SEED)
    )
    text = tokenizer.decode(token.id for token in tokens)
    model.train(was_training)
    return text


def snapshot_steps(max_iters: int, snapshots: int) -> list[int]:
    """Step 0 and `snapshots` - 1 steps before the last, about evenly spaced in their logarithm."""
    if snapshots < 1:
        return []
    ratios = (max_iters ** (i / snapshots) for i in range(snapshots))
    return sorted({0} | {round(ratio) for ratio in ratios if 1 < ratio < max_iters})


def _best_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _git_commit() -> str | None:
    """The commit this code was checked out at, if git knows."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
