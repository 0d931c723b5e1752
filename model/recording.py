"""What is noted of a run while it trains: losses, samples, snapshots, and the state to go on from.

The recorder looks at a copy of the weights in a thread of its own, so that training goes on
meanwhile; it takes one set of weights at a time, and the next has to wait for it.
"""

import copy
import logging
import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from model.config import RunConfig
from model.decoding import generate
from model.evaluation import even_loss, sampled_loss, whole_loss
from model.language_model import LanguageModel
from model.optim import learning_rate_factor
from model.run_folder import Estimate, Metric, RunFolder, Sample, weights_bytes
from model.sampling import Sampling
from model.tokenizer import Tokenizer
from model.train_state import TrainState

SAMPLE_PROMPT = "\n"
SAMPLE_TOKENS = 500
SAMPLE_SEED = 1337

# Of the training split, which is there to compare with the validation split, a part is enough.
TRAIN_TOKENS = 32_768

log = logging.getLogger(__name__)


class Diverged(ArithmeticError):
    """The weights are of no use any more; those of the last snapshot still are."""


@dataclass(frozen=True)
class Note:
    """What to note of a step."""

    step: int
    snapshot: bool = False
    evaluate: bool = False
    sample: bool = False
    estimate: bool = False  # the exercise's own, of the losses
    state: TrainState | None = None


class Recorder:
    """Writes `metrics.jsonl`, `samples.jsonl`, the snapshots, the state and `config.json`."""

    def __init__(
        self,
        folder: RunFolder,
        run: RunConfig,
        tokenizer: Tokenizer,
        splits: tuple[Tensor, Tensor],
        model: LanguageModel,
        window: int,
        threads: int,
        on_metric: Callable[[Metric], None] | None = None,
        elapsed_s: float = 0.0,
    ) -> None:
        """`splits` are the ids (N,) to train on and to validate on; `window` is in tokens.

        Goes on from what the folder already holds of this run; `elapsed_s` is the time it took.
        """
        assert run.train is not None  # only of an imported run is it not known
        self._folder, self._run, self._config = folder, run, run.train
        self._tokenizer = tokenizer
        self._train_ids, self._val_ids = splits
        self._model = copy.deepcopy(model).eval()
        self._window = window
        self._on_metric = on_metric
        self._metrics = folder.read_metrics()
        self._samples = folder.read_samples()
        self._thread = ThreadPoolExecutor(
            1, "recorder", initializer=torch.set_num_threads, initargs=(threads,)
        )
        self._pending: Future[None] | None = None
        self._started = time.perf_counter() - elapsed_s

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.shutdown()

    @property
    def elapsed_s(self) -> float:
        """Seconds of training so far, those before a pause among them."""
        return time.perf_counter() - self._started

    def record(self, note: Note, model: LanguageModel) -> None:
        """Note what `model` is worth now.

        Returns as soon as the weights are copied. Raises what went wrong in the recording before.
        """
        self.wait()
        self._model.load_weights(model.state_dict())
        self._pending = self._thread.submit(self._write, note, self.elapsed_s)

    def wait(self) -> None:
        """Return when all is written; raises what went wrong in it."""
        if self._pending:
            self._pending.result()

    def best_step(self) -> int | None:
        """The step with the lowest validation loss of those evaluated so far."""
        best = min(self._metrics, key=lambda metric: metric.val_loss, default=None)
        return None if best is None else best.step

    def has_stalled(self) -> bool:
        """Whether `patience` evaluations have gone by since the best; call it after `wait`."""
        best = self.best_step()
        if self._config.patience is None or best is None:
            return False
        return sum(metric.step > best for metric in self._metrics) >= self._config.patience

    def _write(self, note: Note, elapsed_s: float) -> None:
        """The state comes last: whatever goes on from it finds all that was before it."""
        if not all(parameter.isfinite().all() for parameter in self._model.parameters()):
            raise _diverged(note.step)
        if note.snapshot:
            self._folder.write_snapshot(note.step, self._model)
            if not self._folder.is_run():
                self._folder.write_config(self._run)
        if note.evaluate:
            self._evaluate(note, elapsed_s)
        if note.sample:
            self._sample(note.step)
        if note.state:
            self._folder.state.write(note.state)
            self._folder.state.keep_best(self.best_step())

    def _evaluate(self, note: Note, elapsed_s: float) -> None:
        """Loss over the whole validation split, and over a part of the training split.

        With `estimate`, the tuning exercise's own estimate over random batches besides.
        """
        step = note.step
        tokens = step * self._config.batch_size * self._window
        factor = learning_rate_factor(self._config, min(step, self._config.max_iters - 1))
        train_loss = even_loss(self._model, self._train_ids, self._window, TRAIN_TOKENS)
        val_loss = whole_loss(self._model, self._val_ids, self._window)
        if not math.isfinite(train_loss + val_loss):
            raise _diverged(step)
        metric = Metric(
            step=step,
            train_loss=train_loss,
            val_loss=val_loss,
            learning_rate=self._config.learning_rate * factor,
            elapsed_s=round(elapsed_s, 3),
            tokens_per_s=round(tokens / elapsed_s, 1) if tokens else 0.0,
            estimate=self._estimate() if note.estimate else None,
        )
        self._metrics.append(metric)
        if self._config.weights == "best" and self.best_step() == step:
            self._folder.state.write_best(step, weights_bytes(self._model))
        self._folder.write_metrics(self._metrics)
        log.info("step %d: train %.4f, val %.4f", step, metric.train_loss, metric.val_loss)
        if self._on_metric:
            self._on_metric(metric)

    def _estimate(self) -> Estimate | None:
        windows = self._config.eval_iters * self._config.batch_size
        if not windows:
            return None
        generator = torch.Generator().manual_seed(self._config.seed)
        train_loss, val_loss = (
            sampled_loss(self._model, ids, self._window, windows, generator)
            for ids in (self._train_ids, self._val_ids)
        )
        return Estimate(train_loss=train_loss, val_loss=val_loss)

    def _sample(self, step: int) -> None:
        """Write some text, always from the same prompt and seed."""
        prompt_ids = sample_prompt(self._tokenizer)
        prompt = self._tokenizer.decode(prompt_ids)
        text = sample_text(self._model, self._tokenizer, prompt_ids)
        self._samples.append(Sample(step=step, prompt=prompt, text=text, seed=SAMPLE_SEED))
        self._folder.write_samples(self._samples)


def _diverged(step: int) -> Diverged:
    return Diverged(f"the loss is no longer a number at step {step}: lower learning_rate")


def sample_prompt(tokenizer: Tokenizer) -> list[int]:
    """A newline, or where the vocabulary has none its first token."""
    try:
        return tokenizer.encode(SAMPLE_PROMPT)
    except ValueError:
        return [0]


def sample_text(model: LanguageModel, tokenizer: Tokenizer, prompt_ids: list[int]) -> str:
    """SAMPLE_TOKENS tokens that go on from the prompt, the same for the same weights."""
    tokens = generate(model, prompt_ids, SAMPLE_TOKENS, Sampling(seed=SAMPLE_SEED))
    return tokenizer.decode(token.id for token in tokens)
