"""What is noted of a run while it trains: losses, samples, snapshots.

The recorder looks at a copy of the weights in a thread of its own, so that training goes on
meanwhile; it takes one set of weights at a time, and the next has to wait for it.
"""

import copy
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from model.config import RunConfig
from model.decoding import generate
from model.evaluation import even_loss, sampled_loss, whole_loss
from model.language_model import LanguageModel
from model.optim import learning_rate_factor
from model.run_folder import Estimate, Metric, RunFolder, Sample
from model.sampling import Sampling
from model.tokenizer import CharTokenizer

SAMPLE_PROMPT = "\n"
SAMPLE_CHARACTERS = 500
SAMPLE_SEED = 1337

# Of the training split, which is there to compare with the validation split, a part is enough.
TRAIN_TOKENS = 32_768

log = logging.getLogger(__name__)


class Recorder:
    """Writes `metrics.jsonl`, `samples.jsonl`, the snapshots and `config.json` of one run."""

    def __init__(
        self,
        folder: RunFolder,
        run: RunConfig,
        tokenizer: CharTokenizer,
        splits: tuple[Tensor, Tensor],
        model: LanguageModel,
        window: int,
        threads: int,
        on_progress: Callable[[Metric], None] | None = None,
    ) -> None:
        """`splits` are the ids (N,) to train on and to validate on; `window` is in tokens."""
        self._folder, self._run, self._config = folder, run, run.train
        self._tokenizer = tokenizer
        self._train_ids, self._val_ids = splits
        self._model = copy.deepcopy(model).eval()
        self._window = window
        self._on_progress = on_progress
        self._metrics: list[Metric] = []
        self._samples: list[Sample] = []
        self._thread = ThreadPoolExecutor(
            1, "recorder", initializer=torch.set_num_threads, initargs=(threads,)
        )
        self._pending: Future[None] | None = None
        self._started = time.perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.shutdown()

    def record(
        self, step: int, model: LanguageModel, *, snapshot: bool = False, evaluate: bool = False
    ) -> None:
        """Note what `model` is worth at `step`, and keep its weights where `snapshot` asks.

        Returns as soon as the weights are copied. Raises what went wrong in the recording before.
        """
        self.wait()
        self._model.load_weights(model.state_dict())
        elapsed = time.perf_counter() - self._started
        self._pending = self._thread.submit(self._note, step, elapsed, snapshot, evaluate)

    def wait(self) -> None:
        """Return when all is written; raises what went wrong in it."""
        if self._pending:
            self._pending.result()

    def _note(self, step: int, elapsed: float, snapshot: bool, evaluate: bool) -> None:
        last = step == self._config.max_iters
        if snapshot or last:
            self._sample(step)
        if snapshot:
            self._folder.write_snapshot(step, self._model)
            if step == 0:
                self._folder.write_config(self._run)
        if evaluate:
            self._evaluate(step, elapsed, estimate=last)

    def _evaluate(self, step: int, elapsed: float, *, estimate: bool) -> None:
        """Loss over the whole validation split, and over a part of the training split.

        With `estimate`, the tuning exercise's own estimate over random batches besides.
        """
        tokens = step * self._config.batch_size * self._window
        factor = learning_rate_factor(self._config, min(step, self._config.max_iters - 1))
        metric = Metric(
            step=step,
            train_loss=even_loss(self._model, self._train_ids, self._window, TRAIN_TOKENS),
            val_loss=whole_loss(self._model, self._val_ids, self._window),
            learning_rate=self._config.learning_rate * factor,
            elapsed_s=round(elapsed, 3),
            tokens_per_s=round(tokens / elapsed, 1) if tokens else 0.0,
            estimate=self._estimate() if estimate else None,
        )
        self._metrics.append(metric)
        self._folder.write_metrics(self._metrics)
        log.info("step %d: train %.4f, val %.4f", step, metric.train_loss, metric.val_loss)
        if self._on_progress:
            self._on_progress(metric)

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
        known = SAMPLE_PROMPT in self._tokenizer.vocabulary
        prompt = SAMPLE_PROMPT if known else self._tokenizer.vocabulary[0]
        text = sample_text(self._model, self._tokenizer, prompt)
        self._samples.append(Sample(step=step, prompt=prompt, text=text, seed=SAMPLE_SEED))
        self._folder.write_samples(self._samples)


def sample_text(model: LanguageModel, tokenizer: CharTokenizer, prompt: str) -> str:
    """SAMPLE_CHARACTERS characters that go on from `prompt`, the same for the same weights."""
    tokens = generate(
        model, tokenizer.encode(prompt), SAMPLE_CHARACTERS, Sampling(seed=SAMPLE_SEED)
    )
    return tokenizer.decode(token.id for token in tokens)
